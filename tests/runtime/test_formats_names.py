"""The index of a model's names."""

from __future__ import annotations

import pytest

from tensorlogic.runtime.formats.names import Names, together

BLOCKS = [f"blk.{i}.{part}.weight" for i in range(12) for part in ("attn_q", "attn_k", "ffn.0", "ffn.10")]
NAMES = Names([*BLOCKS, "output.weight", "h_3.bias", "h_07.bias"])


def test_prefixes_end_at_dots() -> None:
    assert [NAMES.is_prefix(text) for text in ("", "blk", "blk.11", "blk.11.ffn", "output", "h_3")] == [True] * 6
    assert not any(map(NAMES.is_prefix, ("bl", "blk.", "blk.12", "output.weight", "h")))
    assert "output.weight" in NAMES
    assert "output" not in NAMES


def test_numbers_behind_a_text() -> None:
    assert NAMES.numbers("blk.") == list(range(12))
    assert NAMES.numbers("blk.", 9) == [10, 11]
    assert NAMES.numbers("blk.3.ffn.") == [0, 10]
    assert NAMES.numbers("h_") == [3]
    assert NAMES.numbers("blk.1") == NAMES.numbers("") == []


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("blk.3.attn_key.weight", "blk.3.attn_k.weight"),
        ("blk.30.attn_q.weight", "blk.11.attn_q.weight"),
        ("blk.2.ffn.9.weight", "blk.2.ffn.10.weight"),
        ("outputs.weight", "output.weight"),
        ("something else", None),
    ],
)
def test_the_nearest_name_keeps_the_numbers(name: str, nearest: str | None) -> None:
    assert NAMES.nearest(name) == nearest


def test_the_nearest_name_is_not_a_taken_one() -> None:
    taken = {f"blk.{i}.attn_k.weight" for i in range(12)}
    assert NAMES.nearest("blk.3.attn_kk.weight", taken) == "blk.3.attn_q.weight"
    assert NAMES.nearest("outputs.weight", {"output.weight"}) is None


def test_the_nearest_prefix() -> None:
    assert NAMES.nearest_prefix("blk.12") == "blk.11"
    assert NAMES.nearest_prefix("blcks.3") == "blk.3"
    assert NAMES.nearest_prefix("nothing alike") is None


def test_many_forms_and_long_names() -> None:
    letters = "abcdefghij"
    every = [f"model.{a}{b}{c}{d}.weight" for a in letters for b in letters for c in letters for d in letters]
    long = ".".join(["0"] * 30_000)
    names = Names([*every, long])
    assert names.nearest("model.abcd.weights") == "model.abcd.weight"
    assert long in names
    assert not names.is_prefix("0.0")
    assert names.numbers("0.") == []


@pytest.mark.parametrize(
    ("names", "one"),
    [
        (["a.3.w"], "a.3.w"),
        (["a.3.w", "a.1.w", "a.2.w", "a.7.w"], "a.{1..3,7}.w"),
        (["a.3.w.9", "a.3.w.8"], "a.3.w.{8..9}"),
        ([f"a.{i}" for i in range(0, 10, 2)], "a.0 and 4 more like it"),
        (["a.3.w.9", "a.2.w.8", "a.2.w.7"], "a.3.w.9 and 2 more like it"),
    ],
)
def test_names_of_one_form_together(names: list[str], one: str) -> None:
    assert together(names) == one
