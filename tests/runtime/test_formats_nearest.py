"""The nearest names to a wrong one, of few names and of many."""

from __future__ import annotations

from tensorlogic.runtime.formats.nearest import did_you_mean, nearest

MANY = [f"model.layers.{i // 10}.part_{i % 10}.weight" for i in range(20_000)]


def test_of_few_names() -> None:
    assert nearest("wieght", ["weight", "bias"]) == ["weight"]
    assert nearest("unlike", ["weight", "bias"]) == []


def test_of_many_names_the_one_that_is_most_alike_comes_first() -> None:
    assert nearest("model.layers.77.part_33.weight", MANY)[0] == "model.layers.77.part_3.weight"
    assert nearest("model.layers.1999.prat_9.weight", MANY)[0] == "model.layers.1999.part_9.weight"
    assert nearest("modell.layers.5.part_5.weight", MANY)[0] == "model.layers.5.part_5.weight"


def test_names_that_hold_nothing_in_common_are_not_offered() -> None:
    assert nearest("", MANY) == []
    assert nearest("q" * 1000, MANY) == []


def test_the_offer() -> None:
    assert did_you_mean(["a", "b"]) == ["did you mean `a` or `b`?"]
    assert did_you_mean([]) == []
