"""What the commands print on stderr: diagnostics, coloured where a terminal shows them; and how wide a terminal is.

Colour is used on a terminal, unless NO_COLOR is set to anything or TERM is `dumb`. Text that goes elsewhere is plain,
unless FORCE_COLOR is set to anything but 0; NO_COLOR is stronger.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, TextIO

import click

from tensorlogic.compiler.diagnostics import Diagnostic, error

if TYPE_CHECKING:
    from tensorlogic.runtime.errors import TensorLogicError

_VERBOSE = "tensorlogic.verbose"


def show_diagnostics(diagnostics: Iterable[Diagnostic]) -> None:
    """Print diagnostics on stderr with an empty line between; nothing where there is none."""
    found = list(diagnostics)
    if found:
        from tensorlogic.compiler.diagnostics.render import render_all  # here, since a program that is right needs none

        color = wants_color(sys.stderr)
        click.echo(render_all(found, color=color, width=width_of(sys.stderr)), err=True, color=color)


def show_runtime_error(problem: TensorLogicError) -> None:
    """Print an error that the running program ended with in the form of a diagnostic."""
    from tensorlogic.compiler.diagnostics.render import render

    color = wants_color(sys.stderr)
    diagnostic = error(problem.code, problem.message, notes=problem.notes, helps=problem.helps)
    text = render(diagnostic, color=color, width=width_of(sys.stderr), where=problem.where)
    click.echo(text, err=True, color=color)


def set_verbose(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    """The callback of `--verbose`."""
    if value:
        ctx.meta[_VERBOSE] = True


def is_verbose() -> bool:
    """Whether `--verbose` or TENSORLOGIC_DEBUG=1 asks for tracebacks."""
    context = click.get_current_context(silent=True)
    asked = context is not None and bool(context.meta.get(_VERBOSE))
    return asked or os.environ.get("TENSORLOGIC_DEBUG", "") not in ("", "0")


def wants_color(stream: TextIO | None) -> bool:
    """Whether text for this stream is coloured, by the rule above."""
    if stream is None or os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR", "0") not in ("", "0"):
        return True
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def width_of(stream: TextIO | None) -> int:
    """The terminal's width in columns, or the default for a stream that is not a terminal."""
    from tensorlogic.compiler.diagnostics.render import DEFAULT_WIDTH

    if stream is None or not stream.isatty():
        return DEFAULT_WIDTH
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns) > 0:
        return int(columns)
    try:
        return os.get_terminal_size(stream.fileno()).columns or DEFAULT_WIDTH
    except OSError:  # a terminal that does not tell its size
        return DEFAULT_WIDTH
