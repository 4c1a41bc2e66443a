# Compiled by tlc 0.1.0 from packs.tl. What is changed here is lost.
from __future__ import annotations

import math

import mlx.core as mx

from tensorlogic import runtime as tl

F16 = tl.carried(mx.float16)


def _norm(x: mx.array, weight: mx.array, eps: float) -> mx.array:  # packs.tl:2
    result = x * mx.rsqrt(
        tl.reduce_mean(x * x, axis=-1, keepdims=True) + tl.fits(eps, mx.float16, "eps", "packs.tl:3")
    ) * weight
    return result


def _score(q: mx.array, k: mx.array | tl.Packed) -> mx.array:  # packs.tl:6
    return tl.softmax(tl.matmul(q, k, transpose=True) / math.sqrt(float(q.shape[-1])))


@tl.entry
def norm(x: mx.array, weight: mx.array, eps: float = 1e-05) -> mx.array:
    """`norm` of packs.tl:2.

    Args:
        x: float16[...B, D]
        weight: float16[D]
        eps: float

    Returns: float16[...B, D]
    """
    x = tl.array(x, "x", mx.float16, -2, "float16[...B, D]", "packs.tl:2")
    weight = tl.array(weight, "weight", mx.float16, 1, "float16[D]", "packs.tl:2")
    eps = tl.number(eps, "eps", "packs.tl:2")
    D = x.shape[-1]
    if D < 1:
        tl.refuse("packs.tl:2", "TL5001", "`D` is {} by dim -1 of `x`: a dimension variable is at least {}", D, 1)
    if weight.shape[0] != D:
        tl.refuse(
            "packs.tl:2", "TL5001", "dim 0 of `weight` is {}, not `D` = {} (`D` by dim -1 of `x`)", weight.shape[0], D
        )
    result = _norm(x, weight, eps)  # packs.tl:2
    return tl.cast(result, mx.float16)


@tl.entry
def score(q: mx.array, k: mx.array | tl.Packed) -> mx.array:
    """`score` of packs.tl:6.

    Args:
        q: float16[...B, L, D]
        k: float16[...B, S, D]

    Returns: float16[...B, L, S]
    """
    q = tl.array(q, "q", mx.float16, -3, "float16[...B, L, D]", "packs.tl:6")
    k = tl.array(k, "k", mx.float16, -3, "float16[...B, S, D]", "packs.tl:6", packed=True)
    L = q.shape[-2]
    if L < 1:
        tl.refuse("packs.tl:6", "TL5001", "`L` is {} by dim -2 of `q`: a dimension variable is at least {}", L, 1)
    D = q.shape[-1]
    if D < 1:
        tl.refuse("packs.tl:6", "TL5001", "`D` is {} by dim -1 of `q`: a dimension variable is at least {}", D, 1)
    S = k.shape[-2]
    if S < 1:
        tl.refuse("packs.tl:6", "TL5001", "`S` is {} by dim -2 of `k`: a dimension variable is at least {}", S, 1)
    if k.shape[-1] != D:
        tl.refuse("packs.tl:6", "TL5001", "dim -1 of `k` is {}, not `D` = {} (`D` by dim -1 of `q`)", k.shape[-1], D)
    if k.shape[:-2] != q.shape[:-2]:
        tl.refuse("packs.tl:6", "TL5001", "`...B` of `score` is {} by `k` and {} by `q`", k.shape[:-2], q.shape[:-2])
    result = _score(q, k)  # packs.tl:6
    return tl.cast(result, mx.float16)


def main(args: tuple[str, ...]) -> None:
    x = mx.ones((2, 3, 5, 8), F16)
    _norm(x, mx.full((8,), 2.0, F16), 1e-05)  # packs.tl:11
    ones = mx.ones((8,), F16)
    _norm(ones, ones, 1e-05)  # packs.tl:11
    tl.print_values(tl.shown((2, 3, 5, 8), [None]), tl.shown((8,), [None]))  # packs.tl:11
    tl.print_values(tl.shown((2, 3, 5, 7), [None]))  # packs.tl:12
    tl.print_values(tl.shown(tl.reduce_sum(_score(x, x), axis=-1)[0, 0], "float16"))  # packs.tl:13


if __name__ == "__main__":
    tl.run_main(main)
