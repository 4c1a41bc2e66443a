"""What may be sampled, beside plain definitions in NumPy, and that seeds decide."""

from __future__ import annotations

import math
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorlogic.runtime.errors import BoundaryError
from tensorlogic.runtime.sampling import Sampler

DRAWS = 4000


def drawn(logits: list[float], **settings: Any) -> dict[int, float]:
    """How often each token is drawn of these logits: many rows at once."""
    ids = np.asarray(Sampler(**settings)(mx.broadcast_to(mx.array(logits), (DRAWS, len(logits)))))
    return {int(token): count / DRAWS for token, count in zip(*np.unique(ids, return_counts=True), strict=True)}


def expected(logits: list[float], temperature: float, allowed: set[int]) -> dict[int, float]:
    weights = {i: math.exp((logits[i] - max(logits)) / temperature) for i in allowed}
    return {i: weight / sum(weights.values()) for i, weight in weights.items()}


def near(found: dict[int, float], wanted: dict[int, float]) -> bool:
    return set(found) <= set(wanted) and all(abs(found.get(i, 0) - share) < 0.05 for i, share in wanted.items())


def test_without_temperature_the_largest_is_taken() -> None:
    logits = mx.array([[0.5, 3.0, -1.0], [9.0, 3.0, 8.9]])
    ids = Sampler()(logits)
    assert ids.dtype == mx.int32
    assert ids.tolist() == [1, 0]
    assert Sampler()(logits.astype(mx.float16)).tolist() == [1, 0]


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_tokens_are_drawn_by_their_probability(temperature: float) -> None:
    logits = [0.0, 1.0, 2.0, -1.0]
    assert near(drawn(logits, temperature=temperature), expected(logits, temperature, {0, 1, 2, 3}))


def test_the_largest_few() -> None:
    logits = [0.0, 1.0, 2.0, -1.0]
    assert near(drawn(logits, temperature=1.0, top_k=2), expected(logits, 1.0, {1, 2}))
    assert near(drawn(logits, temperature=1.0, top_k=9), expected(logits, 1.0, {0, 1, 2, 3}))


@given(st.lists(st.floats(-4, 4), min_size=1, max_size=12), st.floats(0.05, 1.0))
def test_the_fewest_that_make_up_a_share(logits: list[float], share: float) -> None:
    probabilities = np.exp(np.array(logits)) / np.exp(np.array(logits)).sum()
    order = np.argsort(-probabilities, kind="stable")
    before = np.cumsum(probabilities[order]) - probabilities[order]
    sure = {int(i) for i, sum_before in zip(order, before, strict=True) if sum_before < share + 1e-5}
    ids = np.asarray(Sampler(temperature=1.0, top_p=share)(mx.broadcast_to(mx.array(logits), (200, len(logits)))))
    # Equal ones may stand in any order.
    least = min(probabilities[i] for i in sure)
    assert all(probabilities[i] >= least - 1e-6 for i in ids)


def test_those_of_a_share_of_the_largest() -> None:
    logits = [math.log(p) for p in (0.5, 0.3, 0.15, 0.05)]
    assert near(drawn(logits, temperature=1.0, min_p=0.25), expected(logits, 1.0, {0, 1, 2}))


def test_filters_go_before_the_temperature() -> None:
    """At a high temperature all four would be in the first 0.8."""
    logits = [math.log(p) for p in (0.5, 0.3, 0.15, 0.05)]
    assert near(drawn(logits, temperature=10.0, top_p=0.75), expected(logits, 10.0, {0, 1}))


def test_filters_together() -> None:
    logits = [math.log(p) for p in (0.4, 0.3, 0.2, 0.1)]
    # Of the first three, 0.44 and 0.33 make up 0.7.
    assert near(drawn(logits, temperature=1.0, top_k=3, top_p=0.7), expected(logits, 1.0, {0, 1}))


def test_tokens_that_were_there_are_less_likely() -> None:
    sampler = Sampler(repetition_penalty=2.0)
    sampler.note(mx.array([[0, 2]]), 3)
    # 4 becomes 2, -1 becomes -2.
    assert sampler(mx.array([[4.0, 3.0, -1.0]])).tolist() == [1]
    # Now 1 was there, too.
    assert sampler(mx.array([[4.0, 3.0, -1.0]])).tolist() == [0]
    assert Sampler(repetition_penalty=2.0)(mx.array([[4.0, 3.0, -1.0]])).tolist() == [0]


def test_seeds_decide() -> None:
    logits = mx.zeros((1, 1000))

    def run(seed: int) -> list[int]:
        sampler = Sampler(temperature=1.0, seed=seed)
        return [int(token) for _ in range(5) for token in np.asarray(sampler(logits))]

    assert run(3) == run(3)
    assert run(3) != run(4)
    assert len(set(run(3))) > 1
    assert run(-1) == run(-1)


@pytest.mark.parametrize(
    "settings",
    [
        {"temperature": -1.0},
        {"temperature": math.nan},
        {"top_k": -1},
        {"top_p": 0.0},
        {"top_p": 1.5},
        {"min_p": -0.1},
        {"min_p": 2.0},
        {"repetition_penalty": 0.0},
        {"repetition_penalty": math.inf},
        {"seed": 2**64},
    ],
)
def test_what_makes_no_sense_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(BoundaryError, match=f"`{next(iter(settings))}`"):
        Sampler(**settings)
