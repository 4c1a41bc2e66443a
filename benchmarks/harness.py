"""Compares two ways to compute the same thing, by time, in one process.

Takes: two functions without arguments, each doing one whole run of the work, evaluation included: `mx.eval(f(x))`.

Promises: paired measurements. Both run right after each other, the first of a pair alternating (AB, BA, AB, ...), so
that what slows the machine for a while slows both sides of a pair; the result is the median of the paired ratios, with
its quartiles. One measurement repeats a run that is shorter than `SHORTEST` seconds, as often for both sides. Python's
garbage collector is off meanwhile. The harness knows nothing of MLX.

Refuses: fewer than two pairs (no quartiles).
"""

from __future__ import annotations

import gc
import json
import math
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeAlias

PAIRS = 30
WARM_UP = 5
SHORTEST = 0.005
MOST_REPEATS = 10_000

Run: TypeAlias = Callable[[], object]
Clock: TypeAlias = Callable[[], float]


@dataclass(frozen=True)
class Comparison:
    """Paired times of one run, in seconds: `ours[i]` and `baseline[i]` were measured right after each other."""

    name: str
    ours: tuple[float, ...]
    baseline: tuple[float, ...]

    @property
    def ratios(self) -> tuple[float, ...]:
        """Above 1, ours is slower."""
        return tuple(ours / baseline for ours, baseline in zip(self.ours, self.baseline, strict=True))

    @property
    def added(self) -> float:
        """How many seconds ours takes more: the median of the paired differences."""
        return statistics.median(ours - baseline for ours, baseline in zip(self.ours, self.baseline, strict=True))

    @property
    def summary(self) -> Summary:
        lower, median, upper = statistics.quantiles(self.ratios, n=4, method="inclusive")
        return Summary(
            name=self.name,
            pairs=len(self.ours),
            ours_milliseconds=statistics.median(self.ours) * 1e3,
            baseline_milliseconds=statistics.median(self.baseline) * 1e3,
            ratio=median,
            ratio_lower_quartile=lower,
            ratio_upper_quartile=upper,
        )


@dataclass(frozen=True)
class Summary:
    """What is printed and kept of a comparison."""

    name: str
    pairs: int
    ours_milliseconds: float
    baseline_milliseconds: float
    ratio: float
    ratio_lower_quartile: float
    ratio_upper_quartile: float


def compare(
    name: str, ours: Run, baseline: Run, *, pairs: int = PAIRS, warm_up: int = WARM_UP, clock: Clock = time.perf_counter
) -> Comparison:
    """Measures both sides `pairs` times, after `warm_up` runs of each that do not count."""
    if pairs < 2:
        raise ValueError(f"quartiles need at least two pairs, not {pairs}")
    times: tuple[list[float], list[float]] = ([], [])
    sides = (ours, baseline)
    with _no_garbage_collection():
        for _ in range(warm_up):
            ours()
            baseline()
        # The longer side decides, so that neither is repeated for long.
        repeats = max(1, min(_repeats(side, clock) for side in sides))
        for pair in range(pairs):
            for side in (0, 1) if pair % 2 == 0 else (1, 0):
                times[side].append(_seconds(sides[side], repeats, clock))
    return Comparison(name, tuple(times[0]), tuple(times[1]))


def table(summaries: Sequence[Summary]) -> str:
    """The comparisons as a table."""
    rows: list[tuple[str, ...]] = [("", "TensorLogic ms", "MLX by hand ms", "ratio", "quartiles")]
    rows += [
        (
            summary.name,
            f"{summary.ours_milliseconds:.3f}",
            f"{summary.baseline_milliseconds:.3f}",
            f"{summary.ratio:.3f}",
            f"{summary.ratio_lower_quartile:.3f} to {summary.ratio_upper_quartile:.3f}",
        )
        for summary in summaries
    ]
    return aligned(rows)


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, the first row its head, its columns aligned so that it also reads well in a terminal."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [_row(row, widths) for row in rows]
    rule = [f"{'-' * widths[0]}"] + ["-" * (width - 1) + ":" for width in widths[1:]]
    lines.insert(1, f"| {' | '.join(rule)} |")
    return "\n".join(lines)


def write_json(
    path: Path, summaries: Sequence[Summary], facts: Mapping[str, object], **tables: Sequence[Mapping[str, object]]
) -> None:
    """`facts` say where the numbers were measured: machine, versions, carried precision; `tables` are further rows."""
    content: dict[str, object] = {"facts": dict(facts), "comparisons": [asdict(summary) for summary in summaries]}
    content.update({name: [dict(row) for row in rows] for name, rows in tables.items()})
    path.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [
        cells[0].ljust(widths[0]),
        *(cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)),
    ]
    return f"| {' | '.join(padded)} |"


def _repeats(run: Run, clock: Clock) -> int:
    """How many runs last about `SHORTEST` seconds together."""
    once = _seconds(run, 1, clock)
    return MOST_REPEATS if once <= 0 else min(MOST_REPEATS, max(1, math.ceil(SHORTEST / once)))


def _seconds(run: Run, repeats: int, clock: Clock) -> float:
    """The time of one run, as the mean of `repeats` in a row."""
    start = clock()
    for _ in range(repeats):
        run()
    return (clock() - start) / repeats


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """What was collected before does not fall into a measurement."""
    gc.collect()
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
