# Compiled by tlc 0.1.0 from tuples.tl. What is changed here is lost.
from __future__ import annotations

import mlx.core as mx

from tensorlogic import runtime as tl

F16 = tl.carried(mx.float16)


def _stats(x: mx.array) -> tuple[mx.array, mx.array, int]:  # tuples.tl:1
    return (tl.reduce_mean(x), mx.max(x), x.shape[0])


def _swap(p: tuple[int, str]) -> tuple[str, int]:  # tuples.tl:2
    a = p[0]
    b = p[1]
    return (b, a)


def _nested(x: mx.array) -> tuple[tuple[mx.array, mx.array], tuple[mx.array, ...]]:  # tuples.tl:6
    return ((tl.reduce_sum(x, axis=1), tl.reduce_sum(x, axis=0)), (mx.min(x), mx.max(x)))


def _parts(x: mx.array) -> tuple[mx.array, mx.array, mx.array]:  # tuples.tl:9
    return tl.split(x, (x.shape[1] // 3, x.shape[1] // 3, x.shape[1] // 3), 1)


@tl.entry
def stats(x: mx.array) -> tuple[mx.array, mx.array, int]:
    """`stats` of tuples.tl:1.

    Args:
        x: float16[N]

    Returns: (float16[], float16[], int)
    """
    x = tl.array(x, "x", mx.float16, 1, "float16[N]", "tuples.tl:1")
    N = x.shape[0]
    if N < 1:
        tl.refuse("tuples.tl:1", "TL5001", "`N` is {} by dim 0 of `x`: a dimension variable is at least {}", N, 1)
    result = _stats(x)  # tuples.tl:1
    return (tl.cast(result[0], mx.float16), tl.cast(result[1], mx.float16), result[2])


@tl.entry
def swap(p: tuple[int, str]) -> tuple[str, int]:
    """`swap` of tuples.tl:2.

    Args:
        p: (int, string)

    Returns: (string, int)
    """
    p = (
        tl.integer(tl.parts(p, 2, "p", "tuples.tl:2")[0], "p[0]", "tuples.tl:2"), tl.string(p[1], "p[1]", "tuples.tl:2")
    )
    result = _swap(p)  # tuples.tl:2
    return result


@tl.entry
def nested(x: mx.array) -> tuple[tuple[mx.array, mx.array], tuple[mx.array, ...]]:
    """`nested` of tuples.tl:6.

    Args:
        x: float16[N, D]

    Returns: ((float16[N], float16[D]), [float16[]])
    """
    x = tl.array(x, "x", mx.float16, 2, "float16[N, D]", "tuples.tl:6")
    N = x.shape[0]
    if N < 1:
        tl.refuse("tuples.tl:6", "TL5001", "`N` is {} by dim 0 of `x`: a dimension variable is at least {}", N, 1)
    D = x.shape[1]
    if D < 1:
        tl.refuse("tuples.tl:6", "TL5001", "`D` is {} by dim 1 of `x`: a dimension variable is at least {}", D, 1)
    result = _nested(x)  # tuples.tl:6
    result = (
        (tl.cast(result[0][0], mx.float16), tl.cast(result[0][1], mx.float16)),
        tuple(tl.cast(item, mx.float16) for item in result[1]),
    )
    return result


@tl.entry
def parts(x: mx.array) -> tuple[mx.array, mx.array, mx.array]:
    """`parts` of tuples.tl:9.

    Args:
        x: float16[N, 3*D]

    Returns: (float16[N, D], float16[N, D], float16[N, D])
    """
    x = tl.array(x, "x", mx.float16, 2, "float16[N, 3*D]", "tuples.tl:9")
    N = x.shape[0]
    if N < 1:
        tl.refuse("tuples.tl:9", "TL5001", "`N` is {} by dim 0 of `x`: a dimension variable is at least {}", N, 1)
    if x.shape[1] % 3 != 0:
        tl.refuse("tuples.tl:9", "TL5001", "dim 1 of `x` is 3*D: {} is not divisible by {}", x.shape[1], 3)
    D = x.shape[1] // 3
    if D < 1:
        tl.refuse("tuples.tl:9", "TL5001", "`D` is {} by dim 1 of `x`: a dimension variable is at least {}", D, 1)
    result = _parts(x)  # tuples.tl:9
    return (tl.cast(result[0], mx.float16), tl.cast(result[1], mx.float16), tl.cast(result[2], mx.float16))


def main(args: tuple[str, ...]) -> None:
    m, top, n = _stats(mx.array([1.0, 2.0, 6.0], dtype=F16))  # tuples.tl:12
    tl.print_values(  # tuples.tl:13
        tl.shown(m, "float16"), tl.shown(top, "float16"), n, tl.shown(_swap((1, "one")), (None, None))
    )
    sums, ends = _nested(mx.array([[1.0, 2.0], [3.0, 4.0]], dtype=F16))  # tuples.tl:14
    r = sums[0]
    c = sums[1]
    tl.print_values(  # tuples.tl:16
        tl.shown(r, "float16"),
        tl.shown(c, "float16"),
        tl.shown(ends, ["float16"]),
        tl.shown(sums, ("float16", "float16")),
    )
    q, k, v = _parts(mx.reshape(mx.arange(0, 6, dtype=mx.int32).astype(mx.float16).astype(F16), (1, 6)))  # tuples.tl:17
    tl.print_values(tl.shown(q, "float16"), tl.shown(k, "float16"), tl.shown(v, "float16"))  # tuples.tl:18
    b = 2
    a = 11
    tl.print_values(  # tuples.tl:23
        a, b, tl.shown((1, (2, 3)), (None, (None, None))), tl.shown(((1, "x"), (2, "y")), [(None, None)])
    )
    for i, w in ((1, 2), (3, 4)):
        tl.print_values(i + w, end=" ")  # tuples.tl:24
    tl.print_values(tl.shown((1,) + (2, 3), [None]), 3, 0, len("abc"))  # tuples.tl:25


if __name__ == "__main__":
    tl.run_main(main)
