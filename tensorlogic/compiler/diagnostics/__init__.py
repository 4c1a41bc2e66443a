"""Diagnostics: what the compiler tells its user, as data, as text and as JSON."""

from __future__ import annotations

from tensorlogic.compiler.diagnostics.model import MAXIMUM_ERRORS, CompileError, Diagnostic, Label, error
from tensorlogic.compiler.diagnostics.render import render, render_all
from tensorlogic.compiler.diagnostics.to_json import to_json

__all__ = ["MAXIMUM_ERRORS", "CompileError", "Diagnostic", "Label", "error", "render", "render_all", "to_json"]
