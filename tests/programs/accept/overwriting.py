# Compiled by tlc 0.1.0 from overwriting.tl. What is changed here is lost.
from __future__ import annotations

import mlx.core as mx

from tensorlogic import runtime as tl

F16 = tl.carried(mx.float16)


def _swaps(a: mx.array, b: mx.array, c: mx.array, n: int) -> mx.array:  # overwriting.tl:2
    x = a
    y = b
    z = c
    for _ in range(n):
        x, y, z = y, z, x
    return mx.stack([x, y, z], 0)


def _captured(x: mx.array, n: int) -> mx.array:  # overwriting.tl:9
    total = mx.zeros((x.shape[0],), F16)
    y = x
    for i in range(n):
        y_2 = y * 2
        y_3 = y_2 + y
        total = total + (y_3 - y_2) + x
        if i == 1:
            continue
        if i == 3:
            y = y_2
            break
        y = y_3
    return total * 100 + y + x


def _nested(x: mx.array) -> mx.array:  # overwriting.tl:24
    acc = x
    for _ in range(3):
        acc_2 = acc
        for j in range(2):
            acc_3 = acc_2 + acc
            for k in range(j):
                acc_3 = acc_3 - acc_2
                if k == 0:
                    acc_3 = acc_3 + acc_2 * 0.5
            acc_2 = acc_3
        acc = acc_2 + (acc - acc_2) * 0.5
    return acc


def _shapes(x: mx.array) -> tuple[mx.array, int, int]:  # overwriting.tl:37
    y = x
    first = y.shape[0]
    y = mx.concatenate([y, y], 0)
    second = y.shape[0]
    if second < 1:
        tl.refuse("overwriting.tl:43", "TL5003", "the slice `1:second` of `y` begins at {} and ends at {}", 1, second)
    y_2 = y[1:second]
    if first - 1 < 0:
        tl.refuse("overwriting.tl:44", "TL5003", "the slice `first - 1:second` of `kept` begins at {}", first - 1)
    if second < first - 1:
        tl.refuse(
            "overwriting.tl:44",
            "TL5003",
            "the slice `first - 1:second` of `kept` begins at {} and ends at {}",
            first - 1,
            second,
        )
    return (y[first - 1 : second], first + second, y_2.shape[0])


def _branches(x: mx.array, n: int) -> mx.array:  # overwriting.tl:46
    z = x + 1
    if n > 0:
        if n > 1:
            y = x * 10
            z = z * 10
        else:
            y = z
            z = x
    else:
        y = z if n == 0 else x * 3
    return y - z


@tl.entry
def swaps(a: mx.array, b: mx.array, c: mx.array, n: int) -> mx.array:
    """`swaps` of overwriting.tl:2.

    Args:
        a: float16[N]
        b: float16[N]
        c: float16[N]
        n: int

    Returns: float16[3, N]
    """
    a = tl.array(a, "a", mx.float16, 1, "float16[N]", "overwriting.tl:2")
    b = tl.array(b, "b", mx.float16, 1, "float16[N]", "overwriting.tl:2")
    c = tl.array(c, "c", mx.float16, 1, "float16[N]", "overwriting.tl:2")
    n = tl.integer(n, "n", "overwriting.tl:2")
    N = a.shape[0]
    if N < 1:
        tl.refuse("overwriting.tl:2", "TL5001", "`N` is {} by dim 0 of `a`: a dimension variable is at least {}", N, 1)
    if b.shape[0] != N:
        tl.refuse("overwriting.tl:2", "TL5001", "dim 0 of `b` is {}, not `N` = {} (`N` by dim 0 of `a`)", b.shape[0], N)
    if c.shape[0] != N:
        tl.refuse("overwriting.tl:2", "TL5001", "dim 0 of `c` is {}, not `N` = {} (`N` by dim 0 of `a`)", c.shape[0], N)
    result = _swaps(a, b, c, n)  # overwriting.tl:2
    return tl.cast(result, mx.float16)


@tl.entry
def captured(x: mx.array, n: int) -> mx.array:
    """`captured` of overwriting.tl:9.

    Args:
        x: float16[N]
        n: int

    Returns: float16[N]
    """
    x = tl.array(x, "x", mx.float16, 1, "float16[N]", "overwriting.tl:9")
    n = tl.integer(n, "n", "overwriting.tl:9")
    N = x.shape[0]
    if N < 1:
        tl.refuse("overwriting.tl:9", "TL5001", "`N` is {} by dim 0 of `x`: a dimension variable is at least {}", N, 1)
    result = _captured(x, n)  # overwriting.tl:9
    return tl.cast(result, mx.float16)


@tl.entry
def nested(x: mx.array) -> mx.array:
    """`nested` of overwriting.tl:24.

    Args:
        x: float16[N]

    Returns: float16[N]
    """
    x = tl.array(x, "x", mx.float16, 1, "float16[N]", "overwriting.tl:24")
    N = x.shape[0]
    if N < 1:
        tl.refuse("overwriting.tl:24", "TL5001", "`N` is {} by dim 0 of `x`: a dimension variable is at least {}", N, 1)
    result = _nested(x)  # overwriting.tl:24
    return tl.cast(result, mx.float16)


@tl.entry
def shapes(x: mx.array) -> tuple[mx.array, int, int]:
    """`shapes` of overwriting.tl:37.

    Args:
        x: float16[?, D]

    Returns: (float16[?, D], int, int)
    """
    x = tl.array(x, "x", mx.float16, 2, "float16[?, D]", "overwriting.tl:37")
    D = x.shape[1]
    if D < 1:
        tl.refuse("overwriting.tl:37", "TL5001", "`D` is {} by dim 1 of `x`: a dimension variable is at least {}", D, 1)
    result = _shapes(x)  # overwriting.tl:37
    return (tl.cast(result[0], mx.float16), result[1], result[2])


@tl.entry
def branches(x: mx.array, n: int) -> mx.array:
    """`branches` of overwriting.tl:46.

    Args:
        x: float16[N]
        n: int

    Returns: float16[N]
    """
    x = tl.array(x, "x", mx.float16, 1, "float16[N]", "overwriting.tl:46")
    n = tl.integer(n, "n", "overwriting.tl:46")
    N = x.shape[0]
    if N < 1:
        tl.refuse("overwriting.tl:46", "TL5001", "`N` is {} by dim 0 of `x`: a dimension variable is at least {}", N, 1)
    result = _branches(x, n)  # overwriting.tl:46
    return tl.cast(result, mx.float16)


def main(args: tuple[str, ...]) -> None:
    a = mx.array([1.0, 2.0], dtype=F16)
    product = a * 10
    product_2 = a * 100
    tl.print_values(  # overwriting.tl:60
        tl.shown(_swaps(a, product, product_2, 1), "float16"), tl.shown(_swaps(a, product, product_2, 2), "float16")
    )
    tl.print_values(  # overwriting.tl:61
        tl.shown(_captured(a, 1), "float16"),
        tl.shown(_captured(a, 3), "float16"),
        tl.shown(_captured(a, 9), "float16"),
        tl.shown(_nested(a), "float16"),
    )
    s, n, m = _shapes(mx.array([[1.0], [2.0]], dtype=F16))  # overwriting.tl:62
    tl.print_values(  # overwriting.tl:63
        tl.shown(s, "float16"),
        n,
        m,
        tl.shown(_branches(a, 2), "float16"),
        tl.shown(_branches(a, 1), "float16"),
        tl.shown(_branches(a, 0), "float16"),
        tl.shown(_branches(a, -1), "float16"),
    )


if __name__ == "__main__":
    tl.run_main(main)
