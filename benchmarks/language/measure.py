"""The speed of contenders that take turns at one model: prefill and decode, as ratios to some of them.

A decode is timed in pieces of some tokens, the contenders alternating after each, so that what is divided lies a
fraction of a second apart; each goes on from its own last token. Before a piece all rest for a moment, since waiting
threads of the one before may spin still. The bandwidth is measured in every turn, for the same reason.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, median

from benchmarks.language.machine import load
from benchmarks.language.protocol import Worker
from benchmarks.language.rounds import Allowance, Spread, order, ratios, spread

REST = 0.02
"""Seconds. libgomp's threads spin for eight milliseconds."""
DISTURBED = 0.1
"""Of the processors, taken by others."""
ENOUGH = 4
"""Turns."""


@dataclass(frozen=True)
class Task:
    """What is timed: `tokens` at once, or one by one after `context` others, in `pieces` pieces of a round."""

    name: str
    tokens: int
    context: int | None = None
    pieces: int = 1

    def before(self, worker: Worker) -> None:
        """What a round begins with, untimed. Two tokens alone, so that memory is there and code is loaded."""
        if self.context is not None:
            worker.ask("prefill", ids=prompt(self.context - 2))
            worker.ask("decode", tokens=2)

    def seconds(self, worker: Worker) -> float:
        """Of a piece."""
        if self.context is None:
            return worker.number("prefill", "seconds", ids=prompt(self.tokens))
        return worker.number("decode", "seconds", tokens=self.tokens // self.pieces)


PREFILL_128 = Task("prefill 128", 128)
TASKS = (
    PREFILL_128,
    Task("prefill 512", 512),
    Task("decode 64 after 128", 64, context=128, pieces=4),
    Task("decode 64 after 2,000", 64, context=2000, pieces=8),
)
CAPACITY = 2304
"""Tokens of a conversation: the longest of the tasks, rounded up to what llama.cpp rounds it to."""


def prompt(length: int) -> list[int]:
    """Tokens that both models have, none of them a special one; the same in every run."""
    return [1_000 + i * 7_919 % 16_000 for i in range(length)]


@dataclass(frozen=True)
class Turn:
    """One piece of every contender: its seconds, and the bandwidth in bytes a second before them."""

    seconds: Mapping[str, float]
    bandwidth: float
    others: float
    """The share of the processors that was somebody else's meanwhile; 0 where the system does not tell."""


def warm_up(task: Task, workers: Sequence[Worker]) -> None:
    """What a first time needs besides: memory, code, the file's pages. A decode does it at the begin of each round."""
    if task.context is None:
        for worker in workers:
            task.seconds(worker)


def measure(
    task: Task, workers: Sequence[Worker], baseline: str, machine: Worker, allowance: Allowance
) -> tuple[Turn, ...]:
    """Rounds of `task` with `workers` that have opened their model."""
    by_name = {worker.name: worker for worker in workers}
    processes = [os.getpid(), machine.pid, *(worker.pid for worker in workers)]
    turns: list[Turn] = []
    for _ in allowance.rounds():
        for worker in workers:
            task.before(worker)
        for _ in range(task.pieces):
            time.sleep(REST)
            bandwidth = machine.number("bandwidth", "bytes")
            before = load(processes)
            seconds = {}
            for name in order(list(by_name), baseline, len(turns)):
                time.sleep(REST)
                seconds[name] = task.seconds(by_name[name])
            after = load(processes)
            turns.append(Turn(seconds, bandwidth, after.others_since(before) if before and after else 0.0))
    return tuple(turns)


def quiet(turns: Sequence[Turn]) -> tuple[Turn, ...]:
    """Those that were not disturbed, where they are enough for quartiles; all of them otherwise.

    Threads that wait for each other suffer from another process more or less by how they wait, and a benchmark of that
    is another one. What is left out is decided by the load alone, not by any time.
    """
    found = tuple(turn for turn in turns if turn.others <= DISTURBED)
    return found if len(found) >= ENOUGH else tuple(turns)


@dataclass(frozen=True)
class Row:
    """A contender at a task: its speed, and how many times that of each it is compared with it is, by turns."""

    model: str
    task: str
    contender: str
    tokens_a_second: float
    ratios: tuple[Spread | None, ...]
    bytes_read: int | None
    """Of weights and cache, for a token of a decode."""
    of_limit: float | None
    """The time that reading them takes at the bandwidth, as a part of the time that a token took."""
    turns: int
    others: float
    """The mean share of the processors that was somebody else's."""


def rows(
    model: str, task: Task, turns: Sequence[Turn], compared: Sequence[str], bytes_read: Mapping[str, int]
) -> list[Row]:
    """`bytes_read` by contender, for a token of a decode; ratios to the contenders that are `compared` with."""
    piece = task.tokens // task.pieces
    found = []
    for name in turns[0].seconds:
        seconds = [turn.seconds[name] for turn in turns]
        quotients = tuple(_ratio(turns, base, name) for base in compared)
        size, of_limit = bytes_read.get(name), None
        if size is not None:
            of_limit = median(size * piece / turn.bandwidth / turn.seconds[name] for turn in turns)
        speed = median(piece / each for each in seconds)
        others = mean(turn.others for turn in turns)
        found.append(Row(model, task.name, name, speed, quotients, size, of_limit, len(turns), others))
    return found


def _ratio(turns: Sequence[Turn], base: str, name: str) -> Spread | None:
    """How many times as fast as `base` a contender is; None beside itself, and where `base` took no part."""
    if name == base or base not in turns[0].seconds:
        return None
    found = ratios([turn.seconds[base] for turn in turns], [turn.seconds[name] for turn in turns])
    return spread(found) if len(found) > 1 else Spread(*found * 3)
