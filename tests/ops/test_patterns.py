"""Patterns of `rearrange` and `einsum`: random ones agree with NumPy, for known sizes and for symbolic ones."""

from __future__ import annotations

from dataclasses import dataclass

import mlx.core as mx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tensorlogic.compiler.ops.shape import swaps
from tensorlogic.compiler.ops.shape_patterns import Pattern, PatternError, einsum_letters, parse
from tests.ops.harness import Array, compiled
from tests.ops.references.shape import REFERENCES

_NAMES = ("a", "b", "c", "d", "e", "f")

# --- reading


def test_a_pattern_is_read_into_groups() -> None:
    pattern = parse(" b ... (h k)1 ()->h (b k) ... ")
    assert pattern == Pattern(((("b",), ("...",), ("h", "k"), (), ()),), (("h",), ("b", "k"), ("...",)))


def test_operands_are_parted_by_commas() -> None:
    assert parse("i j,j->i") == Pattern(((("i",), ("j",)), (("j",),)), (("i",),))
    assert parse(", i -> i") == Pattern(((), (("i",),)), (("i",),))
    assert parse("->") == Pattern(((),), ())


@pytest.mark.parametrize(
    "text", ["", "a", "a -> b -> c", "(a -> a", "a) -> a", "((a)) -> a", "... ... -> ...", "2 -> 2", "a-b -> a"]
)
def test_what_is_no_pattern_is_told(text: str) -> None:
    with pytest.raises(PatternError):
        parse(text)


def test_names_of_einsum_become_letters() -> None:
    assert einsum_letters(parse("b q dim, b k dim -> b q k")) == "bqa,bka->bqk"
    assert einsum_letters(parse("... row a, ... a -> ... row")) == "...ba,...a->...b"
    many = " ".join(f"n{i}" for i in range(32))
    assert len(set(einsum_letters(parse(f"{many} ->"))) - {"-", ">"}) == 32


@given(st.permutations(range(6)))
def test_swaps_in_turn_make_any_order(order: list[int]) -> None:
    now = list(range(6))
    for a, b in swaps(order):
        now[a], now[b] = now[b], now[a]
    assert now == list(order)


# --- rearrange


@dataclass(frozen=True)
class Rearrangement:
    """A pattern with the sizes of its names; `given` are those that are given by name, `rest` what `...` stands for."""

    before: tuple[tuple[str, ...], ...]
    after: tuple[tuple[str, ...], ...]
    sizes: dict[str, int]
    rest: tuple[int, ...] | None

    @property
    def pattern(self) -> str:
        sides = (
            " ".join(["..."] * (self.rest is not None) + [_written(g) for g in s]) for s in (self.before, self.after)
        )
        return " -> ".join(sides)

    @property
    def given(self) -> dict[str, int]:
        return {name: self.sizes[name] for group in self.before for name in group[:-1]}

    @property
    def shape(self) -> tuple[int, ...]:
        return (*(self.rest or ()), *(int(np.prod([self.sizes[n] for n in g], dtype=int)) for g in self.before))


def _written(group: tuple[str, ...]) -> str:
    return group[0] if len(group) == 1 else f"({' '.join(group)})" if group else "1"


@st.composite
def _grouped(draw: st.DrawFn, names: list[str]) -> tuple[tuple[str, ...], ...]:
    groups: list[tuple[str, ...]] = []
    left = list(names)
    while left:
        size = draw(st.integers(0, 3))
        groups.append(tuple(left[:size]))
        left = left[size:]
    return tuple(groups)


@st.composite
def rearrangements(draw: st.DrawFn) -> Rearrangement:
    names = list(_NAMES[: draw(st.integers(0, 5))])
    before = draw(_grouped(draw(st.permutations(names))))
    after = draw(_grouped(draw(st.permutations(names))))
    sizes = {name: draw(st.integers(1, 3)) for name in names}
    rest = draw(
        st.none() | st.tuples() | st.tuples(st.integers(1, 3)) | st.tuples(st.integers(0, 2), st.integers(1, 2))
    )
    return Rearrangement(before, after, sizes, rest)


def _items(shape: tuple[int, ...]) -> Array:
    return np.arange(np.prod(shape, dtype=int), dtype=np.float32).reshape(shape)


@given(rearrangements())
def test_a_rearrangement_of_known_sizes_is_numpys(case: Rearrangement) -> None:
    x = _items(case.shape)
    given_sizes = "".join(f", {name}: {size}" for name, size in case.given.items())
    expected = REFERENCES["rearrange"](x, case.pattern, **case.given)
    text = f"""fn f(x: float32{list(x.shape)}) -> float32{list(expected.shape)} {{
        return rearrange(x, "{case.pattern}"{given_sizes})
    }}"""
    np.testing.assert_array_equal(np.array(compiled(text).f(mx.array(x))), expected)


@given(rearrangements())
def test_a_rearrangement_of_symbolic_sizes_is_numpys(case: Rearrangement) -> None:
    """Every name is a dim of the program, `...` a pack; sizes that are given are parameters."""
    x = _items(case.shape)
    pack = ["...Z"] if case.rest is not None else []
    before, after = (", ".join(pack + ["*".join(g).upper() or "1" for g in side]) for side in (case.before, case.after))
    parameters = "".join(f", {name.upper()}: int" for name in case.given)
    given_sizes = "".join(f", {name}: {name.upper()}" for name in case.given)
    text = f"""fn f(x: float32[{before}]{parameters}) -> float32[{after}] {{
        return rearrange(x, "{case.pattern}"{given_sizes})
    }}"""
    actual = compiled(text).f(mx.array(x), *case.given.values())
    np.testing.assert_array_equal(np.array(actual), REFERENCES["rearrange"](x, case.pattern, **case.given))


# --- einsum


@st.composite
def contractions(draw: st.DrawFn) -> tuple[str, list[Array]]:
    """A pattern of one to three operands, some with `...` and some dims of 0, and the operands."""
    sizes = {name: draw(st.sampled_from((1, 2, 3, 3, 2, 0))) for name in _NAMES}
    rest = draw(st.none() | st.lists(st.integers(1, 2), max_size=2))
    sides = [draw(st.permutations(_NAMES))[: draw(st.integers(0, 4))] for _ in range(draw(st.integers(1, 3)))]
    used = sorted({name for side in sides for name in side})
    result = draw(st.permutations(used))[: draw(st.integers(0, len(used)))]
    with_rest = [rest is not None and (i == 0 or draw(st.booleans())) for i in range(len(sides))]
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    tensors = [
        rng.standard_normal([*(rest or [] if has else []), *(sizes[n] for n in side)]).astype(np.float32)
        for side, has in zip(sides, with_rest, strict=True)
    ]
    written = [" ".join(["..."] * has + list(side)) for side, has in zip(sides, with_rest, strict=True)]
    return f"{', '.join(written)} -> {' '.join(['...'] * (rest is not None) + result)}", tensors


@settings(max_examples=120)
@given(contractions())
def test_a_contraction_is_numpys(case: tuple[str, list[Array]]) -> None:
    pattern, tensors = case
    expected = REFERENCES["einsum"](pattern, *(t.astype(np.float64) for t in tensors))
    names = [f"x{i}" for i in range(len(tensors))]
    parameters = ", ".join(f"{n}: float32{list(t.shape)}" for n, t in zip(names, tensors, strict=True))
    text = f"""fn f({parameters}) -> float32{list(np.shape(expected))} {{
        return einsum("{pattern}", {", ".join(names)})
    }}"""
    actual = np.array(compiled(text).f(*(mx.array(t) for t in tensors)))
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5)


def test_a_sum_over_nothing_ends() -> None:
    """MLX's own may never end on a CPU for a transposed array without items."""
    module = compiled(
        'fn f(x: float32[?, M], y: float32[M, N]) -> float32[N, M] { return einsum("e b, b f -> f b", x, y) }'
    )
    for _ in range(20):
        assert not np.any(np.array(module.f(mx.zeros((0, 3)), mx.ones((3, 2)))))
