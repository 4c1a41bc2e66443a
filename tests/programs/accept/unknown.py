# Compiled by tlc 0.1.0 from unknown.tl. What is changed here is lost.
from __future__ import annotations

import mlx.core as mx

from tensorlogic import runtime as tl

F16 = tl.carried(mx.float16)


def _nonzero(x: mx.array) -> mx.array:  # unknown.tl:2
    return tl.select(x, x != 0)


def _same(x: mx.array, y: mx.array) -> mx.array:  # unknown.tl:3
    return x + y


def _add(x: mx.array, y: mx.array) -> mx.array:  # unknown.tl:4
    if x.shape[0] != y.shape[0]:
        tl.refuse(
            "unknown.tl:4", "TL5001", "`+` needs equal sizes at axis -1: {} in `x`, {} in `y`", x.shape[0], y.shape[0]
        )
    return x + y


def _matmul(x: mx.array, w: mx.array | tl.Packed) -> mx.array:  # unknown.tl:5
    if x.shape[1] != w.shape[0]:
        tl.refuse("unknown.tl:5", "TL5001", "`@` needs equal inner dims: {} in `x`, {} in `w`", x.shape[1], w.shape[0])
    return tl.matmul(x, w)


def _grow(x: mx.array, n: int) -> mx.array:  # unknown.tl:6
    y = x
    for _ in range(n):
        y = mx.concatenate([y, x], 0)
    return y


def _trimmed(x: mx.array) -> mx.array:  # unknown.tl:11
    y = x
    while y.shape[0] > 3:
        y = y[1 : y.shape[0]]
    return y


def _halves(x: mx.array) -> mx.array:  # unknown.tl:16
    if x.shape[0] % 2 != 0:
        tl.refuse(
            "unknown.tl:16",
            "TL5001",
            "`reshape` of `x`: {} items are not divisible by the other sizes, which make {}",
            x.shape[0],
            2,
        )
    return mx.reshape(x, (2, -1))


def _refined(x: mx.array, y: mx.array | tl.Packed) -> mx.array:  # unknown.tl:17
    z = tl.matmul(x, y)
    if x.shape[0] - 1 < 0:
        tl.refuse("unknown.tl:19", "TL5003", "the index `0` of `z` is {}, the last item is {}", 0, x.shape[0] - 1)
    if y.shape[1] - 1 < 0:
        tl.refuse("unknown.tl:19", "TL5003", "the index `0` of `z` is {}, the last item is {}", 0, y.shape[1] - 1)
    if y.shape[1] != x.shape[0]:
        tl.refuse(
            "unknown.tl:19",
            "TL5001",
            "`+` needs equal sizes at axis -1: {} in `z[0]`, {} in `z[:, 0]`",
            y.shape[1],
            x.shape[0],
        )
    d = z[0] + z[:, 0]
    if x.shape[0] - 1 < 1:
        tl.refuse("unknown.tl:20", "TL5003", "the index `1` of `z` is {}, the last item is {}", 1, x.shape[0] - 1)
    return d + z[1]


@tl.entry
def nonzero(x: mx.array) -> mx.array:
    """`nonzero` of unknown.tl:2.

    Args:
        x: float16[N]

    Returns: float16[?S]
    """
    x = tl.array(x, "x", mx.float16, 1, "float16[N]", "unknown.tl:2")
    N = x.shape[0]
    if N < 1:
        tl.refuse("unknown.tl:2", "TL5001", "`N` is {} by dim 0 of `x`: a dimension variable is at least {}", N, 1)
    result = _nonzero(x)  # unknown.tl:2
    return tl.cast(result, mx.float16)


@tl.entry
def same(x: mx.array, y: mx.array) -> mx.array:
    """`same` of unknown.tl:3.

    Args:
        x: float16[?S]
        y: float16[S]

    Returns: float16[S]
    """
    x = tl.array(x, "x", mx.float16, 1, "float16[S]", "unknown.tl:3")
    y = tl.array(y, "y", mx.float16, 1, "float16[S]", "unknown.tl:3")
    S = x.shape[0]
    if y.shape[0] != S:
        tl.refuse("unknown.tl:3", "TL5001", "dim 0 of `y` is {}, not `S` = {} (`S` by dim 0 of `x`)", y.shape[0], S)
    result = _same(x, y)  # unknown.tl:3
    return tl.cast(result, mx.float16)


@tl.entry
def add(x: mx.array, y: mx.array) -> mx.array:
    """`add` of unknown.tl:4.

    Args:
        x: float16[?]
        y: float16[?]

    Returns: float16[?]
    """
    x = tl.array(x, "x", mx.float16, 1, "float16[?]", "unknown.tl:4")
    y = tl.array(y, "y", mx.float16, 1, "float16[?]", "unknown.tl:4")
    result = _add(x, y)  # unknown.tl:4
    return tl.cast(result, mx.float16)


@tl.entry
def matmul(x: mx.array, w: mx.array | tl.Packed) -> mx.array:
    """`matmul` of unknown.tl:5.

    Args:
        x: float16[N, ?]
        w: float16[?, M]

    Returns: float16[N, M]
    """
    x = tl.array(x, "x", mx.float16, 2, "float16[N, ?]", "unknown.tl:5")
    w = tl.array(w, "w", mx.float16, 2, "float16[?, M]", "unknown.tl:5", packed=True)
    N = x.shape[0]
    if N < 1:
        tl.refuse("unknown.tl:5", "TL5001", "`N` is {} by dim 0 of `x`: a dimension variable is at least {}", N, 1)
    M = w.shape[1]
    if M < 1:
        tl.refuse("unknown.tl:5", "TL5001", "`M` is {} by dim 1 of `w`: a dimension variable is at least {}", M, 1)
    result = _matmul(x, w)  # unknown.tl:5
    return tl.cast(result, mx.float16)


@tl.entry
def grow(x: mx.array, n: int) -> mx.array:
    """`grow` of unknown.tl:6.

    Args:
        x: float16[N]
        n: int

    Returns: float16[?]
    """
    x = tl.array(x, "x", mx.float16, 1, "float16[N]", "unknown.tl:6")
    n = tl.integer(n, "n", "unknown.tl:6")
    N = x.shape[0]
    if N < 1:
        tl.refuse("unknown.tl:6", "TL5001", "`N` is {} by dim 0 of `x`: a dimension variable is at least {}", N, 1)
    result = _grow(x, n)  # unknown.tl:6
    return tl.cast(result, mx.float16)


@tl.entry
def trimmed(x: mx.array) -> mx.array:
    """`trimmed` of unknown.tl:11.

    Args:
        x: float16[?]

    Returns: float16[?]
    """
    x = tl.array(x, "x", mx.float16, 1, "float16[?]", "unknown.tl:11")
    result = _trimmed(x)  # unknown.tl:11
    return tl.cast(result, mx.float16)


@tl.entry
def halves(x: mx.array) -> mx.array:
    """`halves` of unknown.tl:16.

    Args:
        x: float16[?]

    Returns: float16[2, ?]
    """
    x = tl.array(x, "x", mx.float16, 1, "float16[?]", "unknown.tl:16")
    result = _halves(x)  # unknown.tl:16
    return tl.cast(result, mx.float16)


@tl.entry
def refined(x: mx.array, y: mx.array | tl.Packed) -> mx.array:
    """`refined` of unknown.tl:17.

    Args:
        x: float16[?, 4]
        y: float16[4, ?]

    Returns: float16[?]
    """
    x = tl.array(x, "x", mx.float16, 2, "float16[?, 4]", "unknown.tl:17")
    y = tl.array(y, "y", mx.float16, 2, "float16[4, ?]", "unknown.tl:17", packed=True)
    if x.shape[1] != 4:
        tl.refuse("unknown.tl:17", "TL5001", "dim 1 of `x` is {}, not {}", x.shape[1], 4)
    if y.shape[0] != 4:
        tl.refuse("unknown.tl:17", "TL5001", "dim 0 of `y` is {}, not {}", y.shape[0], 4)
    result = _refined(x, y)  # unknown.tl:17
    return tl.cast(result, mx.float16)


def main(args: tuple[str, ...]) -> None:
    a = mx.array([1.0, 0.0, 2.0, 0.0], dtype=F16)
    b = _nonzero(a)  # unknown.tl:23
    tl.print_values(  # unknown.tl:24
        tl.shown(b, "float16"),
        tl.shown(b.shape, [None]),
        tl.shown(_same(b, b + 1), "float16"),
        tl.shown(_add(b, _nonzero(a + 0)), "float16"),
    )
    tl.print_values(tl.shown(_matmul(mx.ones((2, 3), F16), mx.ones((3, 2), F16)), "float16"))  # unknown.tl:25
    converted = mx.arange(0, 6, dtype=mx.int32).astype(mx.float16).astype(F16)
    tl.print_values(  # unknown.tl:26
        tl.shown(_grow(mx.array([1.0, 2.0], dtype=F16), 2), "float16"),
        tl.shown(_trimmed(converted), "float16"),
        tl.shown(_halves(converted), "float16"),
    )
    tl.print_values(tl.shown(_refined(mx.ones((3, 4), F16), mx.ones((4, 3), F16)), "float16"))  # unknown.tl:27
    n = tl.float_to_int(float(tl.reduce_sum(a)), "unknown.tl:28")
    if n < 0:
        tl.refuse("unknown.tl:29", "TL5003", "a size in `[n, 2]` is {}: it must be at least {}", n, 0)
    c = mx.zeros(tl.sized((n, 2), F16, "unknown.tl:29"), F16)  # unknown.tl:29
    tl.print_values(  # unknown.tl:30
        tl.shown(c.shape, [None]), tl.shown(c + mx.ones(tl.sized((n, 2), F16, "unknown.tl:30"), F16), "float16")
    )
    if n != 3:
        tl.refuse("unknown.tl:31", "TL5001", "`d` has a dim {} where {} is declared", n, 3)
    tl.print_values(  # unknown.tl:32
        tl.shown((3, 2), [None]),
        tl.shown(_same(mx.zeros(tl.sized((n,), F16, "unknown.tl:32"), F16), mx.ones((3,), F16)), "float16"),
    )


if __name__ == "__main__":
    tl.run_main(main)
