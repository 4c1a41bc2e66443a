"""Diagnostics: what the compiler tells its user, as data.

What makes text of them (`render.py`, `to_json.py`) is imported where it is used: a program that is right needs neither.
"""

from __future__ import annotations

from tensorlogic.compiler.diagnostics.model import MAXIMUM_ERRORS, CompileError, Diagnostic, Label, error

__all__ = ["MAXIMUM_ERRORS", "CompileError", "Diagnostic", "Label", "error"]
