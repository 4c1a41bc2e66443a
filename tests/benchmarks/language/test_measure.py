"""Tasks, turns and what is made of their times, with workers that only note what they are asked."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import cast

import pytest

from benchmarks.language import measure as measuring
from benchmarks.language.machine import Load, load
from benchmarks.language.measure import PREFILL_128, TASKS, Task, Turn, measure, prompt, quiet, rows, warm_up
from benchmarks.language.protocol import Worker
from benchmarks.language.rounds import Allowance, Spread

DECODE = Task("decode 4 after 6", 4, context=6, pieces=2)


class Noting:
    """Answers with the numbers that it is given, and writes down what it is asked."""

    pid = 1

    def __init__(self, name: str, log: list[str], numbers: Iterator[float]) -> None:
        self.name = name
        self._log = log
        self._numbers = numbers

    def ask(self, do: str, **fields: object) -> dict[str, object]:
        ids = fields.get("ids")
        size = len(ids) if isinstance(ids, list) else fields.get("tokens", "")
        self._log.append(f"{self.name} {do} {size}".strip())
        return {}

    def number(self, do: str, wanted: str, **fields: object) -> float:
        self.ask(do, **fields)
        return next(self._numbers)


@pytest.fixture(autouse=True)
def _no_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "REST", 0.0)
    monkeypatch.setattr(measuring, "load", lambda processes: None)


def run(task: Task, allowance: Allowance, **numbers: list[float]) -> tuple[list[str], tuple[Turn, ...]]:
    log: list[str] = []
    workers = [cast("Worker", Noting(name, log, iter(given))) for name, given in numbers.items() if name != "machine"]
    machine = cast("Worker", Noting("machine", log, iter(numbers["machine"])))
    return log, measure(task, workers, "base", machine, allowance)


def test_a_prefill_is_one_piece_and_the_order_alternates() -> None:
    log, turns = run(PREFILL_128, Allowance(2, 2, 0), a=[3.0, 4.0], base=[1.0, 2.0], b=[5.0, 6.0], machine=[7.0, 8.0])
    assert log == [
        *("machine bandwidth", "a prefill 128", "base prefill 128", "b prefill 128"),
        *("machine bandwidth", "b prefill 128", "base prefill 128", "a prefill 128"),
    ]
    assert turns == (
        Turn({"a": 3.0, "base": 1.0, "b": 5.0}, 7.0, 0.0),
        Turn({"b": 6.0, "base": 2.0, "a": 4.0}, 8.0, 0.0),
    )


def test_a_decode_begins_with_its_context_and_alternates_by_pieces() -> None:
    log, turns = run(DECODE, Allowance(1, 1, 0), a=[3.0, 4.0], base=[1.0, 2.0], machine=[7.0, 8.0])
    assert log == [
        *("a prefill 4", "a decode 2", "base prefill 4", "base decode 2"),
        *("machine bandwidth", "base decode 2", "a decode 2"),
        *("machine bandwidth", "a decode 2", "base decode 2"),
    ]
    assert [turn.seconds for turn in turns] == [{"base": 1.0, "a": 3.0}, {"a": 4.0, "base": 2.0}]


def test_a_prefill_is_warmed_up_and_a_decode_is_not() -> None:
    log: list[str] = []
    worker = cast("Worker", Noting("a", log, iter([1.0])))
    warm_up(DECODE, [worker])
    assert log == []
    warm_up(PREFILL_128, [worker])
    assert log == ["a prefill 128"]


TURNS = (
    Turn({"base": 2.0, "a": 1.0}, 100.0, 0.0),
    Turn({"base": 6.0, "a": 2.0}, 50.0, 0.05),
    Turn({"base": 8.0, "a": 2.0}, 25.0, 0.01),
)


def test_ratios_are_of_turns_and_the_limit_is_that_of_each_turn() -> None:
    base, ours = rows("m", DECODE, TURNS, ["base", "a"], {"a": 10})
    assert (base.tokens_a_second, base.ratios[0], base.of_limit, base.turns) == (2 / 6, None, None, 3)
    assert base.ratios[1] is not None
    assert base.ratios[1].median == pytest.approx(1 / 3)
    assert (ours.model, ours.task, ours.contender) == ("m", DECODE.name, "a")
    assert (ours.tokens_a_second, ours.ratios, ours.turns) == (1.0, (Spread(3.0, 2.5, 3.5), None), 3)
    # Two tokens of ten bytes: 0.2, 0.4 and 0.8 seconds of 1, 2 and 2.
    assert ours.of_limit == pytest.approx(0.2)
    assert ours.bytes_read == 10
    assert ours.others == pytest.approx(0.02)


def test_a_prefill_has_no_limit_of_the_bandwidth() -> None:
    assert [(row.bytes_read, row.of_limit) for row in rows("m", PREFILL_128, TURNS, ["base"], {})] == [(None, None)] * 2


def test_one_turn_has_a_ratio_without_quartiles() -> None:
    assert rows("m", PREFILL_128, TURNS[:1], ["base"], {})[1].ratios == (Spread(2.0, 2.0, 2.0),)


def test_without_the_baseline_there_are_no_ratios() -> None:
    assert [row.ratios for row in rows("m", PREFILL_128, TURNS, ["c"], {})] == [(None,)] * 2


def test_disturbed_turns_are_left_out_where_enough_others_remain() -> None:
    still, loud = Turn({}, 1.0, 0.1), Turn({}, 1.0, 0.11)
    assert quiet([still, loud, still, still, still]) == (still,) * 4
    assert quiet([still, loud, still, still]) == (still, loud, still, still)


def test_prompts_are_the_same_in_every_run_and_name_tokens_of_both_models() -> None:
    ids = prompt(2000)
    assert ids == prompt(2000)
    assert prompt(128) == ids[:128]
    assert len(set(ids)) == 2000
    assert 256 <= min(ids) <= max(ids) < 49_152


def test_every_task_fits_the_conversation() -> None:
    assert all((task.context or 0) + task.tokens <= measuring.CAPACITY for task in TASKS)
    assert all(task.tokens % task.pieces == 0 for task in TASKS)


def test_the_share_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    before = Load(at=10.0, all=100.0, ours=50.0)
    assert Load(20.0, 115.0, 60.0).others_since(before) == 0.25
    assert Load(20.0, 109.9, 60.0).others_since(before) == 0.0
    assert before.others_since(before) == 0.0


def test_the_load_grows_with_work() -> None:
    before = load([os.getpid()])
    assert before is not None
    assert 0 < before.ours <= before.all
    assert load([2**22 + 1]) is None
