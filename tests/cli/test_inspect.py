"""`tlc inspect`: what it shows of a file's header, on terminals and in pipes, and what it refuses."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from tensorlogic.cli import main
from tensorlogic.runtime.formats.values import Array
from tensorlogic.runtime.models import load_model, save_model
from tests.cli.terminal import in_terminal
from tests.models import MINILM, SMOLLM2, model_path
from tests.runtime.model_files import (
    gguf_bytes,
    gguf_entry,
    gguf_key,
    gguf_string,
    random_blocks,
    safetensors_bytes,
    write_gguf,
)

METADATA: dict[str, Any] = {
    "general.name": "A model",
    "long": "x" * 70,
    "flags": [1, 2, 3],
    "many": list(range(20)),
    "tokenizer.ggml.tokens": ["a", "b"],
    "epsilon": 1e-5,
}


def tlc(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["inspect", *arguments], prog_name="tlc")


def parsed(*arguments: str) -> Any:
    return json.loads(tlc(*arguments, "--json").stdout)


@pytest.fixture
def model(tmp_path: Path) -> str:
    tensors: dict[str, Array | tuple[str, Array]] = {
        "embed.weight": np.ones((100, 32), np.float16),
        "blk.0.attn.weight": ("Q4_1", random_blocks("Q4_1", (32,), 64, seed=1)),
        "blk.0.norm.weight": np.full(32, 0.5, np.float32),
    }
    return str(write_gguf(tmp_path / "a.gguf", tensors, METADATA))


def test_in_a_pipe(model: str) -> None:
    result = tlc(model)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == (
        "Metadata\n"
        "general.architecture   test\n"
        "general.name           A model\n"
        f"long                   {'x' * 60}… (70 characters)\n"
        "flags                  [1, 2, 3]\n"
        "many                   list of 20 integers\n"
        "tokenizer.ggml.tokens  list of 2 strings\n"
        "epsilon                9.99999975e-06\n"
        "\n"
        "name               type  shape        size\n"
        "embed.weight       F16   [100, 32]  6.4 kB\n"
        "blk.0.attn.weight  Q4_1  [32, 64]   1.3 kB\n"
        "blk.0.norm.weight  F32   [32]        128 B\n"
        "\n"
        f"file          {model}\n"
        "format        gguf\n"
        "architecture  test\n"
        "quantization  Q4_1\n"
        "tensors       3\n"
        "parameters    5,280\n"
        "size          7.8 kB (7,808 bytes)\n"
        "\n"
        "type  tensors  parameters    size\n"
        "F16         1       3,200  6.4 kB\n"
        "Q4_1        1       2,048  1.3 kB\n"
        "F32         1          32   128 B\n"
    )


def test_a_narrow_terminal_stacks_and_cuts_nothing(model: str) -> None:
    screen = in_terminal("inspect", model, columns=40, environment={"NO_COLOR": "1"})
    lines = screen.text.splitlines()
    assert screen.status == 0
    assert "\x1b" not in screen.text
    assert max(map(len, lines)) <= 40
    start = lines.index("embed.weight")
    assert lines[start : start + 6] == [
        "embed.weight",
        "  F16  [100, 32]  6.4 kB",
        "blk.0.attn.weight",
        "  Q4_1  [32, 64]  1.3 kB",
        "blk.0.norm.weight",
        "  F32  [32]  128 B",
    ]
    place = lines.index("tensors       3") - 4
    path = "".join(line[14:] for line in lines[: place + 1] if line.startswith(("file   ", " " * 14)))
    assert path == model


def test_a_wide_terminal_is_coloured_and_says_the_same(model: str) -> None:
    wide = in_terminal("inspect", model, columns=200)
    assert "\x1b[1mname\x1b[0m" in wide.text
    assert "\x1b[36mQ4_1\x1b[0m" in wide.text
    plain = in_terminal("inspect", model, columns=200, environment={"NO_COLOR": "1"}).text
    assert plain == tlc(model).stdout


def test_json(model: str) -> None:
    found = parsed(model)
    names = ["path", "format", "architecture", "quantization", "metadata", "inputs", "outputs", "tensors", "totals"]
    assert list(found) == names
    assert (found["path"], found["format"], found["architecture"]) == (model, "gguf", "test")
    assert found["quantization"] == "Q4_1"
    assert found["metadata"]["long"] == "x" * 70
    assert found["metadata"]["many"] == list(range(20))
    assert found["tensors"][1] == {
        "name": "blk.0.attn.weight",
        "storage": "Q4_1",
        "dtype": "float16",
        "shape": [32, 64],
        "bytes": 1280,
        "packed": {"bits": 4, "group_size": 32, "mode": "affine"},
        "readable": True,
    }
    assert found["totals"]["storages"]["F32"] == {"tensors": 1, "parameters": 32, "bytes": 128}
    assert {key: found["totals"][key] for key in ("tensors", "parameters", "bytes")} == {
        "tensors": 3,
        "parameters": 5280,
        "bytes": 7808,
    }


def test_json_has_neither_long_lists_nor_numbers_that_are_none(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "a.gguf", {}, {"big": ["a"] * 1001, "nan": float("nan"), "inf": [float("-inf"), 1.0]})
    assert parsed(str(path))["metadata"] == {
        "general.architecture": "test",
        "big": {"list": 1001},
        "nan": "nan",
        "inf": ["-inf", 1.0],
    }


def test_filter(model: str) -> None:
    result = tlc(model, "--filter", "*norm*")
    assert result.exit_code == 0
    assert "blk.0.norm.weight" in result.stdout
    assert "attn" not in result.stdout
    assert "Metadata" not in result.stdout
    assert "tensors       1 of 3\n" in result.stdout
    assert [t["name"] for t in parsed(model, "--filter", "embed*", "--filter", "*norm*")["tensors"]] == [
        "embed.weight",
        "blk.0.norm.weight",
    ]


@pytest.mark.parametrize(
    ("pattern", "help"),
    [
        ("attn", "`--filter '*attn*'` matches 1 of them"),
        ("blk.0.atn.weight", "did you mean `blk.0.attn.weight` or `blk.0.norm.weight`?"),
    ],
)
@pytest.mark.parametrize("more", [(), ("--json",)])
def test_a_filter_for_nothing(model: str, pattern: str, help: str, more: tuple[str, ...]) -> None:
    result = tlc(model, "--filter", pattern, *more)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(f"error[TL4040]: no tensor of `{model}` matches `{pattern}`\n")
    assert f"= help: {help}\n" in result.stderr


HOSTILE = "a\x1b[2J\x1b]0;title\x07[red]\u202eb\nc\x7f\u0085"
SAFE = "a\\u{1B}[2J\\u{1B}]0;title\\u{7}[red]\\u{202E}b\\nc\\u{7F}\\u{85}"


def hostile_file(folder: Path) -> str:
    entry = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
    path = folder / "a.safetensors"
    header = {"__metadata__": {HOSTILE: HOSTILE, "model_type": HOSTILE}, HOSTILE: entry}
    path.write_bytes(safetensors_bytes(header, bytes(4)))
    return str(path)


@pytest.mark.parametrize("arguments", [(), ("--stats",), ("--json",)])
def test_names_cannot_control_the_terminal(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    path = hostile_file(tmp_path)
    shown = in_terminal("inspect", path, *arguments, columns=300, environment={"NO_COLOR": "1"}).text
    assert shown.replace("\n", "").isprintable()
    if arguments != ("--json",):
        assert SAFE in shown
    other = tmp_path / "b.safetensors"
    other.write_bytes(safetensors_bytes({}))
    shown = in_terminal("inspect", path, "--diff", str(other), columns=300, environment={"NO_COLOR": "1"}).text
    assert shown.replace("\n", "").isprintable()
    assert SAFE in shown


def test_wide_and_very_long_names_keep_the_columns(tmp_path: Path) -> None:
    names = ["重み", "é" * 10, "x" * 500]
    header = {name: {"dtype": "F32", "shape": [1], "data_offsets": [4 * i, 4 * i + 4]} for i, name in enumerate(names)}
    path = tmp_path / "a.safetensors"
    path.write_bytes(safetensors_bytes(header, bytes(12)))
    lines = tlc(str(path)).stdout.splitlines()
    assert f"重み{' ' * 96}  F32   [1]     4 B" in lines
    assert f"{'é' * 10}{' ' * 90}  F32   [1]     4 B" in lines
    assert f"{'x' * 500}  F32   [1]     4 B" in lines
    narrow = in_terminal("inspect", str(path), columns=40).text
    assert "".join(line for line in narrow.splitlines() if line.startswith("xx")) == "x" * 500


@pytest.mark.parametrize("arguments", [(), ("--json",), ("--stats",)])
@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("gone.gguf", None, "TL4001"),
        ("a.gguf", b"GGUF\x03\x00\x00\x00", "TL4003"),
        ("a.safetensors", b"\xff" * 20, "TL4003"),
        ("a.txt", b"hello, world", "TL4002"),
    ],
)
def test_one_error_for_what_is_no_model(
    tmp_path: Path, name: str, content: bytes | None, code: str, arguments: tuple[str, ...]
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    result = tlc(str(path), *arguments)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.count("error[") == 1
    assert f"error[{code}]" in result.stderr


def test_a_folder_an_index_and_a_packed_weight(tmp_path: Path) -> None:
    """The words, scales and biases of a weight are one tensor, with the bytes of all three."""
    blocks = random_blocks("Q4_1", (32,), 64, seed=1)
    source = load_model(write_gguf(tmp_path / "a.gguf", {"blk.weight": ("Q4_1", blocks)}))
    save_model(source, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text('{"model_type": "llama", "hidden_size": 64}')
    found = parsed(str(tmp_path))
    assert (found["architecture"], found["quantization"]) == ("test", "MLX_4BIT_G32")
    assert (found["tensors"][0]["shape"], found["tensors"][0]["bytes"]) == ([32, 64], 32 * 64 // 2 + 2 * 32 * 2 * 2)
    assert found["metadata"]["hidden_size"] == 64
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"blk.weight": "model.safetensors"}}))
    assert "blk.weight" in tlc(str(index)).output


def test_types_that_are_not_read_are_told(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    entry = {"dtype": "C64", "shape": [1], "data_offsets": [0, 8]}
    path.write_bytes(safetensors_bytes({"w": entry}, bytes(8)))
    result = tlc(str(path))
    assert result.exit_code == 0
    assert "1 tensor of type C64 cannot be read by this version.\n" in result.stdout


def test_a_vocabulary_that_is_no_text_does_not_hide_the_rest(tmp_path: Path) -> None:
    bad = struct.pack("<IQ", 8, 1) + gguf_string(b"\xff")
    path = tmp_path / "a.gguf"
    path.write_bytes(gguf_bytes([gguf_entry("w", [8])], [gguf_key("tokens", 9, bad)], bytes(32)))
    result = tlc(str(path))
    assert result.exit_code == 0
    assert "is no valid UTF-8" in result.stdout
    assert "[8]" in result.stdout
    assert parsed(str(path))["metadata"]["tokens"]["problem"]["code"] == "TL4003"


def test_an_empty_model(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(safetensors_bytes({}))
    assert tlc(str(path), "--stats").stdout == (
        f"file        {path}\nformat      safetensors\ntensors     0\nparameters  0\nsize        0 B\n"
    )


def sparse(path: Path, nbytes: int) -> Path:
    """A model of which only the header is on the disk."""
    if path.suffix == ".gguf":
        head = gguf_bytes([gguf_entry("w", [1024, nbytes // 2048], 1)])
    else:
        entry = {"dtype": "F16", "shape": [nbytes // 2048, 1024], "data_offsets": [0, nbytes]}
        head = safetensors_bytes({"w": entry})
    with path.open("wb") as file:
        file.write(head)
        file.truncate(len(head) + nbytes)
    return path


@pytest.mark.parametrize("name", ["a.safetensors", "a.gguf"])
def test_a_file_of_100_gb_is_opened_by_its_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    sizes: list[int] = []
    pread = os.pread

    def counted(descriptor: int, size: int, offset: int) -> bytes:
        sizes.append(size)
        return pread(descriptor, size, offset)

    path = sparse(tmp_path / name, 100 * 2**30)
    monkeypatch.setattr(os, "pread", counted)
    result = tlc(str(path))
    assert result.exit_code == 0
    assert "size        107.4 GB (107,374,182,400 bytes)\n" in result.stdout
    assert sum(sizes) < 1_100_000


def test_the_header_needs_neither_numpy_nor_mlx_nor_rich(model: str) -> None:
    code = (
        "import sys\n"
        "from tensorlogic.cli import main\n"
        f"assert main(['inspect', {model!r}], standalone_mode=False) == 0\n"
        f"assert main(['inspect', {model!r}, '--json'], standalone_mode=False) == 0\n"
        "print(*{name.partition('.')[0] for name in sys.modules}, file=sys.stderr)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "tensorlogic" in ran.stderr.split()
    assert not {"numpy", "mlx", "rich"} & set(ran.stderr.split())


def test_many_tensors_into_a_pipe_that_closes(tmp_path: Path) -> None:
    entries = {f"layer.{i}": {"dtype": "F16", "shape": [0], "data_offsets": [0, 0]} for i in range(20_000)}
    path = tmp_path / "a.safetensors"
    path.write_bytes(safetensors_bytes(entries))
    reader, writer = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-m", "tensorlogic", "inspect", str(path)], stdout=writer, stderr=subprocess.PIPE
    )
    os.close(writer)
    assert os.read(reader, 4) == b"name"
    os.close(reader)
    assert process.communicate()[1] == b""
    assert process.returncode == 141


def test_real_models() -> None:
    found = parsed(str(model_path(SMOLLM2)))
    assert (found["architecture"], found["quantization"], len(found["tensors"])) == ("llama", "Q4_1", 272)
    assert found["totals"]["parameters"] == 134_515_008
    text = tlc(str(model_path(SMOLLM2))).stdout
    assert "list of 49,152 strings" in text
    assert parsed(str(model_path(MINILM)))["architecture"] == "bert"
