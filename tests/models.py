"""Where tests find the real models: in the cache folder that `make setup` fills.

A missing model is a failure, never a skip: a test that did not run must not look like one that passed.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.fetch_models import cache_folder

MINILM = "all-MiniLM-L6-v2"
SMOLLM2 = "SmolLM2-135M-Instruct.Q4_1.gguf"
GEMMA3 = "gemma-3-270m.Q4_K_M.gguf"


def model_path(name: str) -> Path:
    """The folder or file of the model called `name`; fails the test when it is not there."""
    path = cache_folder() / name
    if not path.exists():
        pytest.fail(f"the model {name} is not at {path}: run `make setup` to fetch it")
    return path
