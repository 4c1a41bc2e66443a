"""Opens mutations of one model file, in a process of its own, so that whoever started it sees a crash as a signal.

    python -m tests.fuzz.mutate_model_files FILE FOLDER FIRST_SEED (--count COUNT | --seconds SECONDS)

Each seed makes one mutation of FILE, writes it into FOLDER, opens it and reads its tensors. It must load or end in
`ModelFileError`: any other exception ends the process with a traceback, two seconds of processor time for one mutation
end it with SIGPROF, and memory of more than the file's size and 200 MB ends it with a message. The last line counts
what loaded and what was refused. FOLDER keeps the mutation that ended the process.
"""

from __future__ import annotations

import argparse
import random
import resource
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tensorlogic.runtime.errors import ModelFileError
from tensorlogic.runtime.models import load_model

SECONDS = 2.0
MEMORY_BYTES = 200_000_000
NUMBERS = [0, 1, 2, 3, 4, 5, 7, 8, 9, 31, 32, 33, 255, 2**15, 2**16, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**40]
NUMBERS += [2**60, 2**62, 2**63 - 1, 2**63, 2**64 - 32, 2**64 - 8, 2**64 - 1]
WORDS = [
    b"[32.5]",
    b"[-1, 4]",
    b"null",
    b'"',
    b"\\",
    b"[",
    b"{",
    b"}",
    b"]",
    b",",
    b":",
    b"1e9",
    b"true",
    b"\\ud800",
    b" ",
]
TYPES = [b"F64", b"F32", b"F16", b"BF16", b"I64", b"U32", b"BOOL", b"F4", b"F8_E4M3", b"C64", b"__metadata__"]


def mutation(content: bytes, header_bytes: int, seed: int) -> bytes:
    """One to four changes, nearly all of them within the header."""
    chance = random.Random(seed)
    data = bytearray(content)
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        place = chance.randrange(header_bytes if chance.random() < 0.95 else len(content))
        kind = chance.randrange(8)
        if kind == 0:
            data[place : place + 1] = bytes([chance.randrange(256)])
        elif kind == 1:
            width = chance.choice((1, 2, 4, 8))
            number = chance.choice((*NUMBERS, len(content), len(content) - place))
            data[place : place + width] = (number % 256**width).to_bytes(width, "little")
        elif kind == 2:
            del data[place:]
        elif kind == 3:
            del data[place : place + chance.randrange(1, 40)]
        elif kind == 4:
            data[place:place] = data[place : place + chance.randrange(1, 200)]
        elif kind == 5:
            data[place:place] = chance.choice(WORDS + TYPES) * chance.choice((1, 1, 1, 1000))
        elif kind == 6:
            data[place:place] = str(chance.choice(NUMBERS)).encode()
        else:
            other = chance.randrange(header_bytes)
            data[place : place + 8], data[other : other + 8] = data[other : other + 8], data[place : place + 8]
    header = len(data) - (len(content) - header_bytes) - 8
    if content[8:9] == b"{" and header >= 0 and chance.random() < 0.5:
        # A safetensors header that grew is all wrong unless its length is right: get at what lies behind that check.
        data[:8] = header.to_bytes(8, "little")
    return bytes(data)


def memory() -> int:
    """The most bytes that this process has had in memory."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def opened(path: Path) -> bool:
    """Whether the file loads; it may be refused when it is opened, or when a tensor is read."""
    try:
        model = load_model(path)
        for key in model.header.metadata:
            model.header.metadata[key]
        for name in model.tensors:
            model.get_tensor(name)
    except ModelFileError as refusal:
        message = str(refusal)
    else:
        return True
    assert message.replace("\n", "").isprintable(), "a message cannot control a terminal"
    assert len(message) < 2000, "a message is short"
    return False


def attempt_all(given: argparse.Namespace, attempt: Callable[[int], bool], most_bytes: int) -> None:
    """Try one seed after another, `attempt` telling whether it loaded; then print how many did."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    before = memory()
    loaded = done = 0
    end = time.monotonic() + given.seconds
    while time.monotonic() < end if given.count is None else done < given.count:
        seed = given.first + done
        done += 1
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        loaded += attempt(seed)
        signal.setitimer(signal.ITIMER_PROF, 0)
        if memory() - before > most_bytes:
            sys.exit(f"seed {seed} took {memory() - before} bytes of memory")
    print(f"{loaded} loaded, {done - loaded} refused")


def arguments(*paths: str) -> argparse.Namespace:
    """The command line: the paths, the first seed, and how many of them or for how long."""
    parser = argparse.ArgumentParser()
    for path in paths:
        parser.add_argument(path, type=Path)
    parser.add_argument("first", type=int)
    limit = parser.add_mutually_exclusive_group(required=True)
    limit.add_argument("--count", type=int)
    limit.add_argument("--seconds", type=float, default=0.0)
    return parser.parse_args()


def main(given: argparse.Namespace) -> None:
    file: Path = given.file
    content = file.read_bytes()
    assert opened(file), "the file itself is sound"
    header_bytes = min(info.offset for info in load_model(file).header.tensors.values())
    target = given.folder / f"mutation{file.suffix}"

    def attempt(seed: int) -> bool:
        target.write_bytes(mutation(content, header_bytes, seed))
        return opened(target)

    attempt_all(given, attempt, MEMORY_BYTES + len(content))


if __name__ == "__main__":
    main(arguments("file", "folder"))
