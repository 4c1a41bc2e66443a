"""Diagnostics, and what model files say, as JSON values: for `tlc check --json`, editors and other programs.

Lines and columns are counted from 1, columns and offsets in characters of the text; `end` is exclusive.
A model file has `path` as the program writes it, `format` (`safetensors` or `gguf`), `tensors`: those that the program
asks for by name, each with `storage` (`F16`, `Q4_1`) and `shape` in PyTorch's order; and `missing`: the names that are
not there, each with the list of the nearest ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from tensorlogic.compiler.diagnostics.model import Diagnostic, Label
from tensorlogic.compiler.source import Source


def to_json(diagnostic: Diagnostic) -> dict[str, Any]:
    """Everything the diagnostic says. The first label is the primary one; some diagnostics have no label."""
    return {
        "code": diagnostic.code,
        "severity": diagnostic.severity,
        "message": diagnostic.message,
        "labels": [_label(label) for label in diagnostic.labels],
        "notes": list(diagnostic.notes),
        "helps": list(diagnostic.helps),
    }


class Use(Protocol):
    """What a program asks of a model file."""

    @property
    def path(self) -> str: ...
    @property
    def format(self) -> str: ...
    @property
    def tensors(self) -> Mapping[str, tuple[str, tuple[int, ...]]]:
        """Storage and shape by name."""
        ...

    @property
    def missing(self) -> Mapping[str, Sequence[str]]:
        """The nearest names, by the one that is not there."""
        ...


def use_to_json(use: Use) -> dict[str, Any]:
    """What a model file that is there says of the tensors that a program asks for."""
    return {
        "path": use.path,
        "format": use.format,
        "tensors": {name: {"storage": storage, "shape": list(shape)} for name, (storage, shape) in use.tensors.items()},
        "missing": {name: list(near) for name, near in use.missing.items()},
    }


def _label(label: Label) -> dict[str, Any]:
    source = label.span.source
    return {
        "path": source.name,
        "start": _position(source, label.span.start),
        "end": _position(source, label.span.end),
        "text": label.text,
        "primary": label.primary,
    }


def _position(source: Source, offset: int) -> dict[str, int]:
    return {"line": source.line_of(offset), "column": source.column_of(offset), "offset": offset}
