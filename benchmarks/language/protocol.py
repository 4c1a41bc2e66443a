"""A contender in a process of its own, kept alive and asked in turn: one line of JSON each way.

The worker's side is `serve`, the other one `Worker`. A question is an object with a `do`, an answer an object; one
with `error` becomes a `WorkerError` where it was asked. The worker's own output goes to its standard error, whatever
its libraries print, so that only answers stand on the line; the end of that is shown when it dies.

A worker measures itself, from the question's arrival to the last logit, so that the pipe has no part in a time.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

ROOT = Path(__file__).parents[2]
PATIENCE = 600.0
"""Seconds after which a worker that says nothing is given up."""
_SHOWN = 2_000

Floats: TypeAlias = npt.NDArray[np.float32]
Message: TypeAlias = Mapping[str, object]


class WorkerError(Exception):
    """A worker failed or died. The text is the whole message."""


class Contender(Protocol):
    """What is compared: a model that takes tokens and gives the logits of the one after them, in one conversation."""

    def open(self, path: Path, capacity: int) -> None:
        """From a file's name to being ready for a conversation of `capacity` tokens."""

    def reset(self) -> None:
        """Begins another conversation."""

    def prefill(self, ids: Sequence[int]) -> Floats:
        """The logits [V] after `ids`, which begin a conversation, computed."""

    def step(self, token: int) -> Floats:
        """The logits [V] after one more token, computed. They need last only until the next call."""

    def decode(self, token: int, count: int) -> int:
        """The last of `count` tokens after `token`, of which each is the likeliest, by the library's own loop."""

    def bytes_read(self, context: int) -> int | None:
        """Of weights and cache for a token after `context` others; None where it does not know."""


# --- the worker's side

Action: TypeAlias = Callable[..., Message]


def serve(actions: Mapping[str, Action]) -> None:
    """Answers questions until there are none: the action that `do` names gets the other fields."""
    answers = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)
    gc.disable()
    for line in sys.stdin:
        fields: dict[str, object] = json.loads(line)
        try:
            reply = actions[str(fields.pop("do"))](**fields)
        except Exception as fault:
            reply = {"error": f"{type(fault).__name__}: {fault}"}
        answers.write(json.dumps(reply) + "\n")


def actions(contender: Contender) -> dict[str, Action]:
    """What a contender is asked: to open a model, to take tokens, to go on by itself, and what it needs for that."""
    last = 0

    def opened(path: str, capacity: int) -> Message:
        start = time.perf_counter()
        contender.open(Path(path), capacity)
        return {"seconds": time.perf_counter() - start}

    def prefill(ids: list[int]) -> Message:
        nonlocal last
        contender.reset()
        start = time.perf_counter()
        last = int(np.argmax(contender.prefill(ids)))
        return {"seconds": time.perf_counter() - start, "token": last}

    def decode(tokens: int) -> Message:
        nonlocal last
        start = time.perf_counter()
        last = contender.decode(last, tokens)
        return {"seconds": time.perf_counter() - start, "token": last}

    def logits(ids: list[int], first: int, file: str) -> Message:
        """After the first `first` tokens together and each of the others alone, as rows of a NumPy file."""
        contender.reset()
        rows = [np.array(contender.prefill(ids[:first]), np.float32)]
        rows += [np.array(contender.step(token), np.float32) for token in ids[first:]]
        np.save(file, np.stack(rows))
        return {}

    def bytes_read(context: int) -> Message:
        return {"bytes": contender.bytes_read(context)}

    def memory() -> Message:
        return {"bytes": peak_memory()}

    return {
        "open": opened,
        "prefill": prefill,
        "decode": decode,
        "logits": logits,
        "bytes_read": bytes_read,
        "peak_memory": memory,
    }


def peak_memory() -> int:
    """The most bytes that this process ever had in memory, files that it maps included."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise OSError("the system does not tell the peak of the memory")


# --- the other side


class Worker:
    """A process that answers. `with Worker(...) as worker` ends it."""

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        self.name = name
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 -- closed with the worker
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._questions, self._answers = self._process.stdin, self._process.stdout

    @property
    def pid(self) -> int:
        return self._process.pid

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def ask(self, do: str, **fields: object) -> dict[str, object]:
        """The answer. WorkerError where there is none within `PATIENCE` seconds, or it is an error."""
        try:
            self._questions.write(json.dumps({"do": do, **fields}).encode() + b"\n")
            self._questions.flush()
        except OSError:
            raise WorkerError(self._epitaph()) from None
        if not select.select([self._answers], [], [], PATIENCE)[0]:
            raise WorkerError(f"{self.name} says nothing for {PATIENCE:.0f} s after {do!r}")
        line = self._answers.readline()
        if not line:
            raise WorkerError(self._epitaph())
        answer: dict[str, object] = json.loads(line)
        if "error" in answer:
            raise WorkerError(f"{self.name} cannot {do}: {answer['error']}")
        return answer

    def number(self, do: str, wanted: str, **fields: object) -> float:
        """The number called `wanted` of the answer."""
        found = self.ask(do, **fields)[wanted]
        assert isinstance(found, float | int), f"{self.name} gives {found!r} for {wanted}"
        return float(found)

    def close(self) -> None:
        """Ends the process, kindly at first."""
        with contextlib.suppress(OSError):  # it may have died with a question unread
            self._questions.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._answers.close()
        self._said.close()

    def _epitaph(self) -> str:
        status = self._process.wait()
        self._said.seek(0)
        said = self._said.read().decode(errors="replace")[-_SHOWN:]
        return f"{self.name} ended with status {status}; it said:\n{said}"
