"""Beginnings: the time to open a model, from then to the first token of a prompt of 128, and the peak of the memory.

Each figure is of a process of its own, the contenders taking turns; the file is in the system's cache. The start of
the process and its imports do not count. The peak is that of a conversation of a first prompt, a second one of 512
tokens and 64 more, with everything that the interpreter and the libraries take, and the pages of mapped files. It is
the same from process to process, and taken in the first turns alone; times differ by a fifth, and take many.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TypeAlias

from benchmarks.language.contenders import Entrant
from benchmarks.language.measure import prompt
from benchmarks.language.models import LanguageModel
from benchmarks.language.rounds import Allowance, Spread, order, ratios, spread

CAPACITY = 1024
PEAKS = 3
"""In how many turns the peak of the memory is measured."""
_MEGABYTE = 2**20

Ratios: TypeAlias = tuple[Spread | None, ...]


@dataclass(frozen=True)
class Beginning:
    """Of one process: seconds, seconds and bytes, these None where they were not measured."""

    opened: float
    first: float
    peak: float | None


@dataclass(frozen=True)
class Start:
    """A contender's medians, and the ratios to each that it is compared with; below 1 it takes less than they."""

    model: str
    contender: str
    open_seconds: float
    open_ratios: Ratios
    first_token_seconds: float
    first_token_ratios: Ratios
    peak_megabytes: float
    peak_ratios: Ratios
    processes: int


def measure(
    model: LanguageModel, entrants: Sequence[Entrant], compared: Sequence[str], allowance: Allowance
) -> list[Start]:
    """Every contender, in turns, beside those that are `compared` with."""
    model.path.read_bytes()
    by_name = {entrant.name: entrant for entrant in entrants}
    found: dict[str, list[Beginning]] = {name: [] for name in by_name}
    for turn in allowance.rounds():
        for name in order(list(by_name), compared[0], turn):
            found[name].append(_begin(by_name[name], model, with_peak=turn < PEAKS))
    return starts(model.name, found, compared)


def starts(model: str, found: Mapping[str, Sequence[Beginning]], compared: Sequence[str]) -> list[Start]:
    """What the processes of each contender come to."""

    def beside(name: str, figure: Callable[[Beginning], float | None]) -> Ratios:
        return tuple(_ratio(name, base, found, figure) for base in compared)

    return [
        Start(
            model=model,
            contender=name,
            open_seconds=median(each.opened for each in runs),
            open_ratios=beside(name, lambda each: each.opened),
            first_token_seconds=median(each.first for each in runs),
            first_token_ratios=beside(name, lambda each: each.first),
            peak_megabytes=median(each.peak for each in runs if each.peak is not None) / _MEGABYTE,
            peak_ratios=beside(name, lambda each: each.peak),
            processes=len(runs),
        )
        for name, runs in found.items()
    ]


def _ratio(
    name: str, base: str, found: Mapping[str, Sequence[Beginning]], figure: Callable[[Beginning], float | None]
) -> Spread | None:
    """Of a contender's figures to those of `base` in the same turns; None beside itself and without two of them."""

    def figures(runs: Sequence[Beginning]) -> list[float]:
        return [value for each in runs if (value := figure(each)) is not None]

    beside = figures(found.get(base, ()))
    if name == base or len(beside) < 2:
        return None
    return spread(ratios(figures(found[name]), beside))


def _begin(entrant: Entrant, model: LanguageModel, *, with_peak: bool) -> Beginning:
    with entrant.start() as worker:
        opened = worker.number("open", "seconds", path=str(model.path), capacity=CAPACITY)
        first = worker.number("prefill", "seconds", ids=prompt(128))
        if not with_peak:
            return Beginning(opened, first, None)
        worker.ask("prefill", ids=prompt(512))
        worker.ask("decode", tokens=64)
        return Beginning(opened, first, worker.number("peak_memory", "bytes"))
