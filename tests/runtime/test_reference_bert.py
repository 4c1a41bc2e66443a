"""Small random sentence encoders, against the plain reference: in float32, in both formats."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from safetensors.numpy import save_file

import tensorlogic
from tensorlogic.runtime import generate, load_model
from tensorlogic.runtime.errors import BoundaryError, ModelFileError
from tests.reference import bert
from tests.reference.files import Array, read_folder, read_gguf
from tests.runtime.language_models import MODELS, numbers
from tests.runtime.model_files import write_gguf

BOUND = 1e-5
"""Vectors of tokens have items of about 3, vectors of texts are of length 1."""


@dataclass(frozen=True)
class Sizes:
    """V tokens, P positions, D features, H heads, F features inside a feed-forward block."""

    V: int = 65
    P: int = 20
    D: int = 48
    H: int = 4
    F: int = 96
    layers: int = 2


SIZES = [Sizes(), Sizes(V=77, P=19, D=21, H=7, F=37, layers=3), Sizes(D=12, H=1, layers=1)]


@cache
def program() -> ModuleType:
    return tensorlogic.load(MODELS / "bert.tl")


def tensors_of(sizes: Sizes) -> dict[str, Array]:
    """In the names of Hugging Face's."""
    random, s = np.random.default_rng(1), sizes
    found: dict[str, Array] = {}

    def matrix(name: str, rows: int, columns: int, scale: float) -> None:
        found[f"{name}.weight"] = random.normal(scale=scale, size=(rows, columns)).astype(np.float32)

    def dense(name: str, inputs: int, outputs: int) -> None:
        matrix(name, outputs, inputs, 2 / inputs**0.5)
        found[f"{name}.bias"] = random.normal(size=outputs).astype(np.float32)

    def norm(name: str) -> None:
        found[f"{name}.weight"] = random.uniform(0.5, 1.5, s.D).astype(np.float32)
        found[f"{name}.bias"] = random.normal(size=s.D).astype(np.float32)

    for name, rows in (("word", s.V), ("position", s.P), ("token_type", 2)):
        matrix(f"embeddings.{name}_embeddings", rows, s.D, 1)
    norm("embeddings.LayerNorm")
    for layer in range(s.layers):
        name = f"encoder.layer.{layer}"
        for part in ("query", "key", "value"):
            dense(f"{name}.attention.self.{part}", s.D, s.D)
        dense(f"{name}.attention.output.dense", s.D, s.D)
        norm(f"{name}.attention.output.LayerNorm")
        dense(f"{name}.intermediate.dense", s.D, s.F)
        dense(f"{name}.output.dense", s.F, s.D)
        norm(f"{name}.output.LayerNorm")
    return found


def write_folder(path: Path, sizes: Sizes, prefix: str = "", **others: Any) -> Path:
    path.mkdir()
    save_file({prefix + name: w for name, w in tensors_of(sizes).items()}, path / "model.safetensors")
    said = {"num_attention_heads": sizes.H, "num_hidden_layers": sizes.layers, "layer_norm_eps": 1e-3}
    config = {"model_type": "bert", "hidden_act": "gelu", **said, **others}
    (path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return path


def write_file(path: Path, sizes: Sizes, **others: Any) -> Path:
    said = {
        "attention.head_count": sizes.H,
        "block_count": sizes.layers,
        "attention.layer_norm_epsilon": 1e-3,
        **others,
    }
    metadata = {"general.architecture": "bert", **{f"bert.{name}": value for name, value in said.items()}}
    return write_gguf(path, {bert.gguf_name(name): w for name, w in tensors_of(sizes).items()}, metadata)


def ids_of(sizes: Sizes, length: int) -> list[int]:
    return [int(i) for i in np.random.default_rng(2).integers(0, sizes.V, length)]


def found(path: Path, ids: list[int]) -> tuple[Array, Array]:
    """Vectors of tokens [L, D] and of the text [D], by the model in the language."""
    net = program().load(load_model(path, dtype="float32"))
    batch = mx.array([ids], mx.int32)
    return numbers(program().vectors(net, batch)[0]), numbers(program().encode(net, batch)[0])


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("length", [1, 17])
def test_both_formats(tmp_path: Path, sizes: Sizes, length: int) -> None:
    ids, path, folder = ids_of(sizes, length), write_file(tmp_path / "m.gguf", sizes), tmp_path / "m"
    write_folder(folder, sizes)
    for read, file in ((path, bert.of_gguf(read_gguf(path))), (folder, read_folder(folder))):
        tokens, text = found(read, ids)
        expected = bert.hidden(file, ids)
        assert np.abs(expected).max() > 1
        np.testing.assert_allclose(tokens, expected, rtol=0, atol=BOUND)
        np.testing.assert_allclose(text, bert.vector(file, ids), rtol=0, atol=BOUND / 4)


def test_a_prefix(tmp_path: Path) -> None:
    ids = ids_of(SIZES[0], 9)
    below, bare = write_folder(tmp_path / "m", SIZES[0], "bert."), write_folder(tmp_path / "n", SIZES[0])
    np.testing.assert_array_equal(found(below, ids)[1], found(bare, ids)[1])


def test_texts_that_are_filled_up(tmp_path: Path) -> None:
    """Each is what it is alone: the mask hides what was filled in, from tokens and from the mean."""
    path, rows = write_file(tmp_path / "m.gguf", SIZES[0]), [ids_of(SIZES[0], 17), ids_of(SIZES[0], 6)]
    net = program().load(load_model(path, dtype="float32"))
    filled = mx.array([row + [3] * (17 - len(row)) for row in rows], mx.int32)
    mask = mx.arange(17)[None] < mx.array([[17], [6]])
    tokens, texts = program().vectors(net, filled, mask), program().encode(net, filled, mask)
    for row, each, text in zip(rows, tokens, texts, strict=True):
        alone = found(path, row)
        np.testing.assert_allclose(numbers(each)[: len(row)], alone[0], rtol=0, atol=BOUND)
        np.testing.assert_allclose(numbers(text), alone[1], rtol=0, atol=BOUND / 4)
    assert np.abs(numbers(program().encode(net, filled)[1]) - numbers(texts[1])).max() > 0.01


def test_the_first_token_alone(tmp_path: Path) -> None:
    """As a GGUF file asks for (`LLAMA_POOLING_TYPE_CLS`)."""
    ids, path = ids_of(SIZES[0], 9), write_file(tmp_path / "m.gguf", SIZES[0], pooling_type=2)
    tokens, text = found(path, ids)
    np.testing.assert_allclose(text, tokens[0] / np.linalg.norm(tokens[0]), rtol=0, atol=BOUND)


def test_what_is_refused(tmp_path: Path) -> None:
    other = load_model(write_folder(tmp_path / "m", SIZES[0], hidden_act="relu"))
    with pytest.raises(BoundaryError, match="activation relu"):
        program().load(other)
    last = load_model(write_file(tmp_path / "last.gguf", SIZES[0], pooling_type=3))
    with pytest.raises(BoundaryError, match="neither by the mean nor by the first token"):
        program().load(last)
    with pytest.raises(ModelFileError, match="`H`"):
        program().load(load_model(write_folder(tmp_path / "n", SIZES[0], num_attention_heads=7)))


def test_an_encoder_generates_no_text(tmp_path: Path) -> None:
    model = load_model(write_file(tmp_path / "m.gguf", SIZES[0]))
    with pytest.raises(ModelFileError, match="`bert`, which makes vectors of texts and generates none") as caught:
        generate(model, "Once")
    assert caught.value.code == "TL4501"
