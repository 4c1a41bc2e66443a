"""Opening a model: which format a file is in, folders of shards, and all that is no model."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from tensorlogic.runtime.errors import ModelFileError
from tensorlogic.runtime.formats import files, open_model, read_header
from tensorlogic.runtime.models import load_model
from tests.runtime.grouped_folders import gptq_config, gptq_parts, named, random_weight, write_folder
from tests.runtime.model_files import gguf_bytes, gguf_entry, safetensors_bytes, write_gguf

VALUES = np.arange(4, dtype=np.float32)


def refusal(path: Path | str, code: str) -> str:
    with pytest.raises(ModelFileError) as caught:
        read_header(path)
    assert caught.value.code == code
    return str(caught.value)


def test_headers_need_neither_numpy_nor_mlx(tmp_path: Path) -> None:
    write_gguf(tmp_path / "a.gguf", {"w": VALUES})
    save_file({"w": VALUES}, tmp_path / "a.safetensors")
    code = (
        "import sys; from tensorlogic.runtime.formats import read_header\n"
        "for path in sys.argv[1:]: read_header(path)\n"
        "print(sorted({'numpy', 'mlx', 'gguf', 'safetensors'} & sys.modules.keys()))"
    )
    gptq = write_folder(tmp_path / "gptq", named("x", gptq_parts(random_weight(64, 32, 4, 32), 4)), gptq_config(4, 32))
    fp8 = write_folder(tmp_path / "fp8", {"w": VALUES}, {"quantization_config": {"quant_method": "fp8"}})
    paths = [tmp_path / "a.gguf", tmp_path / "a.safetensors", gptq, fp8]
    command = [sys.executable, "-c", code, *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_first_bytes_decide_the_format(tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(gguf_bytes([gguf_entry("w", [1])], data=bytes(4)))
    assert read_header(tmp_path / "model").format == "gguf"
    (tmp_path / "weights.bin").write_bytes(safetensors_bytes("{}"))
    assert read_header(str(tmp_path / "weights.bin")).format == "safetensors"


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("missing.gguf", "No such file"),
        ("no/such/folder.gguf", "No such file"),
        ("x" * 300, "name too long"),
        ("nul\0.gguf", "null"),
        ("loop.gguf", "symbolic links"),
        ("pipe.gguf", "no regular file"),
    ],
)
def test_files_that_cannot_be_opened(tmp_path: Path, path: str, says: str) -> None:
    (tmp_path / "loop.gguf").symlink_to(tmp_path / "loop.gguf")
    os.mkfifo(tmp_path / "pipe.gguf")
    assert says in refusal(str(tmp_path) + "/" + path, "TL4001")


def test_a_file_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    path = tmp_path / "a.gguf"
    path.write_bytes(b"GGUF")
    # Tests may run as root, whom no mode keeps out.
    monkeypatch.setattr(files, "open", refuse, raising=False)
    assert f"`{path}`: Permission denied" in refusal(path, "TL4001")


@pytest.mark.parametrize(
    ("name", "content", "code", "says"),
    [
        ("a.gguf", b"", "TL4003", "empty"),
        ("a.safetensors", b"", "TL4003", "empty"),
        ("a.txt", b"hello, this is text", "TL4002", "neither"),
        ("a.pt", b"PK\x03\x04 and so on", "TL4002", "safetensors.torch.save_file"),
        ("a.mlmodel", b"\x08\x01", "TL4003", "holds no model"),
        ("a.safetensors", b"version https://git-lfs.github.com/spec/v1\noid", "TL4004", "git lfs pull"),
        ("a.gguf", b"<!DOCTYPE html><html>", "TL4002", "web page"),
        ("a.safetensors", b"\n<html>404", "TL4002", "web page"),
        ("a.safetensors", b"PK\x03\x04 and so on", "TL4002", "ZIP archive"),
        ("a.gguf", b"something else", "TL4003", "four letters"),
    ],
)
def test_files_that_are_no_model(tmp_path: Path, name: str, content: bytes, code: str, says: str) -> None:
    (tmp_path / name).write_bytes(content)
    message = refusal(tmp_path / name, code)
    assert str(tmp_path / name) in message
    assert says in message


def test_a_disk_that_fails_is_told_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    path = tmp_path / "a.safetensors"
    save_file({"a": VALUES, "b": VALUES.astype(np.float16)}, path)
    model = load_model(path)
    monkeypatch.setattr(os, "pread", fail)
    monkeypatch.setattr(os, "preadv", fail)
    for name in ("a", "b"):
        with pytest.raises(ModelFileError, match=f"tensor `{name}` of `{path}`: Input/output error") as caught:
            model.get_tensor(name)
        assert caught.value.code == "TL4001"
    assert f"`{path}`: Input/output error" in refusal(path, "TL4001")


def test_a_refused_file_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "a.gguf"
    path.write_bytes(b"GGUF")
    before = len(os.listdir("/dev/fd"))
    refusal(path, "TL4003")
    path.write_bytes(gguf_bytes())
    read_header(path)
    assert len(os.listdir("/dev/fd")) == before
    _, opened = open_model(path)
    assert len(os.listdir("/dev/fd")) == before + 1
    for file in opened.values():
        file.close()


def shards(folder: Path, **changed: Any) -> Path:
    """A folder of two shards; `changed` adds to the index's map."""
    save_file({"a": VALUES, "b": VALUES * 2}, folder / "one.safetensors", metadata={"format": "pt"})
    save_file({"c": VALUES * 3}, folder / "two.safetensors")
    places = {"a": "one.safetensors", "c": "two.safetensors", "b": "one.safetensors"} | changed
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {"x": 1}, "weight_map": places}))
    return folder


def test_a_folder_of_shards(tmp_path: Path) -> None:
    config = {"model_type": "bert", "n": 3, "rope": {"theta": 1e4}, "gone": None, "l": [1, 2], "deep": [[1]]}
    (shards(tmp_path) / "config.json").write_text(json.dumps(config))
    header = read_header(tmp_path)
    assert {name: info.file.name for name, info in header.tensors.items()} == {
        "a": "one.safetensors",
        "b": "one.safetensors",
        "c": "two.safetensors",
    }
    assert header.metadata == {"format": "pt", "model_type": "bert", "n": 3, "rope.theta": 1e4, "l": (1, 2)}
    assert read_header(tmp_path / "model.safetensors.index.json").tensors == header.tensors


def test_a_folder_with_one_file(tmp_path: Path) -> None:
    save_file({"a": VALUES}, tmp_path / "model.safetensors")
    header = read_header(tmp_path)
    assert (list(header.tensors), header.path) == (["a"], tmp_path)


def test_a_folder_without_a_model(tmp_path: Path) -> None:
    assert "model.safetensors" in refusal(tmp_path, "TL4002")
    (tmp_path / "a.mlpackage").mkdir()
    assert "it is no package" in refusal(tmp_path / "a.mlpackage", "TL4003")


@pytest.mark.parametrize(
    "place",
    [
        "../one.safetensors",
        "/etc/passwd",
        "",
        ".",
        "..",
        "a/b.safetensors",
        "one.bin",
        7,
        "..\\one.safetensors/",
        "./one.safetensors",
    ],
)
def test_shards_lie_in_the_folder_itself(tmp_path: Path, place: object) -> None:
    refusal(shards(tmp_path, z=place), "TL4003")


def test_shards_that_are_missing_or_lack_a_tensor(tmp_path: Path) -> None:
    assert "three.safetensors" in refusal(shards(tmp_path, z="three.safetensors"), "TL4001")
    assert "`z`" in refusal(shards(tmp_path, z="two.safetensors"), "TL4003")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[" * 10**5, "deeply"),
        ('{"a":' * 10**5, "deeply"),
        ("[]", "no JSON object"),
        ("{", "no valid JSON"),
        ('{"weight_map": 1}', "weight_map"),
        ('{"a": 1, "a": 2}', "twice"),
        ('{"a": "\\ud800"}', "no valid JSON"),
        ("1" * 5000, "no valid JSON"),
    ],
)
def test_an_index_that_is_damaged(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "model.safetensors.index.json"
    path.write_text(text)
    message = refusal(tmp_path, "TL4003")
    assert str(path) in message
    assert says in message


def test_an_index_that_is_too_long(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors.index.json"
    path.touch()
    os.truncate(path, 30_000_000)
    refusal(tmp_path, "TL4004")


def packed_by_mlx(folder: Path, quantization: object) -> Path:
    entries = {
        "x.weight": {"dtype": "U32", "shape": [2, 4], "data_offsets": [0, 32]},
        "x.scales": {"dtype": "F16", "shape": [2, 1], "data_offsets": [32, 36]},
        "x.biases": {"dtype": "F16", "shape": [2, 1], "data_offsets": [36, 40]},
    }
    (folder / "model.safetensors").write_bytes(safetensors_bytes(entries, bytes(40)))
    (folder / "config.json").write_text(json.dumps({"quantization": quantization}))
    return folder


@pytest.mark.parametrize(
    "quantization",
    [{"bits": 4, "group_size": 32}, {"bits": 8, "group_size": 64, "x": {"bits": 4, "group_size": 32}}],
)
def test_a_folder_that_mlx_lm_quantized(tmp_path: Path, quantization: dict[str, Any]) -> None:
    tensors = read_header(packed_by_mlx(tmp_path, quantization)).tensors
    assert {name: (info.storage, info.shape) for name, info in tensors.items()} == {
        "x.weight": ("MLX_4BIT_G32", (2, 32))
    }


@pytest.mark.parametrize(
    "quantization",
    [
        {"bits": 4},
        {"bits": "4", "group_size": 32},
        {"bits": 4.0, "group_size": 32},
        {"bits": [], "group_size": {}},
        {"bits": 7, "group_size": 32},
    ],
)
def test_a_configuration_that_is_no_layout(tmp_path: Path, quantization: dict[str, Any]) -> None:
    assert "config.json" in refusal(packed_by_mlx(tmp_path, quantization), "TL4003")
