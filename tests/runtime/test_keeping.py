"""What is kept of arrays goes with the first of them."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import mlx.core as mx
import pytest

from tensorlogic.runtime.keeping import Kept


@pytest.fixture(autouse=True)
def by_counting() -> Iterator[None]:
    """Without the collector, which would hide a cycle."""
    gc.disable()
    yield
    gc.enable()


def test_a_thing_is_kept_as_long_as_all_its_arrays_live() -> None:
    kept: Kept[str] = Kept()
    a, b = mx.array([1.0]), mx.array([2.0])
    assert kept.get("both") is None
    assert kept.keep("both", "thing", [a, None, b]) == "thing"
    kept.keep("first", "other", [a, a])
    assert (kept.get("both"), kept.get("first"), len(kept)) == ("thing", "other", 2)
    del b
    assert (kept.get("both"), kept.get("first"), len(kept)) == (None, "other", 1)
    del a
    assert len(kept) == 0


def test_the_last_thing_of_a_key_counts() -> None:
    kept: Kept[int] = Kept()
    a, b = mx.array([1.0]), mx.array([2.0])
    kept.keep("key", 1, [a])
    kept.keep("key", 2, [b])
    del a
    assert kept.get("key") == 2
    del b
    assert kept.get("key") is None
