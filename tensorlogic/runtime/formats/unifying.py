"""The dims of a struct and of those inside it, found from the shapes that a model file's header gives.

Takes the declared shape of each tensor over dims of the struct that is filled, beside the file's shape. Promises each
dim that is settled: first those given by name, then by repeating, whatever is linear in its one unknown dim, by exact
division. Every tensor whose shape cannot be so is told, with those that say otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

Size = str | int | Mapping[tuple[str, ...], int]
"""A dim of a shape: a name, a number, or products of names with their factors."""
Sum = Mapping[tuple[str, ...], int]


def as_sum(size: Size) -> Sum:
    if isinstance(size, Mapping):
        return size
    return {(size,): 1} if isinstance(size, str) else {(): size}


def over(size: Size, dims: Mapping[str, Sum]) -> Sum:
    """A size of an inner struct over the dims that the outer one has for its own."""
    total: dict[tuple[str, ...], int] = {}
    for names, factor in as_sum(size).items():
        product: dict[tuple[str, ...], int] = {(): factor}
        for name in names:
            product = _times(product, dims[name])
        for key, value in product.items():
            total[key] = total.get(key, 0) + value
    return {key: value for key, value in total.items() if value}


def _times(a: Sum, b: Sum) -> dict[tuple[str, ...], int]:
    product: dict[tuple[str, ...], int] = {}
    for x, m in a.items():
        for y, n in b.items():
            key = tuple(sorted((*x, *y)))
            product[key] = product.get(key, 0) + m * n
    return product


def written(size: Size | None) -> str:
    """`2*H + 1`, and `?` for None."""
    if size is None:
        return "?"
    terms = [
        "*".join([*([] if factor == 1 and names else [str(factor)]), *names]) for names, factor in as_sum(size).items()
    ]
    return " + ".join(terms).replace("+ -", "- ") or "0"


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor of the file beside its declaration: `shape` in the struct's own dims, `sums` in the outermost's."""

    key: str
    shape: Sequence[Size | None]
    sums: Sequence[Sum | None]
    actual: tuple[int, ...]

    @property
    def written(self) -> str:
        """The declared shape, `[N, 2*H]`."""
        return f"[{', '.join(map(written, self.shape))}]"


@dataclass
class Unifier:
    """What is known so far: each dim's size, and what told it."""

    known: dict[str, int]
    by: dict[str, str] = field(default_factory=dict)
    tensors: list[Tensor] = field(default_factory=list)

    def value(self, size: Sum) -> int | None:
        """The number that a size is, where all its dims are known."""
        if any(name not in self.known for names in size for name in names):
            return None
        return sum(factor * math.prod(self.known[name] for name in names) for names, factor in size.items())

    def solve(self) -> None:
        """Find every dim that the tensors tell, plain names first."""
        axes = [
            (tensor, size, actual)
            for tensor in self.tensors
            if len(tensor.sums) == len(tensor.actual)
            for size, actual in zip(tensor.sums, tensor.actual, strict=True)
            if size is not None
        ]
        axes.sort(key=lambda axis: list(axis[1].values()) != [1] or max(map(len, axis[1])) != 1)
        changed = True
        while changed:
            changed = False
            for axis in axes:
                changed = self._solve(*axis) or changed

    def _solve(self, tensor: Tensor, size: Sum, actual: int) -> bool:
        unknown = {name for names in size for name in names if name not in self.known}
        if len(unknown) != 1:
            return False
        (name,) = unknown
        if any(names.count(name) > 1 for names in size):
            return False
        parts: dict[bool, int] = {True: 0, False: 0}
        for names, factor in size.items():
            known = math.prod(self.known[n] for n in names if n != name)
            parts[name in names] += factor * known
        rest = actual - parts[False]
        if parts[True] == 0 or rest % parts[True]:
            return False
        self.known[name] = rest // parts[True]
        self.by[name] = f"`{tensor.key}` of {list(tensor.actual)}"
        return True

    def conflicts(self) -> list[str]:
        """The tensors whose shapes cannot be so, each with what says otherwise."""
        told: list[str] = []
        for tensor, reasons in self.disagreements():
            head = f"`{tensor.key}` is {list(tensor.actual)}, not {tensor.written}"
            told.append(f"{head}: {reasons}" if reasons else head)
        return told

    def disagreements(self) -> Iterator[tuple[Tensor, str]]:
        """The same tensors, and what says otherwise by itself: nothing for another rank or another number."""
        for tensor in self.tensors:
            if len(tensor.sums) != len(tensor.actual):
                yield tensor, ""
                continue
            axes = zip(tensor.shape, tensor.sums, tensor.actual, strict=True)
            wrong = [
                self._told(size, sums, actual)
                for size, sums, actual in axes
                if size is not None and sums is not None and self._differs(sums, actual)
            ]
            if wrong:
                yield tensor, ", ".join(dict.fromkeys(filter(None, wrong)))

    def _differs(self, size: Sum, actual: int) -> bool:
        """Whether a size is another number, or cannot be this one whatever its one unknown dim is."""
        value = self.value(size)
        unknown = {name for names in size for name in names if name not in self.known}
        linear = len(unknown) == 1 and all(names.count(next(iter(unknown))) <= 1 for names in size)
        return value != actual if value is not None else linear

    def _told(self, size: Size, sums: Sum, actual: int) -> str:
        """What a dim is instead, and what says so; nothing of a number, which says so itself."""
        value = self.value(sums)
        names = [name for name in dict.fromkeys(n for names in sums for n in names) if name in self.known]
        if isinstance(size, int):
            return ""
        if isinstance(size, str) and len(names) == 1:
            return f"`{size}` is {value} {self._origin(names[0])}"
        reasons = " and ".join(f"`{name}` is {self.known[name]} {self._origin(name)}" for name in names)
        told = f"`{written(size)}` {f'cannot be {actual}' if value is None else f'is {value}'}"
        return f"{told} where {reasons}" if reasons else told

    def _origin(self, name: str) -> str:
        return f"by {self.by[name]}" if name in self.by else "as given"
