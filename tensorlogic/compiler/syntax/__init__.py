"""The front end: text to tree and back. PLY is behind `parse`; nobody else imports it."""

from __future__ import annotations

from tensorlogic.compiler.syntax.dump import dump
from tensorlogic.compiler.syntax.parser import parse, tokenize
from tensorlogic.compiler.syntax.printer import format_module, show_expression, show_type
from tensorlogic.compiler.syntax.tokens import Token

__all__ = ["Token", "dump", "format_module", "parse", "show_expression", "show_type", "tokenize"]
