"""The errors a running program may end with. Each carries a code that `tlc explain` knows.

They are ordinary Python exceptions for applications; `tlc run` prints them as one message without a traceback.
"""

from __future__ import annotations

from collections.abc import Iterable


class TensorLogicError(Exception):
    """Something the user can cause. `code` is like `TL4001`; `where` is a `.tl` place such as `model.tl:12`."""

    def __init__(
        self, code: str, message: str, *, where: str = "", notes: Iterable[str] = (), helps: Iterable[str] = ()
    ) -> None:
        self.code = code
        self.message = message
        self.where = where
        self.notes = tuple(notes)
        self.helps = tuple(helps)
        super().__init__(code, message)

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        lines = [f"{place}{self.message} [{self.code}]"]
        lines.extend("  note: " + note.replace("\n", "\n        ") for note in self.notes)
        lines.extend(f"  help: {help}" for help in self.helps)
        return "\n".join(lines)


class ModelFileError(TensorLogicError, ValueError):
    """A model file is missing, broken, or does not hold what the program asks of it (TL4)."""


class BoundaryError(TensorLogicError, ValueError):
    """A value that run time brought does not have the declared shape, type or bounds (TL5)."""
