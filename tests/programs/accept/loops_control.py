# Compiled by tlc 0.1.0 from loops_control.tl. What is changed here is lost.
from __future__ import annotations

import mlx.core as mx

from tensorlogic import runtime as tl

F16 = tl.carried(mx.float16)


def _first_above(limit: int) -> int:  # loops_control.tl:1
    found = 0
    for i in range(100):
        if i * i <= limit:
            continue
        found = i
        break
    return found


def _grid(n: int) -> tuple[int, ...]:  # loops_control.tl:10
    out: tuple[int, ...] = (0,)
    for i in range(n):
        for j in range(n):
            if j > i:
                break
            if j == 1:
                continue
            out = out + (i * 10 + j,)
    return out


def _collatz(n: int) -> int:  # loops_control.tl:21
    steps = 0
    x = n
    while x != 1:
        steps = steps + 1
        x = x // 2 if x % 2 == 0 else 3 * x + 1
    return steps


def _search(n: int) -> int:  # loops_control.tl:30
    for i in range(2, n):
        if n % i == 0:
            return i
    return n


def _forever(n: int) -> int:  # loops_control.tl:36
    k = 0
    while True:
        k = k + 1
        if k * k >= n:
            return k
    return 0


def _listed(xs: tuple[mx.array, ...]) -> mx.array:  # loops_control.tl:44
    total = mx.zeros((2,), F16)
    for x in xs:
        total = total + x
    for i, x in enumerate(xs):
        total = total + x * tl.fits(float(i), mx.float16, "float(i)", "loops_control.tl:47")
    return total


@tl.entry
def first_above(limit: int) -> int:
    """`first_above` of loops_control.tl:1.

    Args:
        limit: int

    Returns: int
    """
    limit = tl.integer(limit, "limit", "loops_control.tl:1")
    result = _first_above(limit)  # loops_control.tl:1
    return result


@tl.entry
def grid(n: int) -> tuple[int, ...]:
    """`grid` of loops_control.tl:10.

    Args:
        n: int

    Returns: [int]
    """
    n = tl.integer(n, "n", "loops_control.tl:10")
    result = _grid(n)  # loops_control.tl:10
    return result


@tl.entry
def collatz(n: int) -> int:
    """`collatz` of loops_control.tl:21.

    Args:
        n: int

    Returns: int
    """
    n = tl.integer(n, "n", "loops_control.tl:21")
    result = _collatz(n)  # loops_control.tl:21
    return result


@tl.entry
def search(n: int) -> int:
    """`search` of loops_control.tl:30.

    Args:
        n: int

    Returns: int
    """
    n = tl.integer(n, "n", "loops_control.tl:30")
    result = _search(n)  # loops_control.tl:30
    return result


@tl.entry
def forever(n: int) -> int:
    """`forever` of loops_control.tl:36.

    Args:
        n: int

    Returns: int
    """
    n = tl.integer(n, "n", "loops_control.tl:36")
    result = _forever(n)  # loops_control.tl:36
    return result


@tl.entry
def listed(xs: tuple[mx.array, ...]) -> mx.array:
    """`listed` of loops_control.tl:44.

    Args:
        xs: [float16[2]]

    Returns: float16[2]
    """
    xs = tuple(
        tl.array(item, "xs[i]", mx.float16, 1, "float16[2]", "loops_control.tl:44")
        for item in tl.items(xs, "xs", "loops_control.tl:44")
    )
    for item in xs:
        if item.shape[0] != 2:
            tl.refuse("loops_control.tl:44", "TL5001", "dim 0 of `xs[i]` is {}, not {}", item.shape[0], 2)
    result = _listed(xs)  # loops_control.tl:44
    return tl.cast(result, mx.float16)


def main(args: tuple[str, ...]) -> None:
    tl.print_values(  # loops_control.tl:50
        _first_above(50), tl.shown(_grid(4), [None]), _collatz(27), _search(91), _search(97), _forever(30)
    )
    tl.print_values(  # loops_control.tl:51
        tl.shown(_listed((mx.array([1.0, 2.0], dtype=F16), mx.array([10.0, 20.0], dtype=F16))), "float16")
    )
    for i in range(3, 6):
        tl.print_values(i, end=" ")  # loops_control.tl:52
    for s in ("a", "b"):
        tl.print_values(s, end=" ")  # loops_control.tl:53
    for i, s in enumerate(("x", "y")):
        tl.print_values(i, s, end=" ")  # loops_control.tl:54
    for k in (1, 2, 3):
        if k == 2:
            continue
        tl.print_values(k, end=" ")  # loops_control.tl:55
    tl.print_values()  # loops_control.tl:56
    n = 0
    while n < 3:
        n = n + 1
    tl.print_values(n)  # loops_control.tl:59


if __name__ == "__main__":
    tl.run_main(main)
