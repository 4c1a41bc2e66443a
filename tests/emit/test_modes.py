"""What `--strict` and `--checked` change: how often values are rounded, and what happens to ids out of range."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import mlx.core as mx
import pytest

import tensorlogic
from tensorlogic.runtime.packed import quantize

# --- strict


def halves(*values: float) -> mx.array:
    return mx.array(values, dtype=mx.float16)


STEPS = """
fn added(x: float16[N]) -> float16[N] { return x + 1 - 1 }
fn beyond(x: float16[N]) -> float16[N] { return x * 2 / 2 }
fn called(x: float16[N]) -> float16[N] { return added(x) }
fn carried(x: float16[N], n: int) -> float16[N] { let y = x; for i in 0..n { y = y + 0.5 }; return y - x }
fn rounded(x: float16[N]) -> float16[N] { return (x + 1).to(float16) - 1 }
fn wide(x: float16[N]) -> float16[N] { return (x.to(float32) + 1 - 1).to(float16) }
fn brain(x: bfloat16[N]) -> bfloat16[N] { return x + 1 - 1 }
fn single(x: float32[N]) -> float32[N] { return x + 1 - 1 }
"""


def test_strict_rounds_after_every_operation() -> None:
    """The expected numbers are float16's own: 1 + 2^-13 is 1, 2048 + 0.5 is 2048, and 2 * 40000 is infinite."""
    strict = tensorlogic.compile(STEPS, strict=True)
    tiny = halves(2**-13)
    assert strict.added(tiny).tolist() == [0.0]
    assert strict.called(tiny).tolist() == [0.0]
    assert strict.beyond(halves(40000.0)).tolist() == [float("inf")]
    assert strict.carried(halves(2048.0), 8).tolist() == [0.0]
    assert strict.rounded(tiny).tolist() == [0.0]
    assert strict.wide(tiny).tolist() == [2**-13]
    assert strict.brain(mx.array([2**-9], dtype=mx.bfloat16)).tolist() == [0.0]
    assert strict.single(mx.array([2**-13])).tolist() == [2**-13]


@pytest.fixture
def on_cpu() -> Iterator[None]:
    before = mx.default_device()
    mx.set_default_device(mx.Device(mx.cpu))
    yield
    mx.set_default_device(before)


@pytest.mark.usefixtures("on_cpu")
def test_without_it_a_cpu_rounds_where_values_are_seen() -> None:
    loose = tensorlogic.compile(STEPS)
    tiny = halves(2**-13)
    assert loose.added(tiny).tolist() == [2**-13]
    assert loose.called(tiny).tolist() == [2**-13]
    assert loose.beyond(halves(40000.0)).tolist() == [40000.0]
    assert loose.carried(halves(2048.0), 8).tolist() == [4.0]
    assert loose.rounded(tiny).tolist() == [0.0], "the program rounds here itself"
    assert loose.added(tiny).dtype == mx.float16


ROWS_OF_TABLES = """
struct Table<T: float>[V, D] { w: T[V, D] }
fn half(t: Table<float16>[V, D], ids: int32[L]) -> float16[L, D] { return embedding(ids, t.w) + 1 - 1 }
fn generic<T: float>(t: Table<T>[V, D], ids: int32[L]) -> T[L, D] { return embedding(ids, t.w) + 1 - 1 }
fn bare<T: float>(w: T[V, D], ids: int32[L]) -> T[L, D] { return embedding(ids, w) + 1 - 1 }
fn called<T: float>(t: Table<T>[V, D], ids: int32[L]) -> T[L, D] { return bare(t.w, ids) }
"""


@pytest.mark.parametrize("is_packed", [False, True])
def test_strict_rounds_rows_of_tables_too(is_packed: bool) -> None:
    """Those of a packed table were carried in float32 where the element type is a parameter, and all after them."""
    strict = tensorlogic.compile(ROWS_OF_TABLES, strict=True)
    w = mx.full((2, 32), 2**-13, mx.float16)
    table = strict.Table(w=quantize(w, 8, 32, mx.float16) if is_packed else w)
    for function in (strict.half, strict.generic, strict.called):
        assert function(table, ids(1)).tolist() == [[0.0] * 32]
    assert strict.bare(table.w, ids(1)).tolist() == [[0.0] * 32]


def test_strict_programs_print_rounded_numbers(tmp_path: Path) -> None:
    file = tmp_path / "steps.tl"
    file.write_text("let x = tensor([2048.0])\nprint(x + 1 - 2048, (x + 1).dtype)\n")
    command = [sys.executable, "-m", "tensorlogic", "run", "--strict", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "[0.0] float16\n"


# --- checked

IDS = """
fn indexed(x: float16[N, D], ids: int32[M]) -> float16[M, D] { return x[ids] }
fn columns(x: float16[N, D], ids: int32[M]) -> float16[N, M] { return x[:, ids] }
fn table(ids: int32[...B], x: float16[N, D]) -> float16[...B, D] { return embedding(ids, x) }
fn taken(x: float16[N], ids: int32[M]) -> float16[M] { return take(x, ids) }
fn along(x: float16[N, D], ids: int32[N, 1]) -> float16[N, 1] { return gather(x, ids, axis: 1) }
fn written(x: float16[N], ids: int32[M], v: float16[M]) -> float16[N] { return scatter(x, ids, v, axis: 0) }
fn loss(x: float16[N, D], ids: int32[N]) -> float16[] { return cross_entropy(x, ids) }
fn nested(x: float16[N, D], ids: int32[M]) -> float16[M, D] { let y = x * 2; return indexed(y, ids) }
"""


def ids(*values: int) -> mx.array:
    return mx.array(values, dtype=mx.int32)


ROWS = [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]
X = mx.array(ROWS, dtype=mx.float16)


def test_checked_ids_in_range_change_nothing() -> None:
    checked, clamped = tensorlogic.compile(IDS, checked=True), tensorlogic.compile(IDS)
    good = ids(2, 0, 2)
    for module in (checked, clamped):
        assert module.indexed(X, good).tolist() == [[4, 5], [0, 1], [4, 5]]
        assert module.columns(X, ids(1)).tolist() == [[1], [3], [5]]
        assert module.table(good[None], X).shape == (1, 3, 2)
        assert module.taken(X[:, 0], good).tolist() == [4, 0, 4]
        assert module.along(X, ids(1, 0, 1)[:, None]).tolist() == [[1], [2], [5]]
        assert module.written(X[:, 0], ids(0), halves(9.0)).tolist() == [9, 2, 4]
        assert module.loss(X * 0, ids(0, 1, 1)).item() == pytest.approx(0.6934, abs=1e-3)


@pytest.mark.parametrize(("bad", "said"), [(3, "3"), (-1, "-1"), (2**31 - 1, "2147483647")])
def test_checked_reports_an_id_and_the_line(bad: int, said: str) -> None:
    module = tensorlogic.compile(IDS, checked=True)
    calls: dict[int, Callable[[], object]] = {
        2: lambda: module.indexed(X, ids(0, bad)),
        3: lambda: module.columns(X, ids(bad)),
        4: lambda: module.table(ids(bad)[None], X),
        5: lambda: module.taken(X[:, 0], ids(bad)),
        6: lambda: module.along(X, ids(0, bad, 1)[:, None]),
        7: lambda: module.written(X[:, 0], ids(bad), halves(1.0)),
    }
    for line, call in calls.items():
        with pytest.raises(tensorlogic.TensorLogicError) as raised:
            call()
        text = str(raised.value)
        assert text.startswith(f"program.tl:{line}: "), text
        assert f"index {said} " in text, text
        assert "[TL5003]" in text, text
    with pytest.raises(tensorlogic.TensorLogicError, match=r"program\.tl:2: .*TL5003"):
        module.nested(X, ids(bad))
    with pytest.raises(tensorlogic.TensorLogicError, match="TL5003"):
        module.loss(X, ids(0, bad, 0))


@pytest.mark.parametrize(("bad", "row"), [(3, 2), (-1, 0), (2**31 - 1, 2), (-(2**31), 0)])
def test_without_it_ids_are_clamped(bad: int, row: int) -> None:
    module = tensorlogic.compile(IDS)
    assert module.indexed(X, ids(bad)).tolist() == [ROWS[row]]
    assert module.table(ids(bad), X).tolist() == [ROWS[row]]
    assert module.taken(X[:, 0], ids(bad)).tolist() == [2 * row]
    assert module.nested(X, ids(bad)).tolist() == [[2 * v for v in ROWS[row]]]
    written = [0.0, 2.0, 4.0]
    written[row] = 9.0
    assert module.written(X[:, 0], ids(bad), halves(9.0)).tolist() == written
    column = [[values[min(row, 1)]] for values in ROWS]
    assert module.columns(X, ids(bad)).tolist() == column
    assert module.along(X, ids(bad, bad, bad)[:, None]).tolist() == column
