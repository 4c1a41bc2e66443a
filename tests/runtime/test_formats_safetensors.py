"""safetensors headers: what a sound one says, and that every damaged one is refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from tensorlogic.runtime.errors import ModelFileError
from tensorlogic.runtime.formats import read_header
from tensorlogic.runtime.formats.header import MAX_TENSORS
from tensorlogic.runtime.formats.safetensors.header import MAX_HEADER_BYTES, MAX_KEYS
from tests.runtime.model_files import safetensors_bytes

DATA = bytes(16)


def one(**changed: Any) -> dict[str, Any]:
    """The entry of a 2 x 2 float32 matrix, with members changed."""
    return {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]} | changed


def refusal(tmp_path: Path, content: bytes, code: str = "TL4003") -> str:
    """The message with which a file of this content is refused; it names the file."""
    path = tmp_path / "bad.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelFileError) as caught:
        read_header(path)
    assert caught.value.code == code
    assert str(path) in caught.value.message
    return caught.value.message


def test_names_shapes_types_and_places(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    matrix = np.arange(6, dtype=np.float32).reshape(2, 3)
    save_file(
        {
            "größe": matrix,
            "mask": np.array([True]),
            "ids": np.arange(3),
            "one": np.ones((1, 1), np.float16),
            "none": matrix[:0],
        },
        path,
        metadata={"format": "pt", "text": 'a "quoted" \\ line\nand more 😀'},
    )
    header = read_header(path)
    assert (header.format, header.path) == ("safetensors", path)
    info = header.tensors["größe"]
    assert (info.storage, info.shape, info.dtype, info.nbytes) == ("F32", (2, 3), "float16", 24)
    assert path.read_bytes()[info.offset :][:24] == matrix.tobytes()
    found = {name: (info.storage, info.dtype, info.shape) for name, info in header.tensors.items()}
    assert found == {
        "größe": ("F32", "float16", (2, 3)),
        "mask": ("BOOL", "bool", (1,)),
        "ids": ("I64", "int32", (3,)),
        "one": ("F16", "float16", (1, 1)),
        "none": ("F32", "float16", (0, 3)),
    }
    assert header.metadata == {"format": "pt", "text": 'a "quoted" \\ line\nand more 😀'}


def test_escapes_spaces_and_any_order_of_members(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    text = ' {"a\\u00e9\\ud83d\\ude00" : { "shape" : [ 2 , 2 ] ,"data_offsets":[0,16], "dtype":"F32"} }   '
    path.write_bytes(safetensors_bytes(text, DATA))
    assert list(read_header(path).tensors) == ["aé😀"]


def test_a_type_that_cannot_be_read_yet_is_listed(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(safetensors_bytes({"w": one(dtype="F4", data_offsets=[0, 2])}, DATA[:2]))
    info = read_header(path).tensors["w"]
    assert (info.storage, info.shape, info.readable) == ("F4", (2, 2), False)


def test_no_tensor_at_all_is_fine(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(safetensors_bytes("{}"))
    assert read_header(path).tensors == {}


def test_metadata_may_be_null_as_mlx_writes_it(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(safetensors_bytes('{"__metadata__":null}'))
    assert read_header(path).metadata == {}


def test_every_prefix_is_refused(tmp_path: Path) -> None:
    entries = {"__metadata__": {"format": "pt"}, "v": one(), "w": one(data_offsets=[16, 32])}
    content = safetensors_bytes(entries, DATA * 2)
    for length in range(len(content)):
        refusal(tmp_path, content[:length])


@pytest.mark.parametrize("length", [0, 1, 10**4, 2**31, 2**60, 2**63, 2**64 - 1])
def test_absurd_header_lengths(tmp_path: Path, length: int) -> None:
    refusal(tmp_path, safetensors_bytes({"w": one()}, DATA, length=length))


def test_a_header_that_fits_its_file_and_is_too_long(tmp_path: Path) -> None:
    path = tmp_path / "bad.safetensors"
    path.write_bytes(safetensors_bytes("{", length=MAX_HEADER_BYTES + 1))
    with path.open("r+b") as file:
        file.truncate(MAX_HEADER_BYTES + 9)
    with pytest.raises(ModelFileError) as caught:
        read_header(path)
    assert caught.value.code == "TL4004"


SHAPES = ["[32.5]", "[-2, -2]", "[2, 2e0]", '["4"]', "[true]", "[null]", "[[2, 2]]", "4", "{}", "null", "[2 2]"]
MORE_SHAPES = ["[,]", "[2,]", "[02, 2]", "[2, 2", "[NaN]", "[Infinity]", "[99999999999999999999999]", "[2,,2]"]


@pytest.mark.parametrize("shape", SHAPES + MORE_SHAPES)
def test_shapes_that_are_no_lists_of_whole_numbers(tmp_path: Path, shape: str) -> None:
    text = '{"w": {"dtype": "F32", "shape": ' + shape + ', "data_offsets": [0, 16]}}'
    assert "whole numbers" in refusal(tmp_path, safetensors_bytes(text, DATA))


@pytest.mark.parametrize(
    ("shape", "says"),
    [
        ([2, 3], "16 bytes"),
        ([], "16 bytes"),
        ([0], "16 bytes"),
        ([2**31], "dim of"),
        ([2**63, 2**63], "dim of"),
        ([2**62, 0], "dim of"),
        ([1] * 9, "more than 8"),
        ([1] * 10**6, "more than 8"),
    ],
)
def test_shapes_that_cannot_be(tmp_path: Path, shape: list[int], says: str) -> None:
    assert says in refusal(tmp_path, safetensors_bytes({"w": one(shape=shape)}, DATA))


@pytest.mark.parametrize(
    "offsets", [[16, 0], [0], [], [0, 16, 16], [0, 32], [16, 32], [2**63, 2**63 + 16], [2**64 - 16, 2**64], [0, 2**64]]
)
def test_data_offsets_that_cannot_be(tmp_path: Path, offsets: list[int]) -> None:
    refusal(tmp_path, safetensors_bytes({"w": one(data_offsets=offsets)}, DATA))


def test_overlaps_and_gaps(tmp_path: Path) -> None:
    shifted = {"v": one(), "w": one(data_offsets=[8, 24])}
    assert "`v` and `w` overlap" in refusal(tmp_path, safetensors_bytes(shifted, bytes(24)))
    assert "overlap" in refusal(tmp_path, safetensors_bytes({"v": one(), "w": one()}, DATA))
    gap = {"v": one(), "w": one(data_offsets=[24, 40])}
    assert "8 bytes before `w`" in refusal(tmp_path, safetensors_bytes(gap, bytes(40)))
    assert "last 4 bytes" in refusal(tmp_path, safetensors_bytes({"w": one()}, bytes(20)))


def test_types(tmp_path: Path) -> None:
    assert "`F17`" in refusal(tmp_path, safetensors_bytes({"w": one(dtype="F17")}, DATA), "TL4004")
    assert "string" in refusal(tmp_path, safetensors_bytes({"w": one(dtype=32)}, DATA))
    odd = one(dtype="F4", shape=[3], data_offsets=[0, 2])
    assert "F4" in refusal(tmp_path, safetensors_bytes({"w": odd}, DATA[:2]))


@pytest.mark.parametrize("member", ["dtype", "shape", "data_offsets"])
def test_missing_members(tmp_path: Path, member: str) -> None:
    entry = one()
    del entry[member]
    assert "lacks" in refusal(tmp_path, safetensors_bytes({"w": entry}, DATA))


def test_unknown_members(tmp_path: Path) -> None:
    assert "`stride`" in refusal(tmp_path, safetensors_bytes({"w": one(stride=1)}, DATA))


def test_duplicates(tmp_path: Path) -> None:
    entry = json.dumps(one())
    assert "`w` occurs twice" in refusal(tmp_path, safetensors_bytes(f'{{"w": {entry}, "w": {entry}}}', DATA))
    twice = '{"w": {"dtype": "F32", "dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}}'
    assert "`dtype` occurs twice" in refusal(tmp_path, safetensors_bytes(twice, DATA))
    metadata = f'{{"__metadata__": {{"a": "", "a": ""}}, "w": {entry}}}'
    assert "`a` occurs twice" in refusal(tmp_path, safetensors_bytes(metadata, DATA))


DEEP = ["[" * 10**6, '{"a":' * 10**5, '{"w": ' + "[" * 10**6, '{"__metadata__": {"a": ' + "{" * 10**6]
NO_JSON = [
    "",
    "[]",
    "{",
    "}",
    "null",
    "{]",
    '{"w"}',
    '{"w":}',
    '{"w" 1}',
    '{"w": 1}',
    '{"w": {}}x',
    "{'w': 1}",
    "{} {}",
]
BAD_TEXT = [b'{"\xff": 1}', b'{"a\x01": 1}', b'{"\\x": 1}', b'{"\\ud800": 1}', b'{"a\\": 1}', b'{"w', b"\x00" * 32]


@pytest.mark.parametrize("text", [*DEEP, *NO_JSON, *BAD_TEXT], ids=range(len(DEEP) + len(NO_JSON) + len(BAD_TEXT)))
def test_headers_that_are_no_such_json(tmp_path: Path, text: str | bytes) -> None:
    refusal(tmp_path, safetensors_bytes(text))


def test_metadata_is_text(tmp_path: Path) -> None:
    assert "string" in refusal(tmp_path, safetensors_bytes({"__metadata__": {"a": 1}}))
    assert "`{`" in refusal(tmp_path, safetensors_bytes({"__metadata__": []}))


def test_too_many_tensors(tmp_path: Path) -> None:
    entry = json.dumps(one(shape=[0], data_offsets=[0, 0]))
    text = "{" + ",".join(f'"{i}":{entry}' for i in range(MAX_TENSORS + 1)) + "}"
    assert str(MAX_TENSORS) in refusal(tmp_path, safetensors_bytes(text), "TL4004")


def test_too_many_keys_of_metadata(tmp_path: Path) -> None:
    keys = {"__metadata__": {str(number): "" for number in range(MAX_KEYS + 1)}}
    assert f"more than {MAX_KEYS} keys" in refusal(tmp_path, safetensors_bytes(keys), "TL4004")


def test_names_from_the_file_cannot_write_to_a_terminal(tmp_path: Path) -> None:
    name = "\x1b[31m" + "w" * 10_000
    message = refusal(tmp_path, safetensors_bytes({name: one(stride=1)}, DATA))
    assert "\x1b" not in message
    assert len(message) < 1000


TRIPLE = {
    "x.weight": {"dtype": "U32", "shape": [2, 4], "data_offsets": [0, 32]},
    "x.scales": {"dtype": "F16", "shape": [2, 1], "data_offsets": [32, 36]},
    "x.biases": {"dtype": "F16", "shape": [2, 1], "data_offsets": [36, 40]},
}


def noted(layouts: str, tensors: dict[str, Any] = TRIPLE) -> bytes:
    size = max(entry["data_offsets"][1] for entry in tensors.values())
    return safetensors_bytes({"__metadata__": {"tensorlogic.quantization": layouts}, **tensors}, bytes(size))


def test_a_noted_triple_is_one_tensor(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(noted('{"x.weight": [4, 32]}'))
    tensors = read_header(path).tensors
    assert list(tensors) == ["x.weight"]
    info = tensors["x.weight"]
    assert (info.storage, info.shape, info.dtype) == ("MLX_4BIT_G32", (2, 32), "float16")


@pytest.mark.parametrize(
    "layouts",
    [
        "",
        "4",
        "{} x",
        '{"x.weight": [4]}',
        '{"x.weight": [7, 32]}',
        '{"x.weight": [4, 33]}',
        '{"x.weight": [8, 32]}',
        '{"x.weight": [4, 64]}',
        '{"y.weight": [4, 32]}',
        '{"x.weight": [4, 32], "x.weight": [4, 32]}',
    ],
)
def test_notes_on_quantization_that_do_not_fit(tmp_path: Path, layouts: str) -> None:
    refusal(tmp_path, noted(layouts))


@pytest.mark.parametrize(
    ("name", "entry"),
    [
        ("x.weight", {"dtype": "I32", "shape": [2, 4], "data_offsets": [0, 32]}),
        ("x.weight", {"dtype": "U32", "shape": [8], "data_offsets": [0, 32]}),
        ("x.weight", {"dtype": "U32", "shape": [1, 8], "data_offsets": [0, 32]}),
        ("x.scales", {"dtype": "I16", "shape": [2, 1], "data_offsets": [32, 36]}),
        ("x.scales", {"dtype": "F32", "shape": [], "data_offsets": [32, 36]}),
        ("x.biases", {"dtype": "F16", "shape": [1, 2], "data_offsets": [36, 40]}),
        ("x.biases", {"dtype": "BF16", "shape": [2, 1], "data_offsets": [36, 40]}),
    ],
)
def test_triples_that_do_not_fit(tmp_path: Path, name: str, entry: dict[str, Any]) -> None:
    assert "do not fit" in refusal(tmp_path, noted('{"x.weight": [4, 32]}', TRIPLE | {name: entry}))
