"""Arguments of the calls of generated programs, described; `running.py` makes them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Array:
    """An array of random items; ints lie between 0 and 3. `form` is `mlx`, `numpy` (float64, int64) or `list`."""

    element: str
    shape: tuple[int, ...]
    form: str = "mlx"

    def __str__(self) -> str:
        return f"{self.element}{list(self.shape)}{'' if self.form == 'mlx' else f' as {self.form}'}"


@dataclass(frozen=True)
class Layer:
    """The struct `Dense`."""

    inputs: int
    outputs: int
    has_bias: bool

    def __str__(self) -> str:
        return f"Dense[{self.inputs}, {self.outputs}]{'' if self.has_bias else ' without bias'}"


@dataclass(frozen=True)
class Several:
    """A list of arrays."""

    items: tuple[Array, ...]

    def __str__(self) -> str:
        return f"[{', '.join(map(str, self.items))}]"


@dataclass(frozen=True)
class Stranger:
    """Something of Python's that no parameter takes: see `STRANGERS`."""

    name: str

    def __str__(self) -> str:
        return self.name


STRANGERS = {
    "ragged": [[1.0, 2.0], [3.0]],
    "text": "text",
    "yes": True,
    "half": 0.5,
    "dictionary": {"x": 1},
    "nothing": (),
    "object": object(),
}

Argument = Array | Layer | Several | Stranger | int | None
