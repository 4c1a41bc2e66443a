# Compiled by tlc 0.1.0 from imports.tl. What is changed here is lost.
from __future__ import annotations

from dataclasses import dataclass, field

import mlx.core as mx

from tensorlogic import runtime as tl

F16 = tl.carried(mx.float16)
EPS = -1.0
EPS_2 = 0.5
SCALE = 2.0
EPS_3 = 100.0


@dataclass(frozen=True, eq=False, kw_only=True)
class layers_Layer:
    """`Layer`: Layer[I, O]."""

    _name = "Layer"

    weight: mx.array | tl.Packed  # float16[O, I]
    I: int = field(init=False, repr=False)
    O: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        weight = tl.array(self.weight, "Layer.weight", mx.float16, 2, "float16[O, I]", "parts/layers.tl:5", packed=True)
        O = weight.shape[0]
        if O < 1:
            tl.refuse(
                "parts/layers.tl:5",
                "TL5001",
                "`O` is {} by dim 0 of `weight`: a dimension variable is at least {}",
                O,
                1,
            )
        I = weight.shape[1]
        if I < 1:
            tl.refuse(
                "parts/layers.tl:5",
                "TL5001",
                "`I` is {} by dim 1 of `weight`: a dimension variable is at least {}",
                I,
                1,
            )
        tl.set_fields(self, weight=weight, I=I, O=O)

    @staticmethod
    def _model_fields() -> tuple[tl.Field, ...]:
        """Where a model file holds the fields of `Layer`."""
        return (
            tl.Field("weight", ("weight",), dtype=mx.float16, shape=("O", "I")),
        )

    @classmethod
    def bind(cls, model: tl.Model, prefix: str = "", **dims: int) -> layers_Layer:
        """`Layer` filled from a model by its keys below `prefix`; dims by name."""
        return tl.bind(cls, model, prefix, dims)


def _forward(x: mx.array) -> mx.array:  # imports.tl:7
    l = tl.made(layers_Layer, weight=mx.ones((3, 2), F16), I=2, O=3)
    return _layers_forward(l, x) + EPS


def _layers_forward(l: layers_Layer, x: mx.array) -> mx.array:  # parts/layers.tl:6
    return _layers__scaled(tl.matmul(x, l.weight, transpose=True)) + EPS_2


def _layers__scaled(x: mx.array) -> mx.array:  # parts/layers.tl:9
    return _leaf_grow(x) * SCALE


def _leaf_grow(x: mx.array) -> mx.array:  # parts/deeper/leaf.tl:3
    return _leaf_helper(x) + EPS_3


def _leaf_helper(x: mx.array) -> mx.array:  # parts/deeper/leaf.tl:4
    return x + 1


def _leaf_grow_2(x: mx.array) -> mx.array:  # imports.tl:11
    return _leaf_grow(x) + 0.25


def _layers_helper(n: int) -> int:  # parts/layers.tl:10
    return n + 1


@tl.entry
def forward(x: mx.array) -> mx.array:
    """`forward` of imports.tl:7.

    Args:
        x: float16[N, 2]

    Returns: float16[N, 3]
    """
    x = tl.array(x, "x", mx.float16, 2, "float16[N, 2]", "imports.tl:7")
    N = x.shape[0]
    if N < 1:
        tl.refuse("imports.tl:7", "TL5001", "`N` is {} by dim 0 of `x`: a dimension variable is at least {}", N, 1)
    if x.shape[1] != 2:
        tl.refuse("imports.tl:7", "TL5001", "dim 1 of `x` is {}, not {}", x.shape[1], 2)
    result = _forward(x)  # imports.tl:7
    return tl.cast(result, mx.float16)


@tl.entry
def leaf_grow(x: mx.array) -> mx.array:
    """`leaf_grow` of imports.tl:11.

    Args:
        x: float16[N]

    Returns: float16[N]
    """
    x = tl.array(x, "x", mx.float16, 1, "float16[N]", "imports.tl:11")
    N = x.shape[0]
    if N < 1:
        tl.refuse("imports.tl:11", "TL5001", "`N` is {} by dim 0 of `x`: a dimension variable is at least {}", N, 1)
    result = _leaf_grow_2(x)  # imports.tl:11
    return tl.cast(result, mx.float16)


def main(args: tuple[str, ...]) -> None:
    ones = mx.ones((1, 2), F16)
    tl.print_values(  # imports.tl:12
        tl.shown(_forward(ones), "float16"), _layers_helper(1), _layers_helper(2), 0.5, EPS
    )
    ones_2 = mx.ones((2,), F16)
    tl.print_values(tl.shown(_leaf_grow_2(ones_2), "float16"), tl.shown(_leaf_grow(ones_2), "float16"))  # imports.tl:13
    ones_3 = mx.ones((3, 2), F16)
    tl.print_values(  # imports.tl:14
        tl.shown(tl.matmul(ones, ones_3, transpose=True), "float16"),
        tl.shown(tl.linear(ones, ones_3, mx.array([1.0, 2.0, 3.0], dtype=F16)), "float16"),
    )
    l = tl.made(layers_Layer, weight=mx.zeros((3, 2), F16), I=2, O=3)
    tl.print_values(  # imports.tl:16
        tl.shown(l, {"weight": "float16"}), tl.shown(_layers_forward(l, ones_2), "float16")
    )


if __name__ == "__main__":
    tl.run_main(main)
