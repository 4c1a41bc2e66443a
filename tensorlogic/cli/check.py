"""`tlc check`: the diagnostics of programs, nothing written and nothing run. Imports neither MLX nor NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from tensorlogic.cli.files import input_problem
from tensorlogic.cli.options import make_options, root_option, verbose_option
from tensorlogic.cli.reporting import show_diagnostics
from tensorlogic.compiler.diagnostics import MAXIMUM_ERRORS, Diagnostic
from tensorlogic.compiler.diagnostics.glyphs import visible


@click.command("check", short_help="Check programs without running them.")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON on stdout, and nothing else.")
@root_option
@verbose_option
def command(files: tuple[Path, ...], as_json: bool, root: Path | None) -> int:
    """Check each FILE: its syntax, names, types and shapes.

    Errors and notes go to stderr. For a file without errors, `FILE: ok` is printed on stdout. The exit status is 1 if
    any file has an error.

    With --json, stdout gets one list with an object for each FILE: `file`, `ok`, and `diagnostics`, each of which has
    `code`, `severity`, `message`, `labels`, `notes` and `helps`. A label has `path`, `start` and `end` (`line` and
    `column` from 1, `offset` from 0, in characters, the end exclusive), `text` and `primary`.
    """
    from tensorlogic.compiler import driver  # here, so that `tlc --help` does not load the compiler

    options = make_options(root=root)
    results: list[tuple[Path, Sequence[Diagnostic]]] = []
    for path in files:
        problem = input_problem(path)
        found = [problem] if problem else driver.check_file(path, options)
        if not as_json:
            if any(shown for _, shown in results) and found:
                click.echo(err=True)
            _show(path, found)
        results.append((path, found))
    if as_json:
        import json  # here, since a check that is shown does not need it

        click.echo(json.dumps([_result(path, found) for path, found in results], indent=2))
    return 1 if any(_errors(found) for _, found in results) else 0


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


def _result(path: Path, found: Sequence[Diagnostic]) -> dict[str, object]:
    from tensorlogic.compiler.diagnostics.to_json import to_json  # here, as `json` above

    return {"file": str(path), "ok": not _errors(found), "diagnostics": [to_json(diagnostic) for diagnostic in found]}


def _errors(found: Sequence[Diagnostic]) -> int:
    return sum(diagnostic.severity == "error" for diagnostic in found)
