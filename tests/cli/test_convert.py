"""`tlc convert`: what the result holds, by other readers, what is told, and what is refused."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import gguf
import mlx.core as mx
import numpy as np
import pytest
import safetensors.numpy
from click.testing import CliRunner, Result

from tensorlogic.cli import main
from tensorlogic.runtime.formats import files, read_header
from tensorlogic.runtime.models import load_model, save_model
from tensorlogic.runtime.packed import Packed, dense
from tests.models import MINILM, model_path
from tests.runtime.model_files import random_blocks, safetensors_bytes, write_gguf


def tlc(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["convert", *map(str, arguments)])


def converted(*arguments: str | Path) -> list[str]:
    """The lines of the summary after the first."""
    result = tlc(*arguments)
    assert (result.exit_code, result.stderr) == (0, "")
    return result.stdout.splitlines()[1:]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model as Hugging Face lays it out."""
    place = tmp_path / "model"
    place.mkdir()
    random = np.random.default_rng(1)
    tensors: dict[str, Any] = {
        "embed.weight": random.standard_normal((7, 128)).astype(np.float32),
        "up.weight": random.standard_normal((5, 128)).astype(np.float32),
        "odd.weight": random.standard_normal((5, 33)).astype(np.float32),
        "norm.weight": random.standard_normal(128).astype(np.float32),
        "ids": np.arange(4),
    }
    safetensors.numpy.save_file(tensors, place / "model.safetensors")
    (place / "config.json").write_text('{"model_type": "llama", "hidden_size": 128}')
    (place / "tokenizer.json").write_text("{}")
    (place / "notes.bin").write_bytes(b"no")
    return place


def values(tensor: Any) -> Any:
    return gguf.quants.dequantize(tensor.data, tensor.tensor_type)


@pytest.mark.parametrize("name", ["q4_0", "q4_1", "q5_0", "q5_1", "q8_0"])
def test_gguf_blocks_are_those_of_its_own_library(folder: Path, tmp_path: Path, name: str) -> None:
    told = converted(folder, tmp_path / "a.gguf", "--quantize", name)
    assert [line.split() for line in told] == [
        ["F32", "->", "F32", "2", "kept"],
        ["F32", "->", name.upper(), "2", "quantized"],
        ["I64", "->", "I32", "1", "the", "same", "values"],
    ]
    source = safetensors.numpy.load_file(folder / "model.safetensors")
    found = {tensor.name: tensor for tensor in gguf.GGUFReader(tmp_path / "a.gguf").tensors}
    kind = gguf.GGMLQuantizationType[name.upper()]
    for key in ("embed.weight", "up.weight"):
        assert found[key].tensor_type == kind
        np.testing.assert_array_equal(found[key].data, gguf.quants.quantize(source[key], kind))
    for key in ("odd.weight", "norm.weight"):
        np.testing.assert_array_equal(found[key].data, source[key])
    assert found["ids"].data.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("name", "bits", "group", "mode"),
    [
        ("mlx4", 4, 64, "affine"),
        ("mlx8-g32", 8, 32, "affine"),
        ("MLX3-G128", 3, 128, "affine"),
        ("mxfp4", 4, 32, "mxfp4"),
        ("nvfp4", 4, 16, "nvfp4"),
        ("mxfp8", 8, 32, "mxfp8"),
    ],
)
def test_mlx_layouts_are_those_of_mlx(
    folder: Path, tmp_path: Path, name: str, bits: int, group: int, mode: str
) -> None:
    out = tmp_path / "out"
    tlc(folder, out, "--quantize", name, "--dtype", "bfloat16")
    found: Any = mx.load(str(out / "model.safetensors"))
    source: Any = mx.load(str(folder / "model.safetensors"))
    for stem in ("embed", "up"):
        expected = mx.quantize(source[f"{stem}.weight"].astype(mx.bfloat16), group_size=group, bits=bits, mode=mode)
        for part, array in zip(("weight", "scales", "biases"), expected, strict=False):
            assert mx.array_equal(found[f"{stem}.{part}"], array)
    assert found["norm.weight"].dtype == found["odd.weight"].dtype == mx.bfloat16
    config = json.loads((out / "config.json").read_text())
    mode_noted = {} if mode == "affine" else {"mode": mode}
    assert config["quantization"] == {"group_size": group, "bits": bits, **mode_noted}
    assert config["hidden_size"] == 128
    assert sorted(path.name for path in out.iterdir()) == ["config.json", "model.safetensors", "tokenizer.json"]


def test_a_folder_without_notes_is_read_by_its_configuration(folder: Path, tmp_path: Path) -> None:
    """As other programs' folders are, whose files note nothing."""
    out = tmp_path / "out"
    converted(folder, out, "--quantize", "mlx4")
    expected = load_model(out, dtype="native").get_tensor("up.weight")
    arrays: Any = mx.load(str(out / "model.safetensors"))
    mx.eval(arrays)
    mx.save_safetensors(str(out / "model.safetensors"), arrays, {"format": "mlx"})
    again = load_model(out, dtype="native").get_tensor("up.weight")
    assert isinstance(again, Packed)
    assert mx.array_equal(dense(again), dense(expected))


def test_a_folder_onto_itself_and_expanded_again(folder: Path) -> None:
    converted(folder, folder, "--quantize", "mlx8")
    assert "quantization" in json.loads((folder / "config.json").read_text())
    expected = dense(load_model(folder, dtype="native").get_tensor("up.weight"))
    told = converted(folder, folder, "--dequantize")
    assert told[1].split() == ["MLX_8BIT_G64", "->", "F32", "2", "expanded"]
    assert "quantization" not in json.loads((folder / "config.json").read_text())
    again = load_model(folder, dtype="native").get_tensor("up.weight")
    assert mx.array_equal(dense(again), expected)


def test_mixed_layouts_are_noted_by_weight(tmp_path: Path, folder: Path) -> None:
    random = mx.random.normal((4, 128), key=mx.random.key(1))
    layouts = {"a.weight": "mlx4", "b.weight": "mlx4", "c.weight": "mlx8"}
    tensors: dict[str, Any] = {}
    for name, quantization in layouts.items():
        save_model({name: random}, tmp_path / "one.safetensors")
        converted(tmp_path / "one.safetensors", tmp_path / "one.safetensors", "--quantize", quantization)
        tensors[name] = load_model(tmp_path / "one.safetensors", dtype="native").get_tensor(name)
    save_model(tensors, folder / "model.safetensors")
    converted(folder, tmp_path / "out")
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["quantization"] == {"group_size": 64, "bits": 4, "c": {"group_size": 64, "bits": 8}}


def test_gguf_to_gguf_keeps_all_but_what_is_asked(tmp_path: Path) -> None:
    tensors: dict[str, Any] = {
        "q.weight": ("Q4_0", random_blocks("Q4_0", (3,), 64, seed=1)),
        "w.weight": np.ones((2, 64), np.float32),
        "norm": np.ones(5, np.float32),
    }
    old = write_gguf(tmp_path / "old.gguf", tensors, {"n": 3})
    converted(old, tmp_path / "same.gguf")
    assert (tmp_path / "same.gguf").read_bytes() == old.read_bytes()
    told = converted(old, tmp_path / "a.gguf", "--quantize", "q8_0", "--dtype", "float16")
    assert [line.split() for line in told] == [
        ["F32", "->", "F32", "1", "kept"],
        ["F32", "->", "Q8_0", "1", "quantized"],
        ["Q4_0", "->", "Q4_0", "1", "kept"],
    ]
    told = converted(old, tmp_path / "b.gguf", "--quantize", "q8_0", "--dequantize")
    assert told[2].split() == ["Q4_0", "->", "Q8_0", "1", "expanded,", "and", "quantized", "again"]
    found = gguf.GGUFReader(tmp_path / "b.gguf")
    assert found.fields["n"].contents() == 3
    told = converted(old, tmp_path / "c.gguf", "--dtype", "float16")
    assert ["F32", "->", "F16", "1", "rounded"] in [line.split() for line in told]
    told = converted(old, tmp_path / "d.gguf", "--dequantize")
    assert ["Q4_0", "->", "F16", "1", "expanded,", "rounded"] in [line.split() for line in told]


def test_a_quantization_that_changes_nothing_says_so(tmp_path: Path) -> None:
    old = write_gguf(tmp_path / "old.gguf", {"q.weight": ("Q4_0", random_blocks("Q4_0", (3,), 64, seed=1))}, {})
    told = converted(old, tmp_path / "a.gguf", "--quantize", "q8_0")
    assert told[-1] == "  nothing was quantized; with `--dequantize`, what is quantized already is quantized again"
    assert "nothing" not in converted(old, tmp_path / "a.gguf", "--quantize", "q8_0", "--dequantize")[-1]


def test_a_name_is_told_as_it_may_be_shown(tmp_path: Path) -> None:
    save_model({"w": mx.ones(2)}, tmp_path / "a.safetensors")
    result = tlc(tmp_path / "a.safetensors", tmp_path / "b\x1b[31m\n.safetensors")
    assert result.exit_code == 0
    assert "b\\u{1B}[31m\\n.safetensors: 1 tensor" in result.stdout


def test_a_help_is_that_of_the_command_line(tmp_path: Path) -> None:
    wide = {"w": {"dtype": "F64", "shape": [1], "data_offsets": [0, 8]}}
    (tmp_path / "a.safetensors").write_bytes(safetensors_bytes(wide, bytes(8)))
    result = tlc(tmp_path / "a.safetensors", tmp_path / "b.gguf")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "help: give `--dtype float32`" in result.stderr
    assert converted(tmp_path / "a.safetensors", tmp_path / "b.gguf", "--dtype", "float32")


ANY_BYTES = {
    "wide": ("F64", [3], 24),
    "half": ("F16", [2, 2], 8),
    "brain": ("BF16", [], 2),
    "ids": ("I64", [2], 16),
    "large": ("U64", [1], 8),
    "small": ("F8_E4M3", [3], 3),
    "scale": ("F8_E8M0", [1], 1),
    "nibbles": ("F4", [2, 4], 4),
    "sixes": ("F6_E2M3", [4], 3),
    "pair": ("C64", [1], 8),
    "flags": ("BOOL", [3], 3),
    "none": ("F32", [0, 5], 0),
}


@pytest.mark.parametrize("options", [(), ("--dtype", "native"), ("--quantize", "mlx8")])
def test_what_is_not_touched_keeps_its_bytes(tmp_path: Path, options: tuple[str, ...]) -> None:
    header: dict[str, Any] = {}
    place = 0
    for name, (storage, shape, nbytes) in ANY_BYTES.items():
        header[name] = {"dtype": storage, "shape": shape, "data_offsets": [place, place + nbytes]}
        place += nbytes
    data = np.random.default_rng(1).integers(0, 256, place, dtype=np.uint8).tobytes()
    source, target = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    source.write_bytes(safetensors_bytes(header, data))
    assert tlc(source, target, *options).exit_code == 0
    content = target.read_bytes()
    for name, info in read_header(target).tensors.items():
        storage, shape, nbytes = ANY_BYTES[name]
        begin = header[name]["data_offsets"][0]
        assert (info.storage, list(info.shape), info.nbytes) == (storage, shape, nbytes)
        assert content[info.offset : info.offset + nbytes] == data[begin : begin + nbytes]
    assert len(read_header(target).tensors) == len(ANY_BYTES)


def test_another_float_type_leaves_whole_numbers_as_they_are(tmp_path: Path) -> None:
    source, target = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    safetensors.numpy.save_file({"ids": np.array([2**40]), "w": np.ones(3, np.float32)}, source)
    assert converted(source, target, "--dtype", "float16")
    found = safetensors.numpy.load_file(target)
    kinds = {name: str(array.dtype) for name, array in found.items()}
    assert (found["ids"].tolist(), kinds) == ([2**40], {"ids": "int64", "w": "float16"})


def test_a_file_that_may_not_be_read_is_an_error_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.gguf").write_bytes(b"GGUF")
    # Tests may run as root, whom no mode keeps out.
    monkeypatch.setattr(os, "access", lambda *_: False)
    monkeypatch.setattr(files, "open", lambda *_, **__: os.open(tmp_path / "none" / "x", 0), raising=False)
    result = tlc(tmp_path / "a.gguf", tmp_path / "b.gguf")
    assert result.exit_code == 1
    assert result.stderr.startswith("error[TL4001]: cannot open the model file")


def test_zeros_are_counted_when_asked(tmp_path: Path) -> None:
    save_model({"w": mx.array([1e-12, 1.0])}, tmp_path / "a.safetensors")
    assert converted(tmp_path / "a.safetensors", tmp_path / "b.safetensors", "--dtype", "float16")
    result = tlc(tmp_path / "a.safetensors", tmp_path / "b.safetensors", "--dtype", "float16", "--verbose")
    assert "1 value of the tensor `w`" in result.stderr
    assert "became 0 in float16" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("out.gguf", "--quantize", "mlx4"), "a `.gguf` file cannot be quantized as `mlx4`. Choose one of: q4_0"),
        (("out.safetensors", "--quantize", "q4_0"), "a `.safetensors` file cannot be quantized as `q4_0`. Choose"),
        (("out/", "--quantize", "q4_0"), "a `.safetensors` file cannot be quantized as `q4_0`"),
        (("out.gguf", "--quantize", "q9"), "`q9` is no quantization. Choose one of: q4_0, q4_1, q5_0, q5_1, q8_0."),
        (("out.bin",), "`out.bin` must end in `.safetensors` or `.gguf`, or be a folder."),
        (("out.gguf/",), "`out.gguf/` is a folder's name with a file's ending."),
        (("sharded",), "`sharded` holds a `model.safetensors.index.json`, which would hide the result."),
        (("out.gguf", "--dtype", "float8"), "'float8' is not one of"),
    ],
)
def test_what_makes_no_sense(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("sharded").mkdir()
    Path("sharded/model.safetensors.index.json").touch()
    result = tlc("in.safetensors", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sharded"]


def test_what_goes_wrong_is_one_message(folder: Path, tmp_path: Path) -> None:
    result = tlc(tmp_path / "none", tmp_path / "a.gguf")
    assert result.exit_code == 1
    assert result.stderr.startswith("error[TL4001]: cannot open the model file")
    result = tlc(folder, tmp_path / "no" / "a.gguf")
    assert result.exit_code == 1
    assert result.stderr.startswith("error[TL4012]: cannot save")
    (tmp_path / "file").touch()
    result = tlc(folder, tmp_path / "file" / "out")
    assert result.exit_code == 1
    assert result.stderr.startswith("error[TL4012]: cannot save")


def test_a_real_model_goes_to_gguf(tmp_path: Path) -> None:
    told = converted(model_path(MINILM), tmp_path / "a.gguf", "--quantize", "q8_0")
    assert [line.split()[:4] for line in told] == [
        ["F32", "->", "F32", "63"],
        ["F32", "->", "Q8_0", "40"],
        ["I64", "->", "I32", "1"],
    ]
    source = load_model(model_path(MINILM), dtype="float32")
    for tensor in gguf.GGUFReader(tmp_path / "a.gguf").tensors:
        expected = np.asarray(source.get_tensor(tensor.name))
        found = tensor.data if tensor.tensor_type.name == "I32" else values(tensor)
        assert np.abs(found - expected).max() <= np.abs(expected).max() * (1 / 254 + 2**-11)
