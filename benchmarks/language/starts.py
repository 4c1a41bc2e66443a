"""Beginnings: the time to open a model, from then to the first token of a prompt of 128, and the peak of the memory.

Each figure is of a process of its own, the contenders taking turns; the file is in the system's cache. The start of
the process and its imports do not count. The peak is that of a conversation of a first prompt, a second one of 512
tokens and 64 more, with everything that the interpreter and the libraries take, and the pages of mapped files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.language.contenders import Entrant
from benchmarks.language.measure import prompt
from benchmarks.language.models import LanguageModel
from benchmarks.language.rounds import Allowance, Spread, order, ratios, spread

CAPACITY = 1024
_MEGABYTE = 2**20


@dataclass(frozen=True)
class Beginning:
    """Of one process: seconds, seconds and bytes."""

    opened: float
    first: float
    peak: float


@dataclass(frozen=True)
class Start:
    """A contender's medians, and the ratios to the baseline's; below 1 ours takes less."""

    model: str
    contender: str
    open_seconds: float
    first_token_seconds: float
    first_token_ratio: Spread | None
    peak_megabytes: float
    peak_ratio: Spread | None
    processes: int


def measure(model: LanguageModel, entrants: Sequence[Entrant], baseline: str, allowance: Allowance) -> list[Start]:
    """Every contender, in turns."""
    model.path.read_bytes()
    by_name = {entrant.name: entrant for entrant in entrants}
    found: dict[str, list[Beginning]] = {name: [] for name in by_name}
    for turn in allowance.rounds():
        for name in order(list(by_name), baseline, turn):
            found[name].append(_begin(by_name[name], model))
    return starts(model.name, found, baseline)


def starts(model: str, found: Mapping[str, Sequence[Beginning]], baseline: str) -> list[Start]:
    """What the processes of each contender come to."""
    base = found.get(baseline, ())

    def ratio(name: str, figures: Sequence[float], base_figures: Sequence[float]) -> Spread | None:
        return None if name == baseline or len(base_figures) < 2 else spread(ratios(figures, base_figures))

    return [
        Start(
            model=model,
            contender=name,
            open_seconds=median(each.opened for each in runs),
            first_token_seconds=median(each.first for each in runs),
            first_token_ratio=ratio(name, [each.first for each in runs], [each.first for each in base]),
            peak_megabytes=median(each.peak for each in runs) / _MEGABYTE,
            peak_ratio=ratio(name, [each.peak for each in runs], [each.peak for each in base]),
            processes=len(runs),
        )
        for name, runs in found.items()
    ]


def _begin(entrant: Entrant, model: LanguageModel) -> Beginning:
    with entrant.start() as worker:
        opened = worker.number("open", "seconds", path=str(model.path), capacity=CAPACITY)
        first = worker.number("prefill", "seconds", ids=prompt(128))
        worker.ask("prefill", ids=prompt(512))
        worker.ask("decode", tokens=64)
        return Beginning(opened, first, worker.number("peak_memory", "bytes"))
