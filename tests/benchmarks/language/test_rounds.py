"""Turns, ratios and the time that they may take, on a clock that the test winds."""

from __future__ import annotations

import pytest

from benchmarks.language.rounds import Allowance, Spread, order, ratios, spread


def test_the_median_and_the_quartiles() -> None:
    assert spread([4.0, 1.0, 3.0, 2.0, 5.0]) == Spread(3.0, 2.0, 4.0)
    assert str(Spread(1.5, 1.25, 1.755)) == "1.50 (1.25 to 1.75)"


def test_one_number_has_no_quartiles() -> None:
    with pytest.raises(ValueError, match="at least two numbers, not 1"):
        spread([1.0])


def test_ratios_are_of_the_same_turn() -> None:
    assert ratios([2.0, 9.0], [1.0, 3.0]) == (2.0, 3.0)
    with pytest.raises(ValueError, match="2 and 1 numbers are no pairs"):
        ratios([1.0, 2.0], [1.0])


@pytest.mark.parametrize("names", [("a", "base", "b"), ("base", "a", "b"), ("a", "b", "base")])
def test_the_baseline_stands_in_the_middle_and_the_order_alternates(names: tuple[str, ...]) -> None:
    assert [order(names, "base", turn) for turn in range(3)] == [
        ("a", "base", "b"),
        ("b", "base", "a"),
        ("a", "base", "b"),
    ]


def test_the_order_of_few() -> None:
    assert order(["base"], "base", 1) == ("base",)
    assert order(["a", "base"], "base", 0) == ("base", "a")
    assert order(["a", "b"], "base", 1) == ("b", "a")


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def count(allowance: Allowance, *lengths: float) -> int:
    """How many rounds there are when they last so long, the last of `lengths` again and again."""
    clock = Clock()
    done = 0
    for number in allowance.rounds(clock):
        assert number == done
        clock.now += lengths[min(done, len(lengths) - 1)]
        done += 1
    return done


def test_rounds_go_on_until_the_time_is_used_up() -> None:
    assert count(Allowance(1, 100, 10), 2) == 5
    assert count(Allowance(1, 100, 11.9), 2) == 5
    assert count(Allowance(1, 100, 12), 2) == 6


def test_a_round_is_not_begun_where_the_longest_one_would_not_fit() -> None:
    assert count(Allowance(1, 100, 10), 5, 1) == 2
    assert count(Allowance(1, 100, 11), 5, 1) == 3


def test_the_least_number_is_done_at_all_events() -> None:
    assert count(Allowance(3, 100, 1), 10) == 3


def test_there_are_not_more_than_the_most() -> None:
    assert count(Allowance(1, 4, 1000), 0.001) == 4


@pytest.mark.parametrize(("least", "most"), [(0, 1), (2, 1)])
def test_a_range_that_is_none_is_refused(least: int, most: int) -> None:
    with pytest.raises(ValueError, match="are no range"):
        Allowance(least, most, 1)
