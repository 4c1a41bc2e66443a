# Compiled by tlc 0.1.0 from wheres.tl. What is changed here is lost.
from __future__ import annotations

import mlx.core as mx

from tensorlogic import runtime as tl

F16 = tl.carried(mx.float16)


def _pool(x: mx.array) -> mx.array:  # wheres.tl:2
    return tl.reduce_mean(mx.reshape(x, (x.shape[0], x.shape[1] // 2, 2)), axis=-1)


def _heads(x: mx.array, H: int) -> mx.array:  # wheres.tl:5
    return mx.reshape(x, (x.shape[0], H, x.shape[1] // H))


def _first(x: mx.array, k: int) -> mx.array:  # wheres.tl:6
    return x[:k]


def _square(x: mx.array) -> mx.array:  # wheres.tl:7
    return x + mx.eye(x.shape[0], dtype=F16)


def _guarded(x: mx.array, k: int) -> mx.array:  # wheres.tl:8
    if k >= 0 and k < x.shape[0]:
        return x[k]
    if k < 0 and k >= -x.shape[0]:
        return x[x.shape[0] + k]
    return mx.zeros((), F16)


def _asserted(x: mx.array, k: int) -> mx.array:  # wheres.tl:13
    if not (0 <= k and k <= x.shape[0]):
        tl.refuse("wheres.tl:14", "TL5005", "{}", f"k is {k}")
    return x[:k]


def _diagonal(x: mx.array) -> mx.array:  # wheres.tl:17
    d = mx.zeros((x.shape[0],), F16)
    for i in range(x.shape[0]):
        chosen = mx.where(
            mx.arange(0, x.shape[0], dtype=mx.int32) == tl.fits(i, mx.int32, "i", "wheres.tl:20"), x[i, i], 0.0
        )
        d = d + chosen
    return d


def _windows(x: mx.array, k: int) -> mx.array:  # wheres.tl:24
    best = tl.reduce_sum(x[:k])
    for i in range(x.shape[0] - k + 1):
        best = mx.maximum(best, tl.reduce_sum(x[i : i + k]))
    return best


def _counted(x: mx.array, limit: int) -> mx.array:  # wheres.tl:29
    i = 0
    total = mx.zeros((), F16)
    while i < limit and i < x.shape[0] and i >= 0:
        total = total + x[i]
        i = i + 1
    return total


def _chunk(x: mx.array, n: int) -> mx.array:  # wheres.tl:38
    return mx.reshape(x, (n, -1, x.shape[1]))


def _twice_half(x: mx.array) -> mx.array:  # wheres.tl:39
    return mx.concatenate([x[: x.shape[0] // 2], x[x.shape[0] // 2 :]], 0)


@tl.entry
def pool(x: mx.array) -> mx.array:
    """`pool` of wheres.tl:2.

    Args:
        x: float16[N, L]

    Returns: float16[N, L/2]
    Demands: L % 2 == 0
    """
    x = tl.array(x, "x", mx.float16, 2, "float16[N, L]", "wheres.tl:2")
    N = x.shape[0]
    if N < 1:
        tl.refuse("wheres.tl:2", "TL5001", "`N` is {} by dim 0 of `x`: a dimension variable is at least {}", N, 1)
    L = x.shape[1]
    if L < 1:
        tl.refuse("wheres.tl:2", "TL5001", "`L` is {} by dim 1 of `x`: a dimension variable is at least {}", L, 1)
    if L % 2 != 0:
        tl.refuse("wheres.tl:2", "TL5006", "`pool` demands `L % 2 == 0`: `L` is {} by dim 1 of `x`", L)
    result = _pool(x)  # wheres.tl:2
    return tl.cast(result, mx.float16)


@tl.entry
def heads(x: mx.array, H: int) -> mx.array:
    """`heads` of wheres.tl:5.

    Args:
        x: float16[N, D]
        H: int

    Returns: float16[N, H, D/H]
    Demands: D % H == 0
    """
    x = tl.array(x, "x", mx.float16, 2, "float16[N, D]", "wheres.tl:5")
    H = tl.integer(H, "H", "wheres.tl:5")
    if H < 1:
        tl.refuse("wheres.tl:5", "TL5001", "`H` is {}: a dimension variable is at least {}", H, 1)
    N = x.shape[0]
    if N < 1:
        tl.refuse("wheres.tl:5", "TL5001", "`N` is {} by dim 0 of `x`: a dimension variable is at least {}", N, 1)
    D = x.shape[1]
    if D < 1:
        tl.refuse("wheres.tl:5", "TL5001", "`D` is {} by dim 1 of `x`: a dimension variable is at least {}", D, 1)
    if D % H != 0:
        tl.refuse("wheres.tl:5", "TL5006", "`heads` demands `D % H == 0`: `D` is {} by dim 1 of `x`, `H` is {}", D, H)
    result = _heads(x, H)  # wheres.tl:5
    return tl.cast(result, mx.float16)


@tl.entry
def first(x: mx.array, k: int) -> mx.array:
    """`first` of wheres.tl:6.

    Args:
        x: float16[N]
        k: int

    Returns: float16[k]
    Demands: 0 <= k
    Demands: k <= N
    """
    x = tl.array(x, "x", mx.float16, 1, "float16[N]", "wheres.tl:6")
    k = tl.integer(k, "k", "wheres.tl:6")
    if k < 1:
        tl.refuse("wheres.tl:6", "TL5001", "`k` is {}: a dimension variable is at least {}", k, 1)
    N = x.shape[0]
    if N < 1:
        tl.refuse("wheres.tl:6", "TL5001", "`N` is {} by dim 0 of `x`: a dimension variable is at least {}", N, 1)
    if N < k:
        tl.refuse("wheres.tl:6", "TL5006", "`first` demands `k <= N`: `k` is {}, `N` is {} by dim 0 of `x`", k, N)
    result = _first(x, k)  # wheres.tl:6
    return tl.cast(result, mx.float16)


@tl.entry
def square(x: mx.array) -> mx.array:
    """`square` of wheres.tl:7.

    Args:
        x: float16[N, M]

    Returns: float16[N, N]
    Demands: N == M
    """
    x = tl.array(x, "x", mx.float16, 2, "float16[N, M]", "wheres.tl:7")
    N = x.shape[0]
    if N < 1:
        tl.refuse("wheres.tl:7", "TL5001", "`N` is {} by dim 0 of `x`: a dimension variable is at least {}", N, 1)
    M = x.shape[1]
    if M < 1:
        tl.refuse("wheres.tl:7", "TL5001", "`M` is {} by dim 1 of `x`: a dimension variable is at least {}", M, 1)
    if N != M:
        tl.refuse(
            "wheres.tl:7",
            "TL5006",
            "`square` demands `N == M`: `N` is {} by dim 0 of `x`, `M` is {} by dim 1 of `x`",
            N,
            M,
        )
    result = _square(x)  # wheres.tl:7
    return tl.cast(result, mx.float16)


@tl.entry
def guarded(x: mx.array, k: int) -> mx.array:
    """`guarded` of wheres.tl:8.

    Args:
        x: float16[N]
        k: int

    Returns: float16[]
    """
    x = tl.array(x, "x", mx.float16, 1, "float16[N]", "wheres.tl:8")
    k = tl.integer(k, "k", "wheres.tl:8")
    N = x.shape[0]
    if N < 1:
        tl.refuse("wheres.tl:8", "TL5001", "`N` is {} by dim 0 of `x`: a dimension variable is at least {}", N, 1)
    result = _guarded(x, k)  # wheres.tl:8
    return tl.cast(result, mx.float16)


@tl.entry
def asserted(x: mx.array, k: int) -> mx.array:
    """`asserted` of wheres.tl:13.

    Args:
        x: float16[N]
        k: int

    Returns: float16[k]
    """
    x = tl.array(x, "x", mx.float16, 1, "float16[N]", "wheres.tl:13")
    k = tl.integer(k, "k", "wheres.tl:13")
    if k < 1:
        tl.refuse("wheres.tl:13", "TL5001", "`k` is {}: a dimension variable is at least {}", k, 1)
    N = x.shape[0]
    if N < 1:
        tl.refuse("wheres.tl:13", "TL5001", "`N` is {} by dim 0 of `x`: a dimension variable is at least {}", N, 1)
    result = _asserted(x, k)  # wheres.tl:13
    return tl.cast(result, mx.float16)


@tl.entry
def diagonal(x: mx.array) -> mx.array:
    """`diagonal` of wheres.tl:17.

    Args:
        x: float16[N, N]

    Returns: float16[N]
    """
    x = tl.array(x, "x", mx.float16, 2, "float16[N, N]", "wheres.tl:17")
    N = x.shape[0]
    if N < 1:
        tl.refuse("wheres.tl:17", "TL5001", "`N` is {} by dim 0 of `x`: a dimension variable is at least {}", N, 1)
    if x.shape[1] != N:
        tl.refuse("wheres.tl:17", "TL5001", "dim 1 of `x` is {}, not `N` = {} (`N` by dim 0 of `x`)", x.shape[1], N)
    result = _diagonal(x)  # wheres.tl:17
    return tl.cast(result, mx.float16)


@tl.entry
def windows(x: mx.array, k: int) -> mx.array:
    """`windows` of wheres.tl:24.

    Args:
        x: float16[N]
        k: int

    Returns: float16[]
    Demands: k >= 1
    Demands: k <= N
    """
    x = tl.array(x, "x", mx.float16, 1, "float16[N]", "wheres.tl:24")
    k = tl.integer(k, "k", "wheres.tl:24")
    if k < 1:
        tl.refuse("wheres.tl:24", "TL5006", "`windows` demands `k >= 1`: `k` is {}", k)
    N = x.shape[0]
    if N < 1:
        tl.refuse("wheres.tl:24", "TL5001", "`N` is {} by dim 0 of `x`: a dimension variable is at least {}", N, 1)
    if N < k:
        tl.refuse("wheres.tl:24", "TL5006", "`windows` demands `k <= N`: `k` is {}, `N` is {} by dim 0 of `x`", k, N)
    result = _windows(x, k)  # wheres.tl:24
    return tl.cast(result, mx.float16)


@tl.entry
def counted(x: mx.array, limit: int) -> mx.array:
    """`counted` of wheres.tl:29.

    Args:
        x: float16[N]
        limit: int

    Returns: float16[]
    """
    x = tl.array(x, "x", mx.float16, 1, "float16[N]", "wheres.tl:29")
    limit = tl.integer(limit, "limit", "wheres.tl:29")
    N = x.shape[0]
    if N < 1:
        tl.refuse("wheres.tl:29", "TL5001", "`N` is {} by dim 0 of `x`: a dimension variable is at least {}", N, 1)
    result = _counted(x, limit)  # wheres.tl:29
    return tl.cast(result, mx.float16)


@tl.entry
def chunk(x: mx.array, n: int) -> mx.array:
    """`chunk` of wheres.tl:38.

    Args:
        x: float16[N, D]
        n: int

    Returns: float16[n, N/n, D]
    Demands: N % n == 0
    """
    x = tl.array(x, "x", mx.float16, 2, "float16[N, D]", "wheres.tl:38")
    n = tl.integer(n, "n", "wheres.tl:38")
    if n < 1:
        tl.refuse("wheres.tl:38", "TL5001", "`n` is {}: a dimension variable is at least {}", n, 1)
    N = x.shape[0]
    if N < 1:
        tl.refuse("wheres.tl:38", "TL5001", "`N` is {} by dim 0 of `x`: a dimension variable is at least {}", N, 1)
    if N % n != 0:
        tl.refuse("wheres.tl:38", "TL5006", "`chunk` demands `N % n == 0`: `N` is {} by dim 0 of `x`, `n` is {}", N, n)
    D = x.shape[1]
    if D < 1:
        tl.refuse("wheres.tl:38", "TL5001", "`D` is {} by dim 1 of `x`: a dimension variable is at least {}", D, 1)
    result = _chunk(x, n)  # wheres.tl:38
    return tl.cast(result, mx.float16)


@tl.entry
def twice_half(x: mx.array) -> mx.array:
    """`twice_half` of wheres.tl:39.

    Args:
        x: float16[N]

    Returns: float16[N]
    Demands: N % 4 == 0
    """
    x = tl.array(x, "x", mx.float16, 1, "float16[N]", "wheres.tl:39")
    N = x.shape[0]
    if N < 1:
        tl.refuse("wheres.tl:39", "TL5001", "`N` is {} by dim 0 of `x`: a dimension variable is at least {}", N, 1)
    if N % 4 != 0:
        tl.refuse("wheres.tl:39", "TL5006", "`twice_half` demands `N % 4 == 0`: `N` is {} by dim 0 of `x`", N)
    result = _twice_half(x)  # wheres.tl:39
    return tl.cast(result, mx.float16)


def main(args: tuple[str, ...]) -> None:
    x = mx.arange(0, 8, dtype=mx.int32).astype(mx.float16).astype(F16)
    m = mx.reshape(x, (2, 4))
    tl.print_values(  # wheres.tl:42
        tl.shown(_pool(m), "float16"),
        tl.shown((2, 2, 2), [None]),
        tl.shown(_first(x, 3), "float16"),
        tl.shown(_first(x, 1), "float16"),
        tl.shown(_square(mx.zeros((2, 2), F16)), "float16"),
    )
    tl.print_values(  # wheres.tl:43
        tl.shown(_guarded(x, 3), "float16"),
        tl.shown(_guarded(x, -1), "float16"),
        tl.shown(_guarded(x, 100), "float16"),
        tl.shown(_asserted(x, 2), "float16"),
    )
    tl.print_values(  # wheres.tl:44
        tl.shown(_diagonal(mx.ones((3, 3), F16) * 2), "float16"),
        tl.shown(_windows(x, 3), "float16"),
        tl.shown(_counted(x, 3), "float16"),
        tl.shown(_counted(x, 100), "float16"),
    )
    tl.print_values(tl.shown((2, 1, 4), [None]), tl.shown(_twice_half(x), "float16"))  # wheres.tl:45
    k = tl.float_to_int(float(x[2]), "wheres.tl:46")
    if k < 1:
        tl.refuse("wheres.tl:47", "TL5001", "`k` of `first` is {}: a dimension variable is at least {}", k, 1)
    if 8 < k:
        tl.refuse("wheres.tl:47", "TL5006", "`first` demands `k <= N`: `k` is {}, `N` is {}", k, 8)
    asserted_2 = _asserted(x, k + 1)  # wheres.tl:47
    if k < 1 or 4 % k != 0:
        tl.refuse("wheres.tl:47", "TL5001", "`heads` needs {} to be divisible by {}", 4, k)
    heads_2 = _heads(m, k)  # wheres.tl:47
    tl.print_values(  # wheres.tl:47
        tl.shown(_first(x, k), "float16"),
        tl.shown(asserted_2, "float16"),
        tl.shown(_guarded(x, k - 5), "float16"),
        tl.shown(heads_2.shape, [None]),
    )


if __name__ == "__main__":
    tl.run_main(main)
