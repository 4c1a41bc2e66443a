"""Beginnings, agreement, bytes and the tables: what is made of numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.language import models, tables
from benchmarks.language.agreement import Agreement, agreement
from benchmarks.language.comparison import FULL, QUICK, present
from benchmarks.language.contenders import Entrant
from benchmarks.language.measure import TASKS, Row
from benchmarks.language.rounds import Spread
from benchmarks.language.starts import Beginning, Start, starts
from tensorlogic.runtime.formats import read_header
from tests.runtime.model_files import random_blocks, write_gguf

MEGABYTE = 2**20


def test_beginnings_are_medians_and_ratios_of_the_same_turn() -> None:
    found = {
        "base": [Beginning(1.0, 2.0, MEGABYTE), Beginning(3.0, 4.0, 3 * MEGABYTE), Beginning(2.0, 2.0, None)],
        "a": [Beginning(5.0, 1.0, 2 * MEGABYTE), Beginning(5.0, 8.0, 3 * MEGABYTE), Beginning(5.0, 2.0, None)],
    }
    base, ours = starts("m", found, ["base"])
    assert base == Start("m", "base", 2.0, (None,), 2.0, (None,), 2.0, (None,), 3)
    assert ours == Start(
        *("m", "a", 5.0, (Spread(2.5, 25 / 12, 3.75),), 2.0, (Spread(1.0, 0.75, 1.5),)),
        *(2.5, (Spread(1.5, 1.25, 1.75),), 3),
    )


def test_without_the_baseline_beginnings_have_no_ratios() -> None:
    (alone,) = starts("m", {"a": [Beginning(1.0, 1.0, 1.0)] * 2}, ["base"])
    assert alone.open_ratios == alone.first_token_ratios == alone.peak_ratios == (None,)


def test_agreement_of_logits() -> None:
    expected = np.array([[0, 1, 2], [5, 0, 0]], np.float32)
    found = np.array([[0, 1, 2], [0, 5, 0]], np.float32)
    result = agreement("m", "a", found, expected)
    assert (result.largest, result.same, result.positions) == (5.0, 1, 2)
    assert result.root_mean_square == pytest.approx((50 / 6) ** 0.5)
    assert not result.holds


def test_noise_is_no_disagreement_and_an_error_is() -> None:
    random = np.random.default_rng(0)
    logits = random.normal(0, 4, (64, 1000)).astype(np.float32)
    noisy = logits + random.normal(0, 0.3, logits.shape).astype(np.float32)
    assert agreement("m", "a", noisy, logits).holds
    assert not agreement("m", "a", np.roll(logits, 1, axis=0), logits).holds
    assert not agreement("m", "a", logits + 1, logits).holds


@pytest.fixture
def gemma(tmp_path: Path) -> Path:
    """Twelve layers, two of which see everything, two heads of 4 numbers, and 34 bytes for a row of weights."""
    sizes = {"block_count": 12, "attention.head_count": 4, "attention.head_count_kv": 2, "embedding_length": 32}
    more = {"attention.key_length": 4, "attention.sliding_window": 10}
    metadata: dict[str, str | int | float | list[object]] = {"general.architecture": "gemma3"}
    metadata |= {f"gemma3.{name}": value for name, value in (sizes | more).items()}
    tensors = {"token_embd.weight": ("Q8_0", random_blocks("Q8_0", (3,), 32, seed=0))}
    return write_gguf(tmp_path / "model.gguf", tensors, metadata)


def test_the_bytes_that_a_token_reads(gemma: Path) -> None:
    header = read_header(gemma)
    # Keys and values of two heads of four numbers, in twelve layers.
    assert models.cached(header, 7) == 2 * 2 * 4 * 12 * 7
    assert models.cached(header, 100) == 2 * 2 * 4 * (2 * 100 + 10 * 10)
    assert models.bytes_read(gemma, 7) == 3 * 34 + 2 * models.cached(header, 7)


def test_the_table_of_speeds() -> None:
    rows = [
        Row("m", "decode", "base", 99.94, (None, None), 102_032_640, 0.5, 8, 0.01),
        Row("m", "decode", "a", 1234.5, (Spread(1.5, 1.25, 1.75), None), None, None, 8, 0.25),
        Row("m", "decode", "b", 0.5, (Spread(0.25, 0.25, 0.25), Spread(2, 1, 3)), None, None, 1, 0.0),
    ]
    head, *lines = tables.speeds(rows)
    assert len(head) == 11
    assert lines == [
        ("decode", "base", "99.9", "", "", "", "", "102", "0.50", "8", "1%"),
        ("decode", "a", "1234", "1.50", "1.25 to 1.75", "", "", "", "", "8", "25% !"),
        ("decode", "b", "0.5", "0.25", "", "2.00", "1.00 to 3.00", "", "", "1", "0%"),
    ]


def test_the_tables_of_beginnings_and_agreement() -> None:
    spread = Spread(1.5, 1.25, 1.75)
    ratios = (spread, None)
    assert tables.beginnings([Start("m", "a", 0.1234, ratios, 0.5, ratios, 200.4, ratios, 3)])[1] == (
        *("a", "0.123", "1.50", "1.25 to 1.75", "", "", "0.500", "1.50", "1.25 to 1.75", "", ""),
        *("200", "1.50", "", "3"),
    )
    right, wrong = Agreement("m", "a", 1.0, 0.2, 60, 64), Agreement("m", "b", 9.0, 3.0, 2, 64)
    assert tables.agreements([right, wrong])[1:] == [
        ("a", "1.00", "0.20", "60 of 64"),
        ("b", "9.00", "3.00", "2 of 64 !"),
    ]


def test_every_task_has_its_time() -> None:
    assert {task.name for task in TASKS} == set(FULL.tasks) == set(QUICK.tasks)
    assert list(FULL.only("after 2,000").tasks) == ["decode 64 after 2,000"]


def test_who_is_not_installed_is_left_out_with_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    here, missing = Entrant("here", "toy", ("json",)), Entrant("missing", "toy", ("json", "there_is_no_such_module"))
    assert present([here, missing]) == [here]
    said = "missing is left out: ModuleNotFoundError: No module named 'there_is_no_such_module'\n"
    assert capsys.readouterr().err == said
