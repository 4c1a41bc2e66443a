"""The harness's arithmetic, on a clock that the test winds."""

from __future__ import annotations

import gc
import json
from pathlib import Path

import pytest

from benchmarks.harness import Comparison, Summary, compare, table, write_json


class Machine:
    """A clock, and runs that take as long as they are told; `order` tells who ran."""

    def __init__(self) -> None:
        self.now = 0.0
        self.order = ""

    def clock(self) -> float:
        return self.now

    def run(self, name: str, seconds: float) -> None:
        self.order += name
        self.now += seconds


def test_the_order_alternates_after_the_warm_up() -> None:
    machine = Machine()
    compare("x", lambda: machine.run("a", 1), lambda: machine.run("b", 1), pairs=3, warm_up=2, clock=machine.clock)
    warm_up, calibration, pairs = "abab", "ab", "abbaab"
    assert machine.order == warm_up + calibration + pairs


def test_times_and_ratios() -> None:
    machine = Machine()
    result = compare("x", lambda: machine.run("a", 3), lambda: machine.run("b", 2), pairs=4, clock=machine.clock)
    assert list(result.ours) == [3.0, 3.0, 3.0, 3.0]
    assert list(result.baseline) == [2.0, 2.0, 2.0, 2.0]
    assert list(result.ratios) == [1.5, 1.5, 1.5, 1.5]


def test_short_runs_are_repeated_as_often_on_both_sides() -> None:
    machine = Machine()
    result = compare(
        "x", lambda: machine.run("a", 0.001), lambda: machine.run("b", 0.002), pairs=2, warm_up=0, clock=machine.clock
    )
    assert machine.order == "ab" + "aaabbb" + "bbbaaa"
    assert result.ours == pytest.approx((0.001, 0.001))
    assert result.baseline == pytest.approx((0.002, 0.002))


def test_a_run_too_short_for_the_clock_is_repeated_a_limited_number_of_times() -> None:
    machine = Machine()

    def run() -> None:
        machine.run("a", 0)

    assert compare("x", run, run, pairs=2, warm_up=0, clock=machine.clock).ours == (0, 0)
    assert len(machine.order) == 2 + 4 * 10_000


def test_the_median_is_of_the_ratios_not_the_ratio_of_medians() -> None:
    comparison = Comparison("x", ours=(1.0, 4.0, 9.0), baseline=(1.0, 2.0, 3.0))
    assert comparison.ratios == (1.0, 2.0, 3.0)
    assert comparison.added == 2.0
    assert comparison.summary == Summary(
        name="x",
        pairs=3,
        ours_milliseconds=4000.0,
        baseline_milliseconds=2000.0,
        ratio=2.0,
        ratio_lower_quartile=1.5,
        ratio_upper_quartile=2.5,
    )


def test_one_pair_has_no_quartiles() -> None:
    with pytest.raises(ValueError, match="at least two pairs, not 1"):
        compare("x", lambda: None, lambda: None, pairs=1)


def test_garbage_collection_is_off_meanwhile_and_on_again_after() -> None:
    seen = []
    compare("x", lambda: seen.append(gc.isenabled()), lambda: None, pairs=2, warm_up=1)
    assert set(seen) == {False}
    assert gc.isenabled()

    def failing() -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        compare("x", failing, failing)
    assert gc.isenabled()


SUMMARY = Summary("linear", 30, 1.5, 1.25, 1.2, 1.1, 1.3)


def test_the_table() -> None:
    assert table([SUMMARY]).splitlines() == [
        "|        | TensorLogic ms | MLX by hand ms | ratio |      quartiles |",
        "| ------ | -------------: | -------------: | ----: | -------------: |",
        "| linear |          1.500 |          1.250 | 1.200 | 1.100 to 1.300 |",
    ]


def test_the_json_file(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    write_json(path, [SUMMARY], {"mlx": "0.32.4"})
    content = json.loads(path.read_text())
    assert content["facts"] == {"mlx": "0.32.4"}
    (only,) = content["comparisons"]
    assert Summary(**only) == SUMMARY
