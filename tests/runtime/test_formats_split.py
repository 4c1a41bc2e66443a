"""Split GGUF models: any part opens the whole, and parts that do not belong together are refused by name."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tensorlogic.runtime.errors import ModelFileError
from tensorlogic.runtime.formats import read_header
from tensorlogic.runtime.models import load_model
from tensorlogic.runtime.packed import dense
from tests.runtime.model_files import expanded, gguf_bytes, gguf_entry, gguf_key, gguf_string, random_blocks

BLOCKS = random_blocks("Q4_1", (2,), 64, seed=1)


def part_name(number: int, count: int = 3, stem: str = "model") -> str:
    return f"{stem}-{number:05}-of-{count:05}.gguf"


def part(
    number: int, count: int = 3, tensors: int = 4, *, names: tuple[str, ...] = (), architecture: str = ""
) -> bytes:
    """Part `number` of `count` with vectors of these names, and in the second part a quantized matrix."""
    keys = [
        gguf_key("split.no", 2, struct.pack("<H", number - 1)),
        gguf_key("split.count", 2, struct.pack("<H", count)),
        gguf_key("split.tensors.count", 5, struct.pack("<i", tensors)),
    ]
    if architecture:
        keys.append(gguf_key("general.architecture", 8, gguf_string(architecture)))
    entries = [gguf_entry(name, [8], 0, 32 * place) for place, name in enumerate(names)]
    data = b"".join(np.full(8, number * 10 + place, "<f4").tobytes() for place in range(len(names)))
    if number == 2:
        entries.append(gguf_entry("q", [64, 2], 3, len(data)))
        data += BLOCKS.tobytes()
    return gguf_bytes(entries, keys, data + bytes(-len(data) % 32))


def write_parts(folder: Path, change: Callable[[dict[str, bytes]], None] = lambda parts: None) -> None:
    parts = {
        part_name(1): part(1, names=("a", "b"), architecture="llama"),
        part_name(2): part(2),
        part_name(3): part(3, names=("c",)),
    }
    change(parts)
    for name, content in parts.items():
        (folder / name).write_bytes(content)


@pytest.mark.parametrize("opened", [1, 2, 3])
def test_any_part_opens_the_whole(tmp_path: Path, opened: int) -> None:
    write_parts(tmp_path)
    model = load_model(tmp_path / part_name(opened))
    assert model.tensors == ("a", "b", "q", "c")
    assert model.header.path == tmp_path / part_name(1)
    for name, value in {"a": 10, "b": 11, "c": 30}.items():
        assert dense(model.get_tensor(name)).tolist() == [value] * 8
    found = np.asarray(dense(load_model(tmp_path / part_name(opened), dtype="float32").get_tensor("q")))
    np.testing.assert_array_equal(found, expanded("Q4_1", BLOCKS))
    assert model.metadata.architecture == "llama"
    assert dict(model.header.metadata) == {"general.architecture": "llama"}
    assert dict(model.read_all()).keys() == set(model.tensors)


def test_a_model_of_one_part_is_any_model(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(part(1, 1, 1, names=("a",)))
    assert list(read_header(path).tensors) == ["a"]


def refusal(path: Path) -> ModelFileError:
    with pytest.raises(ModelFileError) as caught:
        read_header(path)
    assert "\n" not in caught.value.message
    return caught.value


@pytest.mark.parametrize("missing", [1, 3])
def test_a_missing_part(tmp_path: Path, missing: int) -> None:
    write_parts(tmp_path)
    (tmp_path / part_name(missing)).unlink()
    error = refusal(tmp_path / part_name(2))
    assert error.code == "TL4060"
    assert f"`{part_name(missing)}`, is not beside it" in error.message


def put(name: str, content: bytes) -> Callable[[dict[str, bytes]], None]:
    return lambda parts: parts.__setitem__(name, content)


@pytest.mark.parametrize(
    ("change", "wrong", "message"),
    [
        (put(part_name(3), part(2, names=("c",))), 3, "says that it is part 3, and its `split.no` that it is part 2"),
        (put(part_name(3), part(3, names=("a",))), 3, "`a` is in `model-00001-of-00003.gguf`, too"),
        (put(part_name(3), part(3, names=("c", "d"))), 1, "said to hold 4 tensors, and hold 5"),
        (put(part_name(3), part(3, 4, names=("c",))), 3, "`split.count` is not that of `model-00001-of-00003.gguf`"),
        (put(part_name(3), part(3, 3, 5, names=("c",))), 3, "`split.tensors.count` is not that of"),
        (put(part_name(3), part(3, names=("c",), architecture="gemma")), 3, "of another model"),
        (put(part_name(3), gguf_bytes([gguf_entry("c", [8])], data=bytes(32))), 3, "no part at all"),
        (put(part_name(1), part(1, 7, names=("a", "b"))), 1, "says that there are 3 parts, and its `split.count` 7"),
    ],
)
def test_parts_that_do_not_belong_together(
    tmp_path: Path, change: Callable[[dict[str, bytes]], None], wrong: int, message: str
) -> None:
    write_parts(tmp_path, change)
    error = refusal(tmp_path / part_name(1))
    assert error.code == "TL4061"
    assert message in error.message
    assert str(tmp_path / part_name(wrong)) in error.message


def test_a_part_that_is_no_gguf_file(tmp_path: Path) -> None:
    write_parts(tmp_path, put(part_name(2), b"something else"))
    assert refusal(tmp_path / part_name(1)).code == "TL4003"
    (tmp_path / part_name(2)).unlink()
    (tmp_path / part_name(2)).mkdir()
    assert refusal(tmp_path / part_name(1)).code == "TL4001"


def test_a_part_under_another_name(tmp_path: Path) -> None:
    path = tmp_path / "renamed.gguf"
    path.write_bytes(part(2))
    error = refusal(path)
    assert error.code == "TL4061"
    assert "does not say which" in error.message
    assert "NAME-00001-of-00003.gguf" in error.helps[0]


@pytest.mark.parametrize("count", [b"\xff" * 8, struct.pack("<q", -3), struct.pack("<q", 100_000)])
def test_absurd_counts(tmp_path: Path, count: bytes) -> None:
    path = tmp_path / part_name(1)
    path.write_bytes(gguf_bytes(keys=[gguf_key("split.count", 11, count)]))
    assert refusal(path).code == "TL4061"
