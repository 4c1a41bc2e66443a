"""The metadata of a GGUF file goes through safetensors in full, and what a stranger's file has there is checked."""

from __future__ import annotations

import base64
import struct
import zlib
from pathlib import Path

import gguf
import numpy as np
import pytest

from tensorlogic.runtime.errors import ModelFileError
from tensorlogic.runtime.formats.gguf import text as gguf_text
from tensorlogic.runtime.formats.gguf.text import GGUF_KEY, from_text, to_text
from tensorlogic.runtime.models import load_model, save_model
from tests.models import SMOLLM2, model_path
from tests.runtime.model_files import safetensors_bytes
from tests.runtime.test_saving_gguf import fields


def test_types_and_vocabularies_come_back(tmp_path: Path) -> None:
    writer = gguf.GGUFWriter(tmp_path / "old.gguf", "llama")
    writer.add_custom_alignment(64)
    writer.add_uint8("a", 3)
    writer.add_int64("b", -3)
    writer.add_float64("c", 0.1)
    writer.add_bool("d", True)
    writer.add_array("words", ["größe", "", "a\0b"] * 40)
    writer.add_array("numbers", list(range(-50, 50)))
    writer.add_tensor("x", np.ones((2, 3), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    save_model(load_model(tmp_path / "old.gguf", dtype="native"), tmp_path / "a.safetensors")
    save_model(load_model(tmp_path / "a.safetensors", dtype="native"), tmp_path / "b.safetensors")
    save_model(load_model(tmp_path / "b.safetensors", dtype="native"), tmp_path / "new.gguf")
    expected, found = fields(tmp_path / "old.gguf"), fields(tmp_path / "new.gguf")
    del expected["general.alignment"], found["general.quantization_version"]
    assert found == expected


def test_a_real_model_comes_back_with_all_that_llama_cpp_asks_for(tmp_path: Path) -> None:
    model = model_path(SMOLLM2)
    save_model(load_model(model), tmp_path / "a.safetensors")
    save_model(load_model(tmp_path / "a.safetensors"), tmp_path / "new.gguf")
    expected, found = fields(model), fields(tmp_path / "new.gguf")
    del expected["general.file_type"]
    assert found == expected


def test_no_metadata_makes_no_text() -> None:
    assert to_text({}) is None
    assert to_text({"general.alignment": struct.pack("<II", 4, 32), "split.no": b""}) is None


def packed(data: bytes) -> str:
    return base64.b64encode(zlib.compress(data)).decode()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is cut off"),
        ("größe", "no metadata of a GGUF file"),
        ("AAAA", "no metadata of a GGUF file"),
        (base64.b64encode(zlib.compress(bytes(100))[:-5]).decode(), "cut off"),
        (packed(b"\0"), "before the end of a metadata key"),
        (packed(struct.pack("<Q", 2**60)), "at most"),
        (packed(struct.pack("<Q1sIIQ", 1, b"a", 9, 8, 2**60)), "said to hold"),
        (packed(struct.pack("<Q1sIB", 1, b"a", 0, 7) * 2), "occurs twice"),
    ],
)
def test_text_that_lies(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ModelFileError, match=says) as caught:
        from_text(Path("a"), text)
    assert caught.value.code == "TL4003"
    path = tmp_path / "a.safetensors"
    path.write_bytes(safetensors_bytes({"__metadata__": {GGUF_KEY: text}}))
    with pytest.raises(ModelFileError, match=says):
        save_model(load_model(path), tmp_path / "a.gguf")
    assert not (tmp_path / "a.gguf").exists()


def test_what_unpacks_to_more_than_any_model_has_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gguf_text, "MAX_BYTES", 1000)
    with pytest.raises(ModelFileError, match="has more than 1000 bytes"):
        from_text(Path("a"), packed(bytes(1001)))
    assert to_text({"a": bytes(1000)}) is None


def test_what_is_said_of_the_file_alone_is_not_taken_over() -> None:
    raw = {"a": struct.pack("<IB", 0, 7)}
    text = packed(struct.pack("<Q17sII", 17, b"general.alignment", 4, 0) + struct.pack("<Q1sIB", 1, b"a", 0, 7))
    assert from_text(Path("a"), text) == raw == from_text(Path("a"), to_text(raw))
