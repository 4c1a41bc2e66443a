# Compiled by tlc 0.1.0 from generics.tl. What is changed here is lost.
from __future__ import annotations

import math
from dataclasses import dataclass, field

import mlx.core as mx

from tensorlogic import runtime as tl

BF16 = tl.carried(mx.bfloat16)
F16 = tl.carried(mx.float16)


@dataclass(frozen=True, eq=False, kw_only=True)
class Affine:
    """`Affine`: Affine[I, O]."""

    weight: mx.array | tl.Packed  # T[O, I]
    bias: mx.array | None = None  # T[O]?
    I: int = field(init=False, repr=False)
    O: int = field(init=False, repr=False)
    T: mx.Dtype = field(init=False, repr=False)

    def __post_init__(self) -> None:
        T = tl.element(self.weight, "Affine.weight", "float", "generics.tl:1")
        tl.set_fields(self, T=T)
        weight = tl.array(self.weight, "Affine.weight", T, 2, "T[O, I]", "generics.tl:1", packed=True)
        bias = None if self.bias is None else tl.array(self.bias, "Affine.bias", T, 1, "T[O]", "generics.tl:1")
        O = weight.shape[0]
        if O < 1:
            tl.refuse(
                "generics.tl:1", "TL5001", "`O` is {} by dim 0 of `weight`: a dimension variable is at least {}", O, 1
            )
        I = weight.shape[1]
        if I < 1:
            tl.refuse(
                "generics.tl:1", "TL5001", "`I` is {} by dim 1 of `weight`: a dimension variable is at least {}", I, 1
            )
        if bias is not None:
            if bias.shape[0] != O:
                tl.refuse(
                    "generics.tl:1",
                    "TL5001",
                    "dim 0 of `bias` is {}, not `O` = {} (`O` by dim 0 of `weight`)",
                    bias.shape[0],
                    O,
                )
        tl.set_fields(self, weight=weight, bias=bias, I=I, O=O)

    @staticmethod
    def _model_fields() -> tuple[tl.Field, ...]:
        """Where a model file holds the fields of `Affine`."""
        return (
            tl.Field("weight", ("weight",), dtype="T", shape=("O", "I")),
            tl.Field("bias", ("bias",), dtype="T", shape=("O",), optional=True),
        )

    @classmethod
    def bind(cls, model: tl.Model, prefix: str = "", **dims: int) -> Affine:
        """`Affine` filled from a model by its keys below `prefix`; dims by name."""
        return tl.bind(cls, model, prefix, dims)


def _affine(l: Affine, x: mx.array) -> mx.array:  # generics.tl:2
    y = tl.matmul(x, l.weight, transpose=True)
    if l.bias is None:
        return y
    return y + l.bias


def _scaled(x: mx.array) -> mx.array:  # generics.tl:7
    return x / math.sqrt(float(x.shape[-1])) + mx.zeros((x.shape[-1],), x.dtype)


def _first(x: mx.array) -> mx.array:  # generics.tl:8
    return x[0]


def _kept(x: mx.array, *, T: mx.Dtype) -> mx.array:  # generics.tl:9
    return (x * 3 + 1).astype(mx.float32).astype(T).astype(x.dtype)


@tl.entry
def affine(l: Affine, x: mx.array) -> mx.array:
    """`affine` of generics.tl:2.

    Args:
        l: Affine<T>[I, O]
        x: T[...B, I]

    Returns: T[...B, O]
    """
    T = tl.instance(l, Affine, "l", "generics.tl:2").T
    l = tl.instance(l, Affine, "l", "generics.tl:2")
    x = tl.array(x, "x", T, -2, "T[...B, I]", "generics.tl:2")
    I = l.I
    if x.shape[-1] != I:
        tl.refuse("generics.tl:2", "TL5001", "dim -1 of `x` is {}, not `I` = {} (`I` by `I` of `l`)", x.shape[-1], I)
    result = _affine(l, x)  # generics.tl:2
    return tl.cast(result, T)


@tl.entry
def scaled(x: mx.array) -> mx.array:
    """`scaled` of generics.tl:7.

    Args:
        x: T[...B, D]

    Returns: T[...B, D]
    """
    T = tl.element(x, "x", "float", "generics.tl:7")
    x = tl.array(x, "x", T, -2, "T[...B, D]", "generics.tl:7")
    D = x.shape[-1]
    if D < 1:
        tl.refuse("generics.tl:7", "TL5001", "`D` is {} by dim -1 of `x`: a dimension variable is at least {}", D, 1)
    result = _scaled(x)  # generics.tl:7
    return tl.cast(result, T)


@tl.entry
def first(x: mx.array) -> mx.array:
    """`first` of generics.tl:8.

    Args:
        x: T[N, M]

    Returns: T[M]
    """
    T = tl.element(x, "x", "any", "generics.tl:8")
    x = tl.array(x, "x", T, 2, "T[N, M]", "generics.tl:8")
    N = x.shape[0]
    if N < 1:
        tl.refuse("generics.tl:8", "TL5001", "`N` is {} by dim 0 of `x`: a dimension variable is at least {}", N, 1)
    M = x.shape[1]
    if M < 1:
        tl.refuse("generics.tl:8", "TL5001", "`M` is {} by dim 1 of `x`: a dimension variable is at least {}", M, 1)
    result = _first(x)  # generics.tl:8
    return result.astype(T)


@tl.entry
def kept(x: mx.array) -> mx.array:
    """`kept` of generics.tl:9.

    Args:
        x: T[N]

    Returns: T[N]
    """
    T = tl.element(x, "x", "float", "generics.tl:9")
    x = tl.array(x, "x", T, 1, "T[N]", "generics.tl:9")
    N = x.shape[0]
    if N < 1:
        tl.refuse("generics.tl:9", "TL5001", "`N` is {} by dim 0 of `x`: a dimension variable is at least {}", N, 1)
    result = _kept(x, T=T)  # generics.tl:9
    return tl.cast(result, T)


def main(args: tuple[str, ...]) -> None:
    ones = mx.ones((2, 4), F16)
    half = tl.made(Affine, weight=ones, bias=mx.array([0.5, 0.25], dtype=F16), I=4, O=2, T=mx.float16)
    single = tl.made(Affine, weight=mx.ones((2, 4), mx.float32), bias=None, I=4, O=2, T=mx.float32)
    brain = tl.made(Affine, weight=mx.ones((2, 4), BF16), bias=None, I=4, O=2, T=mx.bfloat16)
    tl.print_values(  # generics.tl:13
        tl.shown(_affine(half, mx.ones((4,), F16)), "float16"),
        tl.shown(_affine(single, mx.ones((1, 4), mx.float32)), "float32"),
    )
    tl.print_values(tl.shown(_affine(brain, mx.ones((3, 1, 4), BF16)), "bfloat16"), "bfloat16")  # generics.tl:14
    tl.print_values(tl.shown(_scaled(ones), "float16"), "float32")  # generics.tl:15
    tl.print_values(  # generics.tl:16
        _first(mx.array([[1, 2], [3, 4]], dtype=mx.int32)),
        _first(mx.array([[True], [False]], dtype=mx.bool_)),
        tl.shown(_first(mx.array([[0.1], [2.0]], dtype=F16)), "float16"),
    )
    tl.print_values(  # generics.tl:17
        tl.shown(_kept(mx.array([0.1, 0.2], dtype=F16), T=mx.float16), "float16"),
        tl.shown(_kept(mx.array([0.1, 0.2], dtype=mx.float32), T=mx.float32), "float32"),
        tl.shown(_kept(mx.array([0.1, 0.2], dtype=BF16), T=mx.bfloat16), "bfloat16"),
    )


if __name__ == "__main__":
    tl.run_main(main)
