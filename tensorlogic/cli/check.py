"""`tlc check`: the diagnostics of programs, nothing written and nothing run. Imports neither MLX nor NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tensorlogic.cli.files import input_problem
from tensorlogic.cli.options import make_options, root_option, verbose_option
from tensorlogic.cli.reporting import show_diagnostics
from tensorlogic.compiler.diagnostics import MAXIMUM_ERRORS, Diagnostic
from tensorlogic.compiler.diagnostics.glyphs import visible

if TYPE_CHECKING:
    from tensorlogic.compiler.driver import Report


@click.command("check", short_help="Check programs without running them.")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON on stdout, and nothing else.")
@root_option
@verbose_option
def command(files: tuple[Path, ...], as_json: bool, root: Path | None) -> int:
    """Check each FILE: its syntax, names, types and shapes.

    Errors and notes go to stderr. For a file without errors, `FILE: ok` is printed on stdout. The exit status is 1 if
    any file has an error.

    A model file that a script opens by a path known here is looked at, if it is there: its header alone.

    With --json, stdout gets one list with an object for each FILE: `file`, `ok`, `diagnostics` and `files`. Each
    diagnostic has `code`, `severity`, `message`, `labels`, `notes` and `helps`. A label has `path`, `start` and `end`
    (`line` and `column` from 1, `offset` from 0, in characters, the end exclusive), `text` and `primary`. `files` are
    the model files that were looked at, each with `path`, `format`, `tensors` (those the program names, with their
    `storage` and `shape`) and `missing` (names that are not there, with the nearest ones).
    """
    from tensorlogic.compiler import driver  # here, so that `tlc --help` does not load the compiler

    options = make_options(root=root)
    results: list[tuple[Path, Report]] = []
    for path in files:
        problem = input_problem(path)
        report = driver.Report([problem]) if problem else driver.report(path, options)
        if not as_json:
            if any(earlier.diagnostics for _, earlier in results) and report.diagnostics:
                click.echo(err=True)
            _show(path, report.diagnostics)
        results.append((path, report))
    if as_json:
        import json  # here, since a check that is shown does not need it

        click.echo(json.dumps([_result(path, report) for path, report in results], indent=2))
    return 1 if any(_errors(report.diagnostics) for _, report in results) else 0


def _show(path: Path, found: Sequence[Diagnostic]) -> None:
    show_diagnostics(found)
    errors = _errors(found)
    if not errors:
        click.echo(f"{visible(str(path))}: ok")
        return
    count = f"{errors} error{'s' if errors > 1 else ''}"
    if errors == MAXIMUM_ERRORS:
        count = f"the first {count}"
    click.echo(f"\n{visible(str(path))}: {count}", err=True)


def _result(path: Path, report: Report) -> dict[str, object]:
    from tensorlogic.compiler.diagnostics.to_json import to_json, use_to_json  # here, as `json` above

    return {
        "file": str(path),
        "ok": not _errors(report.diagnostics),
        "diagnostics": [to_json(diagnostic) for diagnostic in report.diagnostics],
        "files": [use_to_json(use) for use in report.uses],
    }


def _errors(found: Sequence[Diagnostic]) -> int:
    return sum(diagnostic.severity == "error" for diagnostic in found)
