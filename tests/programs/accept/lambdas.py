# Compiled by tlc 0.1.0 from lambdas.tl. What is changed here is lost.
from __future__ import annotations

from collections.abc import Callable

import mlx.core as mx

from tensorlogic import runtime as tl

F16 = tl.carried(mx.float16)


def _apply(f: Callable[[mx.array], mx.array], x: mx.array) -> mx.array:  # lambdas.tl:1
    return f(x)


def _twice(f: Callable[[mx.array], mx.array], x: mx.array) -> mx.array:  # lambdas.tl:2
    return _apply(f, _apply(f, x))


def _map(f: Callable[[mx.array], mx.array], xs: tuple[mx.array, ...]) -> tuple[mx.array, ...]:  # lambdas.tl:3
    out: tuple[mx.array, ...] = ()
    for x in xs:
        out = out + (f(x),)
    return out


def _fold(f: Callable[[int, int], int], xs: tuple[int, ...], start: int) -> int:  # lambdas.tl:8
    acc = start
    for x in xs:
        acc = f(acc, x)
    return acc


def _compose(  # lambdas.tl:13
    f: Callable[[mx.array], mx.array], g: Callable[[mx.array], mx.array], x: mx.array
) -> mx.array:
    return g(f(x))


def _double(x: mx.array) -> mx.array:  # lambdas.tl:16
    return x * 2


def _captured(x: mx.array) -> mx.array:  # lambdas.tl:17
    k = 3.0

    def add(v: mx.array) -> mx.array:
        return v + k

    y = add(x)
    for _ in range(2):
        def step(v: mx.array) -> mx.array:
            return v * 2 + y

        y = step(y) + add(y)
    return y


def _chooser(n: int, x: mx.array) -> mx.array:  # lambdas.tl:28
    def function(v: mx.array) -> mx.array:
        if n > 0:
            chosen = v + tl.fits(n, mx.float16, "n", "lambdas.tl:29")  # lambdas.tl:29
        else:
            chosen = v - tl.fits(n, mx.float16, "n", "lambdas.tl:29")  # lambdas.tl:29
        return chosen

    return _apply(function, x)


@tl.entry
def double(x: mx.array) -> mx.array:
    """`double` of lambdas.tl:16.

    Args:
        x: float16[N]

    Returns: float16[N]
    """
    x = tl.array(x, "x", mx.float16, 1, "float16[N]", "lambdas.tl:16")
    N = x.shape[0]
    if N < 1:
        tl.refuse("lambdas.tl:16", "TL5001", "`N` is {} by dim 0 of `x`: a dimension variable is at least {}", N, 1)
    result = _double(x)  # lambdas.tl:16
    return tl.cast(result, mx.float16)


@tl.entry
def captured(x: mx.array) -> mx.array:
    """`captured` of lambdas.tl:17.

    Args:
        x: float16[N]

    Returns: float16[N]
    """
    x = tl.array(x, "x", mx.float16, 1, "float16[N]", "lambdas.tl:17")
    N = x.shape[0]
    if N < 1:
        tl.refuse("lambdas.tl:17", "TL5001", "`N` is {} by dim 0 of `x`: a dimension variable is at least {}", N, 1)
    result = _captured(x)  # lambdas.tl:17
    return tl.cast(result, mx.float16)


@tl.entry
def chooser(n: int, x: mx.array) -> mx.array:
    """`chooser` of lambdas.tl:28.

    Args:
        n: int
        x: float16[2]

    Returns: float16[2]
    """
    n = tl.integer(n, "n", "lambdas.tl:28")
    x = tl.array(x, "x", mx.float16, 1, "float16[2]", "lambdas.tl:28")
    if x.shape[0] != 2:
        tl.refuse("lambdas.tl:28", "TL5001", "dim 0 of `x` is {}, not {}", x.shape[0], 2)
    result = _chooser(n, x)  # lambdas.tl:28
    return tl.cast(result, mx.float16)


def main(args: tuple[str, ...]) -> None:
    x = mx.array([1.0, 2.0], dtype=F16)
    tl.print_values(  # lambdas.tl:32
        tl.shown(_apply(lambda v: v * v, x), "float16"),
        tl.shown(_twice(_double, x), "float16"),
        tl.shown(_twice(lambda v: v + 1, x), "float16"),
        tl.shown(_apply(lambda x: mx.maximum(x, 0), -x), "float16"),
    )
    tl.print_values(  # lambdas.tl:33
        tl.shown(_map(lambda v: v - 1, (x, x * 3)), ["float16"]),
        _fold(lambda a, b: a * 10 + b, (1, 2, 3), 0),
        _fold(lambda a, b: max(a, b), (4, 9, 2), 0),
    )
    tl.print_values(  # lambdas.tl:34
        tl.shown(_compose(_double, lambda v: v + 1, x), "float16"),
        tl.shown(_compose(lambda v: v + 1, _double, x), "float16"),
    )
    tl.print_values(  # lambdas.tl:35
        tl.shown(_captured(x), "float16"), tl.shown(_chooser(2, x), "float16"), tl.shown(_chooser(-2, x), "float16")
    )
    factor = 4.0

    def scale(v: mx.array) -> mx.array:
        return v * factor

    factor_2 = 5.0
    tl.print_values(  # lambdas.tl:39
        tl.shown(scale(x), "float16"),
        tl.shown(_apply(scale, x), "float16"),
        tl.shown(_apply(lambda v: v * factor_2, x), "float16"),
    )


if __name__ == "__main__":
    tl.run_main(main)
