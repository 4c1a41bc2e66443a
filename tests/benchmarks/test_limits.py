"""The kernels' limits: every case runs, and what is made of its times."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import pytest

from benchmarks import limits
from benchmarks.language.protocol import Worker
from benchmarks.language.rounds import Spread
from benchmarks.limits import Case, Reached, cases, lines, reached


def test_every_case_runs_in_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "WIDTH", 128)
    monkeypatch.setattr(limits, "PROMPT", 16)
    monkeypatch.setattr(limits, "READ", 1 << 16)
    names = []
    for case in cases():
        case.run()
        assert case.amount > 0
        names.append(case.name)
    assert len(set(names)) == len(names)
    for kernel in ("one row, 4 bits", "mxfp4", "16 rows, dense float32", "attention of one row", "rms_norm", "softmax"):
        assert any(kernel in name for name in names), kernel


class Machine:
    """A machine whose bandwidth is what it is told, in turns."""

    def __init__(self, numbers: Iterator[float]) -> None:
        self._numbers = numbers

    def number(self, do: str, wanted: str) -> float:
        assert (do, wanted) == ("bandwidth", "bytes")
        return next(self._numbers)


def test_the_best_of_a_turn_is_divided_by_the_limit_of_the_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter([4.0, 2.0, 3.0, 9.0, 1.0, 9.0])
    monkeypatch.setattr(limits, "TURNS", 2)
    monkeypatch.setattr(limits, "_seconds", lambda run: next(seconds))
    machine = cast("Worker", Machine(iter([4e9, 16e9])))
    found = reached(Case("a", "bandwidth", 8e9, lambda: None), machine)
    # 4 of 4 and 8 of 16 GB a second.
    assert found == Reached("a", "bandwidth", 6.0, 10.0, Spread(0.75, 0.625, 0.875))


def test_the_table() -> None:
    rows = [
        Reached("a", "bandwidth", 20.4, 30.0, Spread(0.68, 0.6, 0.7)),
        Reached("b", "peak", 150.0, 200.0, Spread(0.75, 0.7, 0.8)),
    ]
    assert lines(rows)[1:] == [
        ("a", "20 GB/s", "30 GB/s", "0.68", "0.60 to 0.70"),
        ("b", "150 GFLOP/s", "200 GFLOP/s", "0.75", "0.70 to 0.80"),
    ]
