"""Compiled TensorLogic beside the same computations written by hand in MLX, alternating in one process.

Both sides get the same arrays in the carried precision; what is compared is a function's body, without its entry's
checks, whose cost is measured apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import mlx.core as mx

import tensorlogic
from benchmarks import baselines
from benchmarks.harness import Comparison, compare
from tensorlogic.compiler.names import STANDARD_LIBRARY
from tensorlogic.runtime.device import carried
from tests.models import MINILM
from tools.fetch_models import cache_folder

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Pair:
    """Two computations of the same result, and a call of the compiled one's entry."""

    name: str
    ours: Callable[[], mx.array]
    baseline: Callable[[], mx.array]
    entry: Callable[[], mx.array]


def _evaluated(make: Callable[[], mx.array]) -> Callable[[], None]:
    return lambda: mx.eval(make())


def pairs() -> Iterator[Pair]:
    """A linear layer, an MLP, an attention block, and the whole encoder."""
    dtype = carried(mx.float16)
    programs = tensorlogic.load(HERE / "programs.tl")
    yield _linear(programs, dtype)
    yield _mlp(programs, dtype)
    yield _attention(programs, dtype)
    yield _encoder(dtype)


def _dense(programs: ModuleType, layer: baselines.Dense) -> Any:
    return programs.Dense(weight=layer.weight.astype(mx.float16), bias=layer.bias.astype(mx.float16))


def _linear(programs: ModuleType, dtype: mx.Dtype) -> Pair:
    x, layer = baselines.linear_inputs(dtype)
    ours, half = _dense(programs, layer), x.astype(mx.float16)
    return Pair(
        "linear layer",
        lambda: programs._dense(ours, x),
        lambda: baselines.linear(x, layer),
        lambda: programs.dense(ours, half),
    )


def _mlp(programs: ModuleType, dtype: mx.Dtype) -> Pair:
    x, up, down = baselines.mlp_inputs(dtype)
    ours, half = (_dense(programs, up), _dense(programs, down)), x.astype(mx.float16)
    return Pair(
        "MLP",
        lambda: programs._mlp(x, *ours),
        lambda: baselines.mlp(x, up, down),
        lambda: programs.mlp(half, *ours),
    )


def _attention(programs: ModuleType, dtype: mx.Dtype) -> Pair:
    x, block, heads = baselines.attention_inputs(dtype)
    layers = {name: _dense(programs, getattr(block, name)) for name in ("query", "key", "value", "output")}
    ours, half = programs.Attention(**layers), x.astype(mx.float16)
    return Pair(
        "attention block",
        lambda: programs._attention_block(x, ours, heads),
        lambda: baselines.attention_block(x, block, heads),
        lambda: programs.attention_block(half, ours, heads),
    )


def _encoder(dtype: mx.Dtype) -> Pair:
    folder = cache_folder() / MINILM
    program = tensorlogic.load(STANDARD_LIBRARY / "models" / "bert.tl")
    net = program.load(tensorlogic.runtime.load_model(folder))
    ids, weights = baselines.minilm_inputs(folder, dtype)
    return Pair(
        "sentence encoder",
        lambda: program._encode(net, ids, None),
        lambda: baselines.minilm(ids, weights),
        lambda: program.encode(net, ids),
    )


@dataclass(frozen=True)
class Row:
    """One pair's measurements. `entry` compares an entry's call with its body's, both unevaluated."""

    comparison: Comparison
    entry: Comparison
    difference: float


def measure() -> Iterator[Row]:
    """Every pair, measured. `difference` is the largest absolute one between the two results."""
    for pair in pairs():
        difference = float(str(mx.max(mx.abs(pair.ours() - pair.baseline())).item()))
        comparison = compare(pair.name, _evaluated(pair.ours), _evaluated(pair.baseline))
        yield Row(comparison, compare(pair.name, pair.entry, pair.ours), difference)
