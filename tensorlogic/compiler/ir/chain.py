"""What the operation `chain` computes: products in a row, with the row-wise work between them.

The operation takes one tensor through its stages, of which each makes of its value

    value = add + norm_after(gate(norm(value) @ [w1; w2; ...].T))

where everything but the product may be absent. Its attribute `stages` has them in order; `apart` says that the products
of the last one, which has no gate then, are given apart, as a tuple.
"""

from __future__ import annotations

from collections.abc import Iterable

from tensorlogic.compiler.records import dataclass


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage. Numbers are places among the operation's operands, of which the first is what goes in.

    `weights` are matrices [O, I], whose products stand side by side. A norm is the place of its weight, which may be
    `none`, and of its epsilon. A gate is the first of two products, activated, times the second. `add` is a tensor of
    the shape of the stage's value, `add_stage` the value of an earlier stage, counted from 1.
    """

    weights: tuple[int, ...]
    norm: tuple[int, int] | None = None
    gate: str | None = None
    norm_after: tuple[int, int] | None = None
    add: int | None = None
    add_stage: int | None = None

    def __str__(self) -> str:
        parts = [] if self.norm is None else [f"norm {_places(self.norm)}"]
        parts.append(f"weights {_places(self.weights)}")
        parts += [] if self.gate is None else [f"gate {self.gate}"]
        parts += [] if self.norm_after is None else [f"norm_after {_places(self.norm_after)}"]
        parts += [] if self.add is None else [f"add {self.add}"]
        parts += [] if self.add_stage is None else [f"add_stage {self.add_stage}"]
        return "; ".join(parts)


def _places(numbers: Iterable[int]) -> str:
    return " ".join(map(str, numbers))


def weights_of(stages: Iterable[Stage]) -> frozenset[int]:
    """The places of all matrices."""
    return frozenset(place for stage in stages for place in stage.weights)
