"""A diagnostic as a dictionary of JSON values, for `tlc check --json`, editors and other programs.

Lines and columns are counted from 1, columns and offsets in characters of the text; `end` is exclusive.
"""

from __future__ import annotations

from typing import Any

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
