"""The metadata of a GGUF file as one text.

safetensors keeps nothing but short texts: no types, by which llama.cpp reads its settings, and no vocabularies. So the
whole metadata of a GGUF file goes along under a key of ours, as it lies in the file, compressed, in base64; a GGUF file
made of the safetensors file has it all again. What a stranger's file has under that key is checked like a header, and
its length is bounded before it is unpacked.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from tensorlogic.runtime.formats.gguf.header import parse_raw_metadata, raw_string
from tensorlogic.runtime.formats.header import damaged

GGUF_KEY = "tensorlogic.gguf"
MAX_BYTES = 100_000_000
"""More than the vocabularies of any model have."""
_MAX_TEXT_BYTES = 20_000_000
"""Text that would not leave a safetensors header its room is not kept."""
_OF_THE_FILE = ("general.alignment", "split.")
"""What is said of the old file, and not of the model."""


def to_text(raw: Mapping[str, bytes]) -> str | None:
    """The text for metadata as `read_raw_metadata` gives it; None where there is none, or it would be too long."""
    kept = _of_the_model(raw)
    data = b"".join(raw_string(key) + value for key, value in kept.items())
    if not kept or len(data) > MAX_BYTES:
        return None
    text = base64.b64encode(zlib.compress(data)).decode("ascii")
    return text if len(text) <= _MAX_TEXT_BYTES else None


def from_text(path: Path, text: object) -> dict[str, bytes]:
    """What `to_text` was given. Refuses (TL4003, TL4004) any other text in the metadata of `path`."""
    try:
        packed = base64.b64decode(cast("str", text).encode(), validate=True)
        expanding = zlib.decompressobj()
        data = expanding.decompress(packed, MAX_BYTES)
    except (AttributeError, ValueError, binascii.Error, zlib.error):
        damaged(path, f"its `{GGUF_KEY}` is no metadata of a GGUF file")
    if not expanding.eof:
        damaged(path, f"its `{GGUF_KEY}` is cut off, or has more than {MAX_BYTES} bytes")
    return _of_the_model(parse_raw_metadata(data, path))


def _of_the_model(raw: Mapping[str, bytes]) -> dict[str, bytes]:
    return {key: value for key, value in raw.items() if not key.startswith(_OF_THE_FILE)}
