"""Symbolic sizes and shapes of the generated programs: a second opinion, which shares nothing with the compiler.

A `Size` is a sum of products of atoms with whole coefficients. An atom is what a program calls a dim, an int or an
exact half: `N`, `k`, `(L/2)`, or `x.shape[0]` for an unknown. A `Shape` is an optional pack and sizes after it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

Product = tuple[str, ...]
"""Atoms in order, each as often as it is a factor."""


@dataclass(frozen=True)
class Size:
    """The sum of coefficients times products, in order; a zero is left out."""

    terms: tuple[tuple[Product, int], ...]

    def __add__(self, other: Size | int) -> Size:
        found = dict(self.terms)
        for product, coefficient in size(other).terms:
            found[product] = found.get(product, 0) + coefficient
        return _made(found)

    def __sub__(self, other: Size | int) -> Size:
        return self + size(other) * -1

    def __mul__(self, other: Size | int) -> Size:
        found: dict[Product, int] = {}
        for a, m in self.terms:
            for b, n in size(other).terms:
                product = tuple(sorted(a + b))
                found[product] = found.get(product, 0) + m * n
        return _made(found)

    @property
    def constant(self) -> int | None:
        if not self.terms:
            return 0
        return self.terms[0][1] if len(self.terms) == 1 and not self.terms[0][0] else None

    @property
    def atom(self) -> str | None:
        """The atom that this is, and nothing more."""
        match self.terms:
            case (((atom,), 1),):
                return atom
        return None

    def atoms(self) -> set[str]:
        return {atom for product, _ in self.terms for atom in product}

    def divided(self, n: int) -> Size | None:
        """This divided by a whole number, where every coefficient is."""
        if any(coefficient % n for _, coefficient in self.terms):
            return None
        return Size(tuple((product, coefficient // n) for product, coefficient in self.terms))

    def value(self, numbers: Mapping[str, int]) -> int:
        return sum(c * math.prod(numbers[atom] for atom in product) for product, c in self.terms)

    def replaced(self, sizes: Mapping[str, Size]) -> Size:
        """This with atoms replaced."""
        total = size(0)
        for product, coefficient in self.terms:
            term = size(coefficient)
            for atom in product:
                term = term * sizes.get(atom, named(atom))
            total = total + term
        return total

    def __str__(self) -> str:
        text = ""
        for product, coefficient in sorted(self.terms, key=lambda term: (term[1] < 0, -len(term[0]))):
            count = [str(abs(coefficient))] if abs(coefficient) != 1 or not product else []
            piece = "*".join([*count, *product])
            text += (" - " if coefficient < 0 else " + ") + piece if text else ("-" if coefficient < 0 else "") + piece
        return text or "0"


def _made(terms: Mapping[Product, int]) -> Size:
    return Size(tuple(sorted((product, c) for product, c in terms.items() if c)))


def size(value: Size | int) -> Size:
    return value if isinstance(value, Size) else _made({(): value})


def named(atom: str) -> Size:
    return Size((((atom,), 1),))


ONE = size(1)


@dataclass(frozen=True)
class Shape:
    """Sizes, after the dims of a pack where there is one."""

    pack: str | None
    sizes: tuple[Size, ...]

    @property
    def rank(self) -> int:
        """How many sizes follow the pack."""
        return len(self.sizes)

    def with_sizes(self, sizes: Iterable[Size]) -> Shape:
        return Shape(self.pack, tuple(sizes))

    def with_size(self, axis: int, new: Size) -> Shape:
        """Another size at an axis."""
        return self.with_sizes(new if i == axis % self.rank else old for i, old in enumerate(self.sizes))

    def without(self, axes: Iterable[int]) -> Shape:
        gone = {axis % self.rank for axis in axes}
        return self.with_sizes(s for i, s in enumerate(self.sizes) if i not in gone)

    def product(self) -> Size:
        return product_of(self.sizes)

    def concrete(self, numbers: Mapping[str, int], packs: Mapping[str, tuple[int, ...]]) -> tuple[int, ...]:
        leading = packs[self.pack] if self.pack is not None else ()
        return leading + tuple(s.value(numbers) for s in self.sizes)


def shape(*sizes: Size | int, pack: str | None = None) -> Shape:
    return Shape(pack, tuple(size(s) for s in sizes))


def product_of(sizes: Iterable[Size]) -> Size:
    total = ONE
    for s in sizes:
        total = total * s
    return total


def broadcast(a: Shape, b: Shape) -> Shape | None:
    """The shape in which two shapes meet, None where they do not: language.md, section 7."""
    if a.pack is not None and b.pack is not None and (a.pack != b.pack or a.rank != b.rank):
        return None
    if a.pack is None and b.pack is not None:
        a, b = b, a
    if a.pack is not None and b.rank > a.rank:
        return None
    count = max(a.rank, b.rank)
    found: list[Size] = []
    for p, q in zip(_padded(a.sizes, count), _padded(b.sizes, count), strict=True):
        if p != q and ONE not in (p, q):
            return None
        found.append(q if p == ONE else p)
    return Shape(a.pack, tuple(found))


def _padded(sizes: tuple[Size, ...], count: int) -> tuple[Size, ...]:
    return (ONE,) * (count - len(sizes)) + sizes
