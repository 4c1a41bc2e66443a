"""What a model takes and gives, where its file says so: names, types, and shapes with the ranges they may have."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sizes:
    """The sizes that one dim may have: `low` to `high`, without a limit where `high` is None."""

    low: int
    high: int | None

    def __str__(self) -> str:
        return f"{self.low}..{'' if self.high is None else self.high}"


@dataclass(frozen=True, slots=True)
class Feature:
    """One input, output or state of a model.

    `kind` is `array`, `image`, `state`, `int`, `float`, `string`, `dictionary` or `sequence`. An array or a state has a
    `dtype` (`float16`, `float32`, `float64`, `int32`, `int8`), an image its colors (`rgb`, `grayscale`), and each a
    `shape`, an image's being height and width. `choices` are the only shapes that are allowed, where the file lists
    them.
    """

    name: str
    kind: str
    dtype: str | None = None
    shape: tuple[int | Sizes, ...] = ()
    choices: tuple[tuple[int, ...], ...] = ()
    optional: bool = False
    description: str = ""

    def __str__(self) -> str:
        """As a program would declare it: `x: float16[1, 1..2048]`."""
        return f"{self.name}: {self.declared}"

    @property
    def declared(self) -> str:
        """Its type, as a program would declare it."""
        kind = self.kind if self.dtype is None else self.dtype
        if self.kind in ("image", "state"):
            kind = f"{self.kind} {kind}"
        shape = f"[{', '.join(map(str, self.shape))}]" if self.dtype is not None else ""
        others = f" or {', '.join(str(list(choice)) for choice in self.choices)}" if self.choices else ""
        return f"{kind}{shape}{others}{'?' if self.optional else ''}"
