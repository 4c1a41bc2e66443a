"""What kills, hangs or misleads other readers of GGUF: each file is refused, at once, in one line that names it.

Of `mx.load` 0.32: a segmentation fault on absurd lengths of names, metadata and tensors and on big-endian headers, an
abort on more than eight dims, a division by zero for the types 4 and 5 and for an alignment of 0. Of gguf-py's reader:
a hang on absurd lengths of arrays, and bytes of the header read as data for offsets near 2 ** 64. Every file is opened
in one process of its own, which is given two seconds of processor time for each.
"""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from pathlib import Path

from tests.runtime.model_files import BLOCK_TYPES, gguf_bytes, gguf_entry, gguf_key, gguf_string

ONE = gguf_entry("w", [8])
DATA = bytes(64)
LENGTHS = [2**31, 2**32, 2**40, 2**62, 2**63 - 1, 2**63, 2**64 - 64, 2**64 - 8, 2**64 - 1]

OPENER = """\
import json, pathlib, signal, sys
from tensorlogic.runtime.errors import ModelFileError
from tensorlogic.runtime.models import load_model

for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):
    signal.setitimer(signal.ITIMER_PROF, 2)
    try:
        model = load_model(path)
        print(json.dumps([path.name, None, [model.get_tensor(name).size for name in model.tensors]]), flush=True)
    except ModelFileError as error:
        print(json.dumps([path.name, error.code, error.message]), flush=True)
    signal.setitimer(signal.ITIMER_PROF, 0)
"""


def number(value: int) -> bytes:
    return struct.pack("<Q", value)


def alignment(value: int) -> bytes:
    return gguf_key("general.alignment", 4, struct.pack("<I", value))


def crashing_files() -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    for length in LENGTHS:
        files[f"tensor count {length}"] = gguf_bytes([ONE], data=DATA, tensor_count=length)
        files[f"metadata count {length}"] = gguf_bytes([ONE], data=DATA, key_count=length)
        files[f"tensor name {length}"] = gguf_bytes([number(length) + ONE[8:]], data=DATA)
        files[f"key name {length}"] = gguf_bytes([ONE], [number(length) + b"k" + bytes(8)], DATA)
        files[f"text {length}"] = gguf_bytes([ONE], [gguf_key("k", 8, number(length) + b"text")], DATA)
        for kind in (0, 7, 8, 12):
            array = struct.pack("<IQ", kind, length)
            files[f"array of {kind}, {length}"] = gguf_bytes([ONE], [gguf_key("k", 9, array)], DATA)
        files[f"dim {length}"] = gguf_bytes([gguf_entry("w", [length])], data=DATA)
        files[f"dims {length}"] = gguf_bytes([gguf_entry("w", [length, length])], data=DATA)
        files[f"offset {length}"] = gguf_bytes([gguf_entry("w", [8], 0, length & -32)], data=DATA)
    deep = struct.pack("<IQ", 9, 1) * 1000
    files["arrays in arrays"] = gguf_bytes([ONE], [gguf_key("k", 9, deep)], DATA)
    files["big-endian"] = b"GGUF" + struct.pack(">IQQ", 3, 1, 0) + DATA
    for rank in (9, 255, 2**31, 2**32 - 1):
        files[f"rank {rank}"] = gguf_bytes([gguf_entry("w", [1] * 9, rank=rank)], data=DATA)
    for kind in (4, 5, 31, 36, 42, 2**31, 2**32 - 1):
        files[f"type {kind}"] = gguf_bytes([gguf_entry("w", [32], kind)], data=DATA)
    for size in (0, 3, 2**31 + 1):
        files[f"alignment {size}"] = gguf_bytes([ONE], [alignment(size)], DATA)
    for kind in (13, 2**32 - 1):
        files[f"metadata type {kind}"] = gguf_bytes([ONE], [gguf_key("k", kind, bytes(16))], DATA)
    twice = gguf_key("k", 8, gguf_string("v"))
    files["key twice"] = gguf_bytes([ONE], [twice, twice], DATA)
    files["tensor twice"] = gguf_bytes([ONE, gguf_entry("w", [8], 0, 32)], data=DATA)
    files["overlap"] = gguf_bytes([gguf_entry("a", [16]), gguf_entry("b", [8], 0, 32)], data=DATA)
    files["the same place"] = gguf_bytes([gguf_entry("a", [8]), gguf_entry("b", [8])], data=DATA)
    whole = gguf_bytes([ONE, gguf_entry("v", [8], 0, 32)], [alignment(32), twice], DATA)
    files |= {f"cut off at {length}": whole[:length] for length in range(0, len(whole), 7)}
    return files


def open_all(folder: Path) -> dict[str, tuple[str | None, object]]:
    """What became of each file of a folder: the code and message of its refusal, or None and the tensors' sizes."""
    done = subprocess.run([sys.executable, "-c", OPENER, folder], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"after {done.stdout.splitlines()[-1:]} it ended with {done.returncode}: {done.stderr}"
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    return {name: (code, said) for name, code, said in rows}


def test_each_is_refused_in_one_line(tmp_path: Path) -> None:
    files = crashing_files()
    for name, content in files.items():
        (tmp_path / f"{name}.gguf").write_bytes(content)
    outcomes = open_all(tmp_path)
    assert outcomes.keys() == {f"{name}.gguf" for name in files}
    for name, (code, message) in outcomes.items():
        assert code in ("TL4003", "TL4004"), f"{name}: {message}"
        assert isinstance(message, str)
        assert str(tmp_path / name) in message
        assert message.isprintable()
        assert len(message) < 500


def test_every_type_of_no_block_and_of_half_a_block(tmp_path: Path) -> None:
    """Rows that are no whole blocks, and data that ends within the last one."""
    import gguf

    for storage in BLOCK_TYPES:
        kind = gguf.GGMLQuantizationType[storage]
        size, nbytes = gguf.GGML_QUANT_SIZES[kind]
        entry = gguf_entry("w", [size, 2], int(kind))
        (tmp_path / f"{storage} half.gguf").write_bytes(gguf_bytes([gguf_entry("w", [size // 2, 2], int(kind))]))
        (tmp_path / f"{storage} cut.gguf").write_bytes(gguf_bytes([entry], data=bytes(2 * nbytes - 1)))
        (tmp_path / f"{storage} none.gguf").write_bytes(gguf_bytes([gguf_entry("w", [size, 0], int(kind))]))
        (tmp_path / f"{storage} whole.gguf").write_bytes(gguf_bytes([entry], data=bytes(2 * nbytes)))
    for name, (code, said) in open_all(tmp_path).items():
        what = name.removesuffix(".gguf").split()[1]
        assert code == ("TL4003" if what in ("half", "cut") else None), f"{name}: {said}"
