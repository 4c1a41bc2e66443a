"""The dims of a struct and of those inside it, found from the shapes that a model file's header gives.

Takes the declared shape of each tensor over dims of the struct that is filled, beside the file's shape. Promises each
dim that is settled: first those given by name, then by repeating, whatever is linear in its one unknown dim, by exact
division. Every tensor whose shape cannot be so is told, and of each dim that it contradicts, what says otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

Size = str | int | Mapping[tuple[str, ...], int]
"""A dim of a shape: a name, a number, or products of names with their factors."""
Sum = Mapping[tuple[str, ...], int]


def as_sum(size: Size) -> Sum:
    """A name or a number as products, too."""
    if isinstance(size, Mapping):
        return size
    return {(size,): 1} if isinstance(size, str) else {(): size}


def over(size: Size, dims: Mapping[str, Sum]) -> Sum:
    """A size of an inner struct over the dims that the outer one has for its own."""
    if isinstance(size, str):
        return dims[size]
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
    """What a struct wants at a key, beside what the file has there.

    `keys` are the alternatives, of which the first that the file has is left alone. `sums` is the declared shape over
    the dims of the outermost struct: None for one that begins with a pack, and None in it for a `?`. `actual` is the
    file's shape, None where it has no such tensor.
    """

    keys: tuple[str, ...]
    element: str
    sums: Sequence[Sum | None] | None
    actual_element: str = ""
    actual: tuple[int, ...] | None = None


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
            if tensor.sums is not None and tensor.actual is not None and len(tensor.sums) == len(tensor.actual)
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
        self.by[name] = f"`{tensor.keys[0]}` of {list(tensor.actual or ())}"
        return True

    def conflicts(self) -> list[tuple[Tensor, tuple[str, ...]]]:
        """The tensors that are missing or cannot be so, each with the known dims that it contradicts.

        Those may be none: another element type, another rank and a number speak for themselves.
        """
        every = ((tensor, self._contradicted(tensor)) for tensor in self.tensors)
        return [
            (tensor, names or ())
            for tensor, names in every
            if names is not None or tensor.actual is None or tensor.element != tensor.actual_element
        ]

    def _contradicted(self, tensor: Tensor) -> tuple[str, ...] | None:
        if tensor.sums is None or tensor.actual is None:
            return None
        if len(tensor.sums) != len(tensor.actual):
            return ()
        axes = zip(tensor.sums, tensor.actual, strict=True)
        wrong = [size for size, actual in axes if size is not None and self._differs(size, actual)]
        named = dict.fromkeys(name for size in wrong for names in size for name in names if name in self.known)
        return tuple(named) if wrong else None

    def _differs(self, size: Sum, actual: int) -> bool:
        """Whether a size is another number, or cannot be this one whatever its one unknown dim is."""
        value = self.value(size)
        unknown = {name for names in size for name in names if name not in self.known}
        linear = len(unknown) == 1 and all(names.count(next(iter(unknown))) <= 1 for names in size)
        return value != actual if value is not None else linear

    def wanted(self, tensor: Tensor) -> str:
        """The declared type over the outermost struct's dims, with what they are: `float16[2*H, D] = [8, D]`."""
        if tensor.sums is None:
            return f"{tensor.element}[...]"
        declared = _bracketed(tensor.sums)
        known = _bracketed([None if size is None else self._reduced(size) for size in tensor.sums])
        return f"{tensor.element}{declared}" + ("" if declared == known else f" = {known}")

    def _reduced(self, size: Sum) -> Sum:
        """A size in which known dims are numbers."""
        return over(
            size,
            {name: {(): self.known[name]} if name in self.known else {(name,): 1} for names in size for name in names},
        )

    def origin(self, name: str) -> str:
        """What a known dim is, and what told it."""
        told = f"by {self.by[name]}" if name in self.by else "as given"
        return f"`{name}` is {self.known[name]} {told}"


def _bracketed(sums: Sequence[Sum | None]) -> str:
    """A dim that a struct inside has for a `?` is shown by its name there."""
    sizes = [
        None if size is None else {tuple(name.partition(" of ")[0] for name in names): n for names, n in size.items()}
        for size in sums
    ]
    return f"[{', '.join(map(written, sizes))}]"
