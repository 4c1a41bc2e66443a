"""The options and arguments that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from tensorlogic.cli.reporting import set_verbose

if TYPE_CHECKING:
    from tensorlogic.compiler.driver import Options

Function = TypeVar("Function", bound=Callable[..., Any])

root_option = click.option(
    "--root",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help="The folder that imports may not leave. Default: the folder of FILE.",
)
verbose_option = click.option(
    "--verbose",
    is_flag=True,
    expose_value=False,
    callback=set_verbose,
    help="After a bug in the compiler, show the Python traceback too; `run` and `convert` count the values that became "
    "0, and `run` lists the tensors of a model that no struct took. So does TENSORLOGIC_DEBUG=1.",
)
_strict_option = click.option(
    "--strict", is_flag=True, help="Round to the declared element type after every operation."
)
_fast_option = click.option(
    "--fast",
    is_flag=True,
    help="On a CPU, round what meets packed weights to 8 bits, in blocks of 32. Not with --strict.",
)
_checked_option = click.option(
    "--checked", is_flag=True, help="Report ids out of range in gather, take, scatter and embedding; do not clamp them."
)


def compilation_options(function: Function) -> Function:
    """Add `--strict`, `--fast`, `--checked`, `--root` and `--verbose`."""
    return _strict_option(_fast_option(_checked_option(root_option(verbose_option(function)))))


def make_options(
    *,
    root: Path | None,
    strict: bool = False,
    fast: bool = False,
    checked: bool = False,
    standalone: bool = False,
    debug_nan: bool = False,
) -> Options:
    """The driver's options. The driver is imported here and not above, so that help and pages come at once."""
    from tensorlogic.compiler.driver import Options

    if strict and fast:
        raise click.UsageError("--strict and --fast exclude each other.")
    return Options(strict=strict, fast=fast, checked=checked, root=root, standalone=standalone, debug_nan=debug_nan)
