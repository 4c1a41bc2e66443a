"""Core ML models that are damaged or hostile: one error each that names the file and what is wrong with it."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tensorlogic.runtime.errors import ModelFileError
from tensorlogic.runtime.formats import read_header
from tensorlogic.runtime.formats.coreml import header, protobuf
from tensorlogic.runtime.formats.coreml.recipe_values import _integers
from tensorlogic.runtime.formats.coreml.recipes import Source
from tensorlogic.runtime.formats.header import FileHeader
from tensorlogic.runtime.models import load_model
from tests.runtime.core_ml_files import tools, write_program

DATA = Path("Data/com.apple.CoreML")
MODEL, WEIGHTS, MANIFEST = DATA / "model.mlmodel", DATA / "weights/weight.bin", Path("Manifest.json")
RECORD = 64
"""Where the first record of a file of weights is."""


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, bytes]:
    """The files of a sound package with one weight."""
    path = write_program(tmp_path_factory.mktemp("sound") / "m.mlpackage", {"w": np.ones((8, 8), np.float16)})
    return {part: (path / part).read_bytes() for part in (MODEL, WEIGHTS, MANIFEST)}


@pytest.fixture
def package(tmp_path: Path, sound: dict[Path, bytes]) -> Path:
    path = tmp_path / "m.mlpackage"
    for part, content in sound.items():
        (path / part).parent.mkdir(parents=True, exist_ok=True)
        (path / part).write_bytes(content)
    return path


def refusal(path: Path, code: str, use: Callable[[Path], object] = read_header) -> str:
    with pytest.raises(ModelFileError) as caught:
        use(path)
    assert caught.value.code == code
    return str(caught.value)


def write(package: Path, part: Path, offset: int, data: bytes) -> None:
    content = bytearray((package / part).read_bytes())
    content[offset : offset + len(data)] = data
    (package / part).write_bytes(content)


def test_the_package_of_these_tests_is_sound(package: Path) -> None:
    assert load_model(package).get_tensor("w").shape == (8, 8)


@pytest.mark.parametrize(
    ("offset", "data", "says"),
    [
        (RECORD, b"\0", "there is no record at byte 64, where tensor `w` should have one"),
        (RECORD + 4, struct.pack("<I", 2), "says F32, and the program says F16"),
        (RECORD + 4, struct.pack("<I", 99), "says type 99, and the program says F16"),
        (RECORD + 8, struct.pack("<Q", 2**60), f"tensor `w` lies at bytes 128 to {128 + 2**60}"),
        (RECORD + 8, struct.pack("<Q", 126), "F16 of shape [8, 8] takes 128 bytes, not 126"),
        (RECORD + 16, struct.pack("<Q", 2**64 - 32), f"tensor `w` lies at bytes {2**64 - 32} to"),
        (RECORD + 24, struct.pack("<Q", 4), "4 bits of padding"),
    ],
)
def test_damaged_records_of_weights(package: Path, offset: int, data: bytes, says: str) -> None:
    write(package, WEIGHTS, offset, data)
    assert says in refusal(package, "TL4003")


def test_other_versions_of_files_of_weights(package: Path) -> None:
    write(package, WEIGHTS, 4, struct.pack("<I", 3))
    assert "version 3, and only version 2" in refusal(package, "TL4004")


@pytest.mark.parametrize("length", [0, 7, 63, 100, 200])
def test_files_of_weights_that_were_cut_short(package: Path, sound: dict[Path, bytes], length: int) -> None:
    (package / WEIGHTS).write_bytes(sound[WEIGHTS][:length])
    assert "weight.bin` is damaged" in refusal(package, "TL4003")


def test_files_that_are_missing(package: Path) -> None:
    (package / WEIGHTS).unlink()
    assert "weight.bin" in refusal(package, "TL4001")
    (package / MODEL).unlink()
    assert "model.mlmodel" in refusal(package, "TL4001")
    (package / MANIFEST).unlink()
    assert "it is no package" in refusal(package, "TL4003")
    assert "No such file" in refusal(package.with_name("none.mlpackage"), "TL4001")


def test_a_file_of_weights_that_became_shorter_while_it_was_open(package: Path, sound: dict[Path, bytes]) -> None:
    model = load_model(package)
    (package / WEIGHTS).write_bytes(sound[WEIGHTS][:130])
    assert "cut off" in refusal(package, "TL4008", lambda _: model.get_tensor("w"))


@pytest.mark.parametrize(
    "manifest",
    [
        b"",
        b"[]",
        b"{}",
        b'{"rootModelIdentifier": 3, "itemInfoEntries": {}}',
        b'{"rootModelIdentifier": "a", "itemInfoEntries": {}}',
        b'{"rootModelIdentifier": "a", "itemInfoEntries": {"a": {"path": ["x"]}}}',
        b"[" * 100_000,
    ],
)
def test_damaged_manifests(package: Path, manifest: bytes) -> None:
    (package / MANIFEST).write_bytes(manifest)
    assert "Manifest.json` is damaged" in refusal(package, "TL4003")


@pytest.mark.parametrize(
    "name", ["../m.mlmodel", "/etc/passwd", "a/../../b", "a//b", "a\\b", "a\0b", "", "a\x1b[31m", "x" * 300]
)
def test_a_manifest_cannot_lead_out_of_its_package(package: Path, name: str) -> None:
    entry = {"rootModelIdentifier": "a", "itemInfoEntries": {"a": {"path": name}}}
    (package / MANIFEST).write_text(json.dumps(entry))
    assert "no path inside of the package" in refusal(package, "TL4003")


@pytest.mark.parametrize("part", [MANIFEST, MODEL, WEIGHTS])
def test_links_out_of_a_package_are_refused(package: Path, tmp_path: Path, part: Path) -> None:
    (tmp_path / "elsewhere").write_bytes((package / part).read_bytes())
    (package / part).unlink()
    (package / part).symlink_to(tmp_path / "elsewhere")
    assert "lies outside of the model's folder" in refusal(package, "TL4065")


def test_a_package_in_the_cache_of_hugging_face_is_read(package: Path, tmp_path: Path) -> None:
    """Every file of a snapshot is a link into the model's store."""
    home = tmp_path / "models--a--b"
    store, snapshot = home / "blobs", home / "snapshots" / "1f" / "m.mlpackage"
    store.mkdir(parents=True)
    for number, part in enumerate((MANIFEST, MODEL, WEIGHTS)):
        (store / str(number)).write_bytes((package / part).read_bytes())
        (snapshot / part).parent.mkdir(parents=True, exist_ok=True)
        (snapshot / part).symlink_to(store / str(number))
    assert load_model(snapshot).get_tensor("w").shape == (8, 8)


def test_links_within_a_package_and_to_it_are_followed(package: Path, tmp_path: Path) -> None:
    (package / WEIGHTS).rename(package / "Data" / "moved.bin")
    (package / WEIGHTS).symlink_to(package / "Data" / "moved.bin")
    link = tmp_path / "link.mlpackage"
    link.symlink_to(package)
    assert load_model(link).get_tensor("w").shape == (8, 8)


def edited(package: Path, edit: Callable[[Any], None]) -> Path:
    """The package with its model's messages edited by coremltools' own library."""
    spec = tools().proto.Model_pb2.Model.FromString((package / MODEL).read_bytes())
    edit(spec)
    (package / MODEL).write_bytes(spec.SerializeToString())
    return package


def operations(spec: Any) -> Any:
    [block] = spec.mlProgram.functions["main"].block_specializations.values()
    return block.operations


def constant(spec: Any) -> Any:
    """The operation that gives the weight."""
    return next(operation for operation in operations(spec) if operation.outputs[0].name == "w")


def value(spec: Any) -> Any:
    return constant(spec).attributes["val"]


def set_file(name: str) -> Callable[[Any], None]:
    return lambda spec: setattr(value(spec).blobFileValue, "fileName", name)


def set_dim(size: int) -> Callable[[Any], None]:
    def edit(spec: Any) -> None:
        for type in (constant(spec).outputs[0].type, value(spec).type):
            type.tensorType.dimensions[0].constant.size = size

    return edit


def add_dims(spec: Any) -> None:
    for type in (constant(spec).outputs[0].type, value(spec).type):
        for _ in range(9):
            type.tensorType.dimensions.add().constant.size = 1


def set_type(number: int) -> Callable[[Any], None]:
    def edit(spec: Any) -> None:
        for type in (constant(spec).outputs[0].type, value(spec).type):
            type.tensorType.dataType = number

    return edit


@pytest.mark.parametrize(
    ("edit", "code", "says"),
    [
        (set_file("@model_path/../weight.bin"), "TL4003", "which is no file of its own"),
        (set_file("/etc/passwd"), "TL4003", "names the weight file `/etc/passwd`"),
        (set_file("@model_path/weights/other.bin"), "TL4001", "other.bin"),
        (lambda s: setattr(value(s).blobFileValue, "offset", 3), "TL4003", "would be at byte 3"),
        (lambda s: setattr(value(s).blobFileValue, "offset", 2**63), "TL4003", f"would be at byte {2**63}"),
        (set_dim(9), "TL4003", "takes 144 bytes, not 128"),
        (set_dim(2**62), "TL4003", "at most 2147483647 is possible"),
        (add_dims, "TL4003", "more than 8 dims"),
        (set_type(99), "TL4004", "the data type 99"),
        (lambda s: operations(s).add().CopyFrom(constant(s)), "TL4003", "two constants are called `w`"),
        (lambda s: constant(s).attributes["val"].Clear(), "TL4003", "it is no tensor"),
        (lambda s: constant(s).attributes.clear(), "TL4003", "the constant `w` has no value"),
        (lambda s: s.ClearField("mlProgram"), "TL4003", "it holds no model"),
        (lambda s: s.description.input.add(name="x"), "TL4003", "it describes `x` twice"),
    ],
)
def test_programs_that_contradict_themselves(package: Path, edit: Callable[[Any], None], code: str, says: str) -> None:
    assert says in refusal(edited(package, edit), code)


def test_a_weight_of_8_bit_floats_is_shown_and_not_read(package: Path) -> None:
    edited(package, set_type(40))
    write(package, WEIGHTS, RECORD + 4, struct.pack("<I", 16))
    write(package, WEIGHTS, RECORD + 8, struct.pack("<Q", 64))
    assert load_model(package).shape("w") == (8, 8)
    assert "F8_E4M3" in refusal(package, "TL4004", lambda path: load_model(path).get_tensor("w"))


def test_an_operation_that_is_not_known_gives_a_tensor_that_is_not_read(package: Path) -> None:
    edited(package, lambda spec: setattr(constant(spec), "type", "constexpr_future"))
    model = load_model(package)
    assert model.shape("w") == (8, 8)
    assert "stored as FUTURE" in refusal(package, "TL4004", lambda _: model.get_tensor("w"))


def chain(spec: Any, steps: int) -> None:
    """Blockwise scales of a blockwise-scaled weight of ..., each by the name of the one before."""
    first = constant(spec)
    for step in range(steps):
        operation = operations(spec).add()
        operation.CopyFrom(first)
        operation.type = "constexpr_blockwise_shift_scale"
        operation.outputs[0].name = f"w{step}"
        before = "w" if step == 0 else f"w{step - 1}"
        for key in ("data", "scale", "offset"):
            operation.inputs[key].arguments.add(name=before)


def test_computed_weights_are_computed_in_few_steps(package: Path) -> None:
    model = load_model(edited(package, lambda spec: chain(spec, 40)))
    readable = [name for name, info in model.header.tensors.items() if info.readable]
    # The program uses `w` itself, too; what is beyond six steps can be seen and not read.
    assert readable == ["w", "w5"]
    assert not model.header.tensors["w39"].readable
    assert np.array(model.get_tensor("w5")).tolist() == [[0.0] * 8] * 8


def sparse(count: int, mask: bytes) -> Callable[[Any], None]:
    """The weight as `count` values of a mask of one byte for each row of 8."""

    def edit(spec: Any) -> None:
        operation = constant(spec)
        operation.type = "constexpr_sparse_to_dense"
        operation.attributes["nonzero_data"].CopyFrom(operation.attributes["val"])
        values = operation.attributes["nonzero_data"]
        values.type.tensorType.dimensions.pop()
        values.type.tensorType.dimensions[0].constant.size = count
        values.immediateValue.tensor.bytes.values = bytes(2 * count)
        for key, kind, size, data in (("mask", 31, 8, mask), ("shape", 33, 2, struct.pack("<II", 8, 8))):
            part = operation.attributes[key]
            part.Clear()
            part.type.tensorType.dataType = kind
            part.type.tensorType.dimensions.add().constant.size = size
            part.immediateValue.tensor.bytes.values = data

    return edit


def test_a_mask_that_does_not_fit_its_values(package: Path) -> None:
    edited(package, sparse(5, bytes([31] + [0] * 7)))
    assert np.array(load_model(package).get_tensor("w")).shape == (8, 8)
    edited(package, sparse(5, bytes([15] + [0] * 7)))
    message = refusal(package, "TL4003", lambda path: load_model(path).get_tensor("w"))
    assert "the mask of tensor `w` has 4 places for 5 values" in message


def test_scales_that_are_no_numbers(package: Path) -> None:
    def edit(spec: Any) -> None:
        operation = constant(spec)
        operation.type = "constexpr_blockwise_shift_scale"
        operation.attributes["data"].CopyFrom(operation.attributes["val"])
        scale = operation.attributes["scale"]
        scale.CopyFrom(operation.attributes["val"])
        for dimension in scale.type.tensorType.dimensions:
            dimension.constant.size = 1
        scale.immediateValue.tensor.bytes.values = struct.pack("<e", float("nan"))

    edited(package, edit)
    message = refusal(package, "TL4009", lambda path: load_model(path).get_tensor("w"))
    assert "1 block scales" in message


def read(content: bytes, tmp_path: Path) -> FileHeader:
    (tmp_path / "m.mlmodel").write_bytes(content)
    return read_header(tmp_path / "m.mlmodel")


def field(number: int, content: bytes) -> bytes:
    key = number << 3 | 2
    head = bytearray()
    for item in (key, len(content)):
        while item > 127:
            head.append(item & 127 | 128)
            item >>= 7
        head.append(item)
    return bytes(head) + content


IDENTITY = field(900, b"")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "it is empty"),
        (b"\x08\x01", "it holds no model"),
        (b"\x80" * 20, "a number has more than ten bytes"),
        (b"\x08\x80", "a number is cut off"),
        (b"\x0d\x01\x02", "a number is cut off"),
        (b"\x00\x01", "a field has the number 0"),
        (b"\x0b", "the wire type 3"),
        (b"\x12\x7f\x00", "a field claims 127 bytes where 1 are left"),
        (b"\x12" + b"\xff" * 9 + b"\x01", f"a field claims {2**64 - 1} bytes where 0 are left"),
        (IDENTITY + b"\x10\x05", "a number stands where a message must"),
        (IDENTITY + b"\x0a\x00", "bytes stand where a number must"),
        (IDENTITY + field(2, field(100, b"")) * 2, "field 2 occurs twice"),
        (IDENTITY + field(2, field(1, field(1, b"\xff"))), "a text is no valid UTF-8"),
        (IDENTITY + field(2, field(1, b"\x08\x05")), "field 1 is no text"),
    ],
)
def test_messages_that_the_encoding_does_not_allow(tmp_path: Path, content: bytes, says: str) -> None:
    with pytest.raises(ModelFileError, match=r"m\.mlmodel` is damaged") as caught:
        read(content, tmp_path)
    assert says in str(caught.value)
    assert caught.value.code == "TL4003"


def test_a_kind_of_model_that_is_not_known(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="of the kind 5000, which this version does not know") as caught:
        read(field(5000, b""), tmp_path)
    assert caught.value.code == "TL4004"


def test_messages_nest_only_so_deep(tmp_path: Path) -> None:
    def pipelines(depth: int) -> bytes:
        content = IDENTITY
        for _ in range(depth):
            content = field(202, field(1, content))
        return content

    assert read(pipelines(40), tmp_path).metadata["coreml.type"] == "pipeline"
    with pytest.raises(ModelFileError, match="nest more than 100 deep"):
        read(pipelines(3000), tmp_path)


def test_fields_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protobuf, "MAX_FIELDS", 1000)
    assert read(IDENTITY + b"\x08\x01" * 100, tmp_path).tensors == {}
    with pytest.raises(ModelFileError, match="more than 1000 fields") as caught:
        read(IDENTITY + b"\x08\x01" * 1000, tmp_path)
    assert caught.value.code == "TL4004"


def test_long_texts_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="a text at byte"):
        read(IDENTITY + field(2, field(100, field(1, b"a" * 1_000_001))), tmp_path)


def test_numbers_of_every_length_are_decoded() -> None:
    numbers = [0, 1, 127, 128, 2**31 - 1, -1, -(2**31), 2**40]
    data = tools().proto.MIL_pb2.TensorValue.RepeatedLongInts(values=numbers).SerializeToString()[2:]
    source = Source("I64", (2, 4), 0, len(data), literal=data, varint=True)
    assert _integers(data, source).reshape(-1).tolist() == numbers


def test_a_description_that_shrinks_while_it_is_read(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pread = os.pread
    monkeypatch.setattr(os, "pread", lambda file, count, place: pread(file, max(count - 1, 0), place))
    assert "it became shorter while it was read" in refusal(package, "TL4003")


def test_a_large_description_is_mapped(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = read_header(package)
    monkeypatch.setattr(header, "_MOST_READ", 10)
    assert read_header(package) == whole
