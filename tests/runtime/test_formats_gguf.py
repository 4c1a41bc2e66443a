"""GGUF headers: what a sound one says, and that every damaged one is refused by name."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import gguf
import numpy as np
import pytest

from tensorlogic.runtime.errors import ModelFileError
from tensorlogic.runtime.formats import read_header
from tensorlogic.runtime.formats.gguf import header
from tensorlogic.runtime.formats.gguf.header import MAX_KEYS, MAX_STRINGS
from tensorlogic.runtime.formats.gguf.types import STORAGES
from tensorlogic.runtime.formats.header import MAX_TENSORS
from tests.runtime.model_files import (
    gguf_bytes,
    gguf_entry,
    gguf_key,
    gguf_string,
    random_blocks,
    write_gguf,
)

ONE = gguf_entry("w", [8], 0)
"""A vector of eight float32, 32 bytes."""
DATA = bytes(32)


def refusal(tmp_path: Path, content: bytes, code: str) -> str:
    """The message with which a file of this content is refused; it names the file."""
    path = tmp_path / "bad.gguf"
    path.write_bytes(content)
    with pytest.raises(ModelFileError) as caught:
        read_header(path)
    assert caught.value.code == code
    assert str(path) in caught.value.message
    return caught.value.message


def test_names_shapes_types_and_places(tmp_path: Path) -> None:
    blocks = random_blocks("Q4_1", (3,), 64, seed=1)
    matrix = np.arange(6, dtype=np.float16).reshape(2, 3)
    path = write_gguf(tmp_path / "a.gguf", {"q": ("Q4_1", blocks), "m": matrix, "i": np.arange(3, dtype=np.int32)})
    header = read_header(path)
    assert (header.format, header.path) == ("gguf", path)
    assert list(header.tensors) == ["q", "m", "i"]
    quantized, dense, integers = header.tensors.values()
    assert (quantized.storage, quantized.shape, quantized.dtype, quantized.nbytes) == ("Q4_1", (3, 64), "float16", 120)
    assert (dense.storage, dense.shape, dense.dtype, dense.nbytes) == ("F16", (2, 3), "float16", 12)
    assert (integers.storage, integers.dtype) == ("I32", "int32")
    content = path.read_bytes()
    assert content[quantized.offset :][:120] == blocks.tobytes()
    assert content[dense.offset :][:12] == matrix.tobytes()


def test_metadata_of_every_kind(tmp_path: Path) -> None:
    keys = [
        gguf_key("u8", 0, b"\xff"),
        gguf_key("i8", 1, b"\xff"),
        gguf_key("u16", 2, b"\xff\xff"),
        gguf_key("i16", 3, b"\xff\xff"),
        gguf_key("u32", 4, b"\xff" * 4),
        gguf_key("i32", 5, b"\xff" * 4),
        gguf_key("f32", 6, struct.pack("<f", 0.5)),
        gguf_key("bool", 7, b"\x01"),
        gguf_key("string", 8, gguf_string("größe")),
        gguf_key("u64", 10, b"\xff" * 8),
        gguf_key("i64", 11, b"\xff" * 8),
        gguf_key("f64", 12, struct.pack("<d", 0.1)),
        gguf_key("i16s", 9, struct.pack("<IQ3h", 3, 3, 1, -2, 3)),
        gguf_key("bools", 9, struct.pack("<IQ2B", 7, 2, 1, 0)),
        gguf_key("words", 9, struct.pack("<IQ", 8, 3) + gguf_string("a") + gguf_string("") + gguf_string("ü")),
        gguf_key("nothing", 9, struct.pack("<IQ", 8, 0)),
    ]
    path = tmp_path / "a.gguf"
    path.write_bytes(gguf_bytes([ONE], keys, DATA))
    metadata = read_header(path).metadata
    assert dict(metadata) == {
        "u8": 255,
        "i8": -1,
        "u16": 65535,
        "i16": -1,
        "u32": 2**32 - 1,
        "i32": -1,
        "f32": 0.5,
        "bool": True,
        "string": "größe",
        "u64": 2**64 - 1,
        "i64": -1,
        "f64": 0.1,
        "i16s": (1, -2, 3),
        "bools": (True, False),
        "words": ("a", "", "ü"),
        "nothing": (),
    }
    assert len(metadata) == len(keys)
    assert metadata["words"] is metadata["words"]


@pytest.mark.parametrize("number", sorted(STORAGES))
def test_block_sizes_are_the_librarys(number: int) -> None:
    kind = gguf.GGMLQuantizationType(number)
    size, nbytes = gguf.GGML_QUANT_SIZES[kind]
    # Two float16 and 32 bytes in ggml itself; the Python library still counts two float32. No file holds it.
    nbytes = 36 if kind.name == "Q8_1" else nbytes
    storage = STORAGES[number]
    assert (storage.name, storage.block_size, storage.block_bytes) == (kind.name, size, nbytes)


def test_a_type_that_nothing_decodes_is_listed(tmp_path: Path) -> None:
    path = tmp_path / "a.gguf"
    path.write_bytes(gguf_bytes([gguf_entry("w", [256, 2], 15)], data=bytes(584)))
    info = read_header(path).tensors["w"]
    assert (info.storage, info.shape, info.dtype, info.readable) == ("Q8_K", (2, 256), "float16", False)


def test_every_type_that_the_library_decodes_is_read() -> None:
    """What it learns to decode later shows here."""
    decoded = {kind.name for kind in gguf.quants._type_traits} | {"F16", "F32"}
    dense = {"F32", "F16", "BF16", "F64", "I8", "I16", "I32", "I64"}
    readable = {storage.name for storage in STORAGES.values() if storage.readable}
    assert readable == decoded | dense
    assert {storage.name for storage in STORAGES.values() if storage.block_size > 1 and storage.readable} == (
        decoded - dense
    )


def test_a_scalar_an_empty_tensor_and_no_tensor_are_fine(tmp_path: Path) -> None:
    path = tmp_path / "a.gguf"
    path.write_bytes(gguf_bytes([gguf_entry("s", []), gguf_entry("e", [0, 3], offset=32)], data=DATA))
    tensors = read_header(path).tensors
    assert (tensors["s"].shape, tensors["s"].nbytes) == ((), 4)
    assert (tensors["e"].shape, tensors["e"].nbytes) == ((3, 0), 0)
    path.write_bytes(gguf_bytes())
    assert read_header(path).tensors == {}


def test_version_2_and_another_alignment_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.gguf"
    keys = [gguf_key("general.alignment", 4, struct.pack("<I", 64))]
    path.write_bytes(gguf_bytes([ONE], keys, DATA, version=2, alignment=64))
    assert read_header(path).tensors["w"].offset % 64 == 0


def test_every_prefix_is_refused(tmp_path: Path) -> None:
    keys = [
        gguf_key("general.name", 8, gguf_string("name")),
        gguf_key("words", 9, struct.pack("<IQ", 8, 2) + gguf_string("a") + gguf_string("b")),
        gguf_key("n", 4, b"\1\0\0\0"),
    ]
    content = gguf_bytes([ONE, gguf_entry("v", [4, 2], 0, 32)], keys, DATA * 2)
    path = tmp_path / "whole.gguf"
    path.write_bytes(content)
    assert len(read_header(path).tensors) == 2
    for length in range(len(content)):
        refusal(tmp_path, content[:length], "TL4003")


HUGE = [2**31, 2**32, 2**62, 2**63, 2**64 - 1]


@pytest.mark.parametrize("count", HUGE)
def test_absurd_counts_and_lengths(tmp_path: Path, count: int) -> None:
    refusal(tmp_path, gguf_bytes([ONE], data=DATA, tensor_count=count), "TL4003")
    refusal(tmp_path, gguf_bytes([ONE], data=DATA, key_count=count), "TL4003")
    length = struct.pack("<Q", count)
    refusal(tmp_path, gguf_bytes([length + ONE[8:]], data=DATA), "TL4003")
    refusal(tmp_path, gguf_bytes([ONE], [length + b"k" + struct.pack("<IB", 0, 1)], DATA), "TL4003")
    refusal(tmp_path, gguf_bytes([ONE], [gguf_key("k", 8, length + b"text")], DATA), "TL4003")
    for kind in (0, 4, 8, 12):
        refusal(tmp_path, gguf_bytes([ONE], [gguf_key("k", 9, struct.pack("<IQ", kind, count))], DATA), "TL4003")
    words = struct.pack("<IQ", 8, 2) + gguf_string("a") + length
    refusal(tmp_path, gguf_bytes([ONE], [gguf_key("k", 9, words)], DATA), "TL4003")
    refusal(tmp_path, gguf_bytes([gguf_entry("w", [count])], data=DATA), "TL4003")
    refusal(tmp_path, gguf_bytes([gguf_entry("w", [count, 0])], data=DATA), "TL4003")
    refusal(tmp_path, gguf_bytes([gguf_entry("w", [8], offset=count & -32)], data=DATA), "TL4003")


def test_many_small_things_are_bounded(tmp_path: Path) -> None:
    """Counts that fit a large file, and would take memory or time out of proportion."""
    path = tmp_path / "bad.gguf"
    words = gguf_key("k", 9, struct.pack("<IQ", 8, MAX_STRINGS + 1))
    for tensors, keys, body in [(MAX_TENSORS + 1, 0, b""), (0, MAX_KEYS + 1, b""), (0, 1, words)]:
        path.write_bytes(gguf_bytes([body], tensor_count=tensors, key_count=keys))
        os.truncate(path, 64_000_000)
        with pytest.raises(ModelFileError) as caught:
            read_header(path)
        assert caught.value.code == "TL4004"


@pytest.mark.parametrize("rank", [9, 2**31, 2**32 - 1])
def test_absurd_ranks(tmp_path: Path, rank: int) -> None:
    assert f"{rank} dims" in refusal(tmp_path, gguf_bytes([gguf_entry("w", [1] * 9, rank=rank)], data=DATA), "TL4003")


def test_a_rank_that_hides_the_dims(tmp_path: Path) -> None:
    refusal(tmp_path, gguf_bytes([gguf_entry("w", [8], rank=0)], data=DATA), "TL4003")


@pytest.mark.parametrize("kind", [4, 5, 31, 33, 37, 1000, 2**32 - 1])
def test_unknown_storage_types(tmp_path: Path, kind: int) -> None:
    assert f"type {kind}" in refusal(tmp_path, gguf_bytes([gguf_entry("w", [32], kind)], data=DATA * 8), "TL4004")


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        (4, struct.pack("<I", 0)),
        (4, struct.pack("<I", 3)),
        (4, struct.pack("<I", 48)),
        (10, struct.pack("<Q", 2**40)),
        (10, struct.pack("<Q", 2**64 - 1)),
        (11, struct.pack("<q", -32)),
        (7, b"\x01"),
        (6, struct.pack("<f", 32)),
        (8, gguf_string("32")),
    ],
)
def test_absurd_alignments(tmp_path: Path, kind: int, payload: bytes) -> None:
    content = gguf_bytes([ONE], [gguf_key("general.alignment", kind, payload)], DATA)
    assert "general.alignment" in refusal(tmp_path, content, "TL4003")


def test_an_alignment_beyond_the_file(tmp_path: Path) -> None:
    keys = [gguf_key("general.alignment", 4, struct.pack("<I", 2**31))]
    assert "data ends" in refusal(tmp_path, gguf_bytes([ONE], keys, DATA), "TL4003")


def test_wrong_magic_and_versions(tmp_path: Path) -> None:
    assert "four letters" in refusal(tmp_path, gguf_bytes([ONE], data=DATA, magic=b"GGML"), "TL4003")
    assert "big-endian" in refusal(tmp_path, b"GGUF" + struct.pack(">IQQ", 3, 1, 0) + bytes(64), "TL4004")
    for version in (0, 1, 4, 2**31 + 1):
        message = refusal(tmp_path, gguf_bytes([ONE], data=DATA, version=version), "TL4004")
        assert f"version {version}" in message or "big-endian" in message


def test_duplicates(tmp_path: Path) -> None:
    key = gguf_key("k", 0, b"\1")
    assert "`k` occurs twice" in refusal(tmp_path, gguf_bytes([ONE], [key, key], DATA), "TL4003")
    entries = [ONE, gguf_entry("w", [8], 0, 32)]
    assert "`w` occurs twice" in refusal(tmp_path, gguf_bytes(entries, data=DATA * 2), "TL4003")


def test_offsets(tmp_path: Path) -> None:
    far = gguf_bytes([gguf_entry("w", [8], 0, 64)], data=DATA * 2)
    assert "data ends" in refusal(tmp_path, far, "TL4003")
    assert "aligned" in refusal(tmp_path, gguf_bytes([gguf_entry("w", [8], 0, 4)], data=DATA * 2), "TL4003")
    wrapped = gguf_bytes([gguf_entry("w", [8], 0, 2**64 - 32)], data=DATA)
    assert "data ends" in refusal(tmp_path, wrapped, "TL4003")
    entries = [gguf_entry("v", [16]), gguf_entry("w", [8], 0, 32)]
    assert "`v` and `w` overlap" in refusal(tmp_path, gguf_bytes(entries, data=DATA * 4), "TL4003")


def test_rows_that_are_no_whole_blocks(tmp_path: Path) -> None:
    assert "blocks" in refusal(tmp_path, gguf_bytes([gguf_entry("w", [16, 2], 2)], data=DATA), "TL4003")


def test_metadata_types_that_are_not_there(tmp_path: Path) -> None:
    for kind in (13, 2**32 - 1):
        assert "type" in refusal(tmp_path, gguf_bytes([ONE], [gguf_key("k", kind, bytes(16))], DATA), "TL4003")
        array = gguf_key("k", 9, struct.pack("<IQ", kind, 1))
        assert "type" in refusal(tmp_path, gguf_bytes([ONE], [array], DATA), "TL4003")
    nested = gguf_key("k", 9, struct.pack("<IQIQ", 9, 1, 0, 0))
    assert "array of arrays" in refusal(tmp_path, gguf_bytes([ONE], [nested], DATA), "TL4004")


def test_names_that_are_no_text(tmp_path: Path) -> None:
    refusal(tmp_path, gguf_bytes([gguf_entry(b"\xff\xfe", [8])], data=DATA), "TL4003")
    refusal(tmp_path, gguf_bytes([ONE], [gguf_key(b"\xc3", 0, b"\1")], DATA), "TL4003")
    path = tmp_path / "late.gguf"
    words = struct.pack("<IQ", 8, 2) + gguf_string("a") + gguf_string(b"\xff")
    path.write_bytes(gguf_bytes([ONE], [gguf_key("k", 9, words)], DATA))
    metadata = read_header(path).metadata
    with pytest.raises(ModelFileError, match=r"string 1 of the metadata key `k`"):
        metadata["k"]


def test_a_long_header_is_read_in_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = [f"word {i}" for i in range(500)]
    path = write_gguf(tmp_path / "a.gguf", {"w": np.ones(4, np.float32)}, {"words": words, "last": 7})
    monkeypatch.setattr(header, "_FIRST_BYTES", 8)
    found = read_header(path)
    assert (found.metadata["words"], found.metadata["last"], list(found.tensors)) == (tuple(words), 7, ["w"])


def test_a_file_that_shrinks_while_its_header_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_gguf(tmp_path / "a.gguf", {"w": np.ones(4, np.float32)}, {"words": ["a", "b"]})
    pread = os.pread
    monkeypatch.setattr(os, "pread", lambda file, count, place: pread(file, max(0, min(count, 60 - place)), place))
    with pytest.raises(ModelFileError, match="it became shorter while it was read") as caught:
        read_header(path)
    assert caught.value.code == "TL4003"


def test_a_header_without_bounds_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "a.gguf"
    path.write_bytes(gguf_bytes([], [gguf_key("k", 8, struct.pack("<Q", 3 << 30))]))
    os.truncate(path, 5 << 30)
    with pytest.raises(ModelFileError, match="its header has more than 1073741824 bytes") as caught:
        read_header(path)
    assert caught.value.code == "TL4004"
