"""A prompt's keys and values in a file: used again by the same model, refused by everything else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mlx.core as mx
import pytest

from tensorlogic.runtime import LanguageModel, Model, generate, load_model
from tensorlogic.runtime.architectures import language_model
from tensorlogic.runtime.cache_files import load_cache
from tensorlogic.runtime.caching import KVCache
from tensorlogic.runtime.errors import BoundaryError, TensorLogicError
from tests.models import GEMMA3, SMOLLM2, model_path

TEXT = "The tide comes in twice a day because the moon draws the water of the oceans toward it."


@pytest.fixture(scope="module")
def model() -> Model:
    return load_model(model_path(SMOLLM2))


@pytest.mark.parametrize("bits", [None, 8, 4])
def test_a_prompt_is_computed_once(model: Model, tmp_path: Path, bits: int | None) -> None:
    known = language_model(model)
    counts: list[int] = []

    def step(net: object, ids: mx.array, cache: KVCache) -> tuple[mx.array, KVCache]:
        counts.append(ids.shape[1])
        return known.step(net, ids, cache)

    counting = LanguageModel(known.net, step, known.tokenizer, known.context, known.identity)
    file = tmp_path / "tide.cache"
    assert list(generate(counting, TEXT, max_tokens=0, bits=bits, prompt_cache=file)) == []
    whole = counts.pop()
    counts.clear()
    settings: dict[str, Any] = {"max_tokens": 5, "bits": bits}
    again = "".join(generate(counting, TEXT, prompt_cache=file, **settings))
    assert counts[0] == 1
    assert again == "".join(generate(counting, TEXT, **settings))
    counts.clear()
    written = file.read_bytes()
    other = "".join(generate(counting, f"{TEXT} Twice", prompt_cache=file, **settings))
    assert 0 < counts[0] <= 2 < whole
    assert other
    assert file.read_bytes() == written


def test_what_is_no_cache_of_the_model_is_refused(model: Model, tmp_path: Path) -> None:
    file = tmp_path / "a.cache"
    list(generate(model, TEXT, max_tokens=0, prompt_cache=file))
    for other in (load_model(model_path(GEMMA3)), load_model(model_path(SMOLLM2), dtype="float32")):
        with pytest.raises(BoundaryError, match="it is of another model, or of this one in another type"):
            generate(other, TEXT, prompt_cache=file)
    with pytest.raises(BoundaryError, match="a cache of all bits, not of 8"):
        generate(model, TEXT, prompt_cache=file, bits=8)
    with pytest.raises(BoundaryError, match="goes without `window`"):
        generate(model, TEXT, prompt_cache=file, window=8)
    (tmp_path / "text.cache").write_text("no cache")
    with pytest.raises(TensorLogicError, match=r"text\.cache"):
        generate(model, TEXT, prompt_cache=tmp_path / "text.cache")
    with pytest.raises(TensorLogicError, match="cannot save"):
        list(generate(model, TEXT, max_tokens=0, prompt_cache=tmp_path / "nowhere" / "b.cache"))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"ids": [1, 2, 3]}, "have the shapes"),
        ({"ids": "many"}, "cannot be read"),
        ({"bits": 3}, "quantized to 4 or 8 bits"),
        ({"bits": 8}, "have the shapes"),
        ({"layers": [[0, [1, 3, 64, 64], 2]]}, "holds no tensor"),
        ({"layers": [[0, [1, 3, 32, 64], 1]]}, "have the shapes"),
        ({"layers": [[0, [1, 3, 64], 1]]}, "have the shapes"),
        ({"layers": [[0, 5, 1]]}, "cannot be read"),
    ],
)
def test_what_lies_about_itself_is_refused(model: Model, tmp_path: Path, change: dict[str, Any], told: str) -> None:
    file = tmp_path / "a.cache"
    list(generate(model, TEXT, max_tokens=0, prompt_cache=file))
    arrays, metadata = mx.load(str(file), format="safetensors", return_metadata=True)
    assert isinstance(arrays, dict)
    assert isinstance(metadata, dict)
    described = json.loads(metadata["cache"]) | change
    mx.save_safetensors(str(tmp_path / "b"), arrays, metadata | {"cache": json.dumps(described)})
    with pytest.raises(TensorLogicError, match=told):
        load_cache(tmp_path / "b.safetensors", described["owner"])


def test_a_damaged_file_is_refused(model: Model, tmp_path: Path) -> None:
    file = tmp_path / "a.cache"
    list(generate(model, TEXT, max_tokens=0, prompt_cache=file))
    whole = file.read_bytes()
    for size in (0, 5, 100, len(whole) // 2, len(whole) - 1):
        file.write_bytes(whole[:size])
        with pytest.raises(TensorLogicError, match=r"a\.cache"):
            generate(model, TEXT, prompt_cache=file)
