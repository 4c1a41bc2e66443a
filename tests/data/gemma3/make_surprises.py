"""Makes `surprises.txt`: how much 2,000 tokens of a text surprise Gemma 3 270M, by the plain reference in NumPy.

    PYTHONPATH=. .venv/bin/python tests/data/gemma3/make_surprises.py

from the root of the repository, with the model files in their cache (`make setup`), in a minute and two gigabytes of
memory. The text is chapter 1 of `tests/data/alice.txt` in the model's own tokens; the file has a line for each of the
tokens 1 to 2,000 behind the first one, with the negative log-probability of the token by those before it, in nats.
`tests/runtime/test_reference_gemma3.py` compares some lines with the reference whenever tests run, and all of them
under `make fuzz`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.models import GEMMA3, model_path
from tests.reference import gemma3
from tests.reference.files import read_gguf
from tests.runtime.language_models import text_ids

COUNT = 2000


def main() -> None:
    path = model_path(GEMMA3)
    found = gemma3.surprises(read_gguf(path), text_ids(path, COUNT + 1))
    np.savetxt(Path(__file__).with_name("surprises.txt"), found, fmt="%.5f")


if __name__ == "__main__":
    main()
