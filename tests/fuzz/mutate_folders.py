"""Opens a model's folder with mutations of its JSON files, in a process of its own, as `mutate_model_files` does files.

    python -m tests.fuzz.mutate_folders FOLDER FIRST_SEED (--count COUNT | --seconds SECONDS)

Each seed changes `config.json` or the index of FOLDER, opens the folder and reads its tensors, and puts the file back.
Half of the changes are of values: a number, a name or a whole member becomes another or goes away; half are of bytes.
It must load or end in `ModelFileError`, within two seconds and 200 MB.
"""

from __future__ import annotations

import argparse
import copy
import json
import random
from pathlib import Path
from typing import Any

from tests.fuzz.mutate_model_files import MEMORY_BYTES, NUMBERS, WORDS, arguments, attempt_all, opened

NAMES = ["config.json", "model.safetensors.index.json"]
VALUES: list[Any] = [None, True, False, -1, 0, 1, 2, 3, 4, 6, 8, 16, 32, 64, 128, 4.0, 1e308, "", "4", [], {}, [[]]]
VALUES += ["affine", "mxfp4", "mxfp8", "nvfp4", "gptq", "gptq_v2", "awq", "gemm", "fp8", "bitsandbytes", "mxfp4"]
VALUES += ["../model.safetensors", "/etc/passwd", "config.json", "a\\b.safetensors", "\0.safetensors", ".safetensors"]
VALUES += [{"bits": 4, "group_size": 32}, {"a": {"b": {"c": 1}}}, [128, 128], [0, 0], [-1, 128], "x" * 5000]


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every member of every object and list, as what holds it and its key."""
    found: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        found += [(value, key) for key in value]
    elif isinstance(value, list):
        found += [(value, index) for index in range(len(value))]
    return found + [place for holder, key in found for place in places(holder[key])]


def mutation(content: bytes, seed: int) -> bytes:
    chance = random.Random(seed)
    changes = chance.choice((1, 1, 1, 2, 4))
    if chance.random() < 0.5:
        value = json.loads(content)
        for _ in range(changes):
            inside = places(value)
            if not inside:
                break
            holder, key = chance.choice(inside)
            kind = chance.randrange(5)
            if kind == 0:
                del holder[key]
            elif kind == 1 and isinstance(holder, dict):
                other, name = chance.choice(inside)
                holder[str(name) + chance.choice(("", ".weight", "x"))] = copy.deepcopy(other[name])
            else:
                holder[key] = copy.deepcopy(chance.choice((*VALUES, *NUMBERS)))
        return json.dumps(value).encode()
    data = bytearray(content)
    for _ in range(changes):
        place = chance.randrange(len(data) + 1)
        kind = chance.randrange(4)
        if kind == 0:
            data[place : place + 1] = bytes([chance.randrange(256)])
        elif kind == 1:
            del data[place : place + chance.randrange(1, 40)]
        elif kind == 2:
            data[place:place] = chance.choice(WORDS) * chance.choice((1, 1, 1000))
        else:
            data[place:place] = data[place : place + chance.randrange(1, 200)]
    return bytes(data)


def main(given: argparse.Namespace) -> None:
    folder: Path = given.folder
    assert opened(folder), "the folder itself is sound"
    files = [folder / name for name in NAMES if (folder / name).exists()]
    contents = {file: file.read_bytes() for file in files}

    def attempt(seed: int) -> bool:
        file = files[seed % len(files)]
        file.write_bytes(mutation(contents[file], seed))
        loads = opened(folder)
        file.write_bytes(contents[file])
        return loads

    attempt_all(given, attempt, MEMORY_BYTES)


if __name__ == "__main__":
    main(arguments("folder"))
