# Compiled by tlc 0.1.0 from branches.tl. What is changed here is lost.
from __future__ import annotations

import mlx.core as mx

from tensorlogic import runtime as tl

F16 = tl.carried(mx.float16)


def _sign(n: int) -> str:  # branches.tl:1
    if n > 0:
        return "positive"
    elif n < 0:
        return "negative"
    else:
        return "zero"


def _clamp(x: mx.array, mode: int) -> mx.array:  # branches.tl:4
    if mode == 1:
        y = mx.maximum(x, 0)
    elif mode == 2:
        y = -mx.maximum(-x, 0)
        if x.shape[0] > 2:
            y = y * 2
    else:
        y = x
    return y


def _pick(n: int) -> int:  # branches.tl:16
    r = 1 if n > 10 else 2
    return (r if n % 2 == 0 else -r) * 10


def _early(n: int) -> int:  # branches.tl:20
    if n == 0:
        return 100
    if n == 1:
        a = 5
        return a
    else:
        a = n
    a_2 = a + 1
    if a < 3:
        b = a_2
    else:
        if a > 4:
            return -1
        b = a + a_2
    return b * 1000 + a_2


def _logic(a: bool, b: bool) -> tuple[bool, ...]:  # branches.tl:33
    value = a and b
    value_2 = a or b
    value_3 = not (a and b)
    return (value, value_2, not a, a and not b or b, value_3, (a or b) and not (a and b))


@tl.entry
def sign(n: int) -> str:
    """`sign` of branches.tl:1.

    Args:
        n: int

    Returns: string
    """
    n = tl.integer(n, "n", "branches.tl:1")
    result = _sign(n)  # branches.tl:1
    return result


@tl.entry
def clamp(x: mx.array, mode: int) -> mx.array:
    """`clamp` of branches.tl:4.

    Args:
        x: float16[N]
        mode: int

    Returns: float16[N]
    """
    x = tl.array(x, "x", mx.float16, 1, "float16[N]", "branches.tl:4")
    mode = tl.integer(mode, "mode", "branches.tl:4")
    N = x.shape[0]
    if N < 1:
        tl.refuse("branches.tl:4", "TL5001", "`N` is {} by dim 0 of `x`: a dimension variable is at least {}", N, 1)
    result = _clamp(x, mode)  # branches.tl:4
    return tl.cast(result, mx.float16)


@tl.entry
def pick(n: int) -> int:
    """`pick` of branches.tl:16.

    Args:
        n: int

    Returns: int
    """
    n = tl.integer(n, "n", "branches.tl:16")
    result = _pick(n)  # branches.tl:16
    return result


@tl.entry
def early(n: int) -> int:
    """`early` of branches.tl:20.

    Args:
        n: int

    Returns: int
    """
    n = tl.integer(n, "n", "branches.tl:20")
    result = _early(n)  # branches.tl:20
    return result


@tl.entry
def logic(a: bool, b: bool) -> tuple[bool, ...]:
    """`logic` of branches.tl:33.

    Args:
        a: bool
        b: bool

    Returns: [bool]
    """
    a = tl.boolean(a, "a", "branches.tl:33")
    b = tl.boolean(b, "b", "branches.tl:33")
    result = _logic(a, b)  # branches.tl:33
    return result


def main(args: tuple[str, ...]) -> None:
    tl.print_values(_sign(3), _sign(-3), _sign(0))  # branches.tl:36
    v = mx.array([-1.0, 2.0, 3.0], dtype=F16)
    tl.print_values(  # branches.tl:38
        tl.shown(_clamp(v, 0), "float16"),
        tl.shown(_clamp(v, 1), "float16"),
        tl.shown(_clamp(v, 2), "float16"),
        tl.shown(_clamp(mx.array([1.0, -1.0], dtype=F16), 2), "float16"),
    )
    tl.print_values(_pick(12), _pick(11), _pick(3), _pick(4))  # branches.tl:39
    tl.print_values(_early(0), _early(1), _early(2), _early(4), _early(7))  # branches.tl:40
    tl.print_values(  # branches.tl:41
        tl.shown(_logic(True, True), [None]),
        tl.shown(_logic(True, False), [None]),
        tl.shown(_logic(False, True), [None]),
        tl.shown(_logic(False, False), [None]),
    )
    x = 3
    y = "in" if x in (1, 2, 3) else "out"
    tl.print_values(y, 4 not in (1, 2), "b" in ("a",), False)  # branches.tl:44


if __name__ == "__main__":
    tl.run_main(main)
