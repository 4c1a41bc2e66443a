"""`tlc compile`: a program's Python module, or one of the stages on the way to it."""

from __future__ import annotations

import difflib
from pathlib import Path

import click

from tensorlogic.cli.files import is_compiled_module, require_readable, write_whole
from tensorlogic.cli.options import compilation_options, make_options
from tensorlogic.cli.reporting import show_diagnostics

STDOUT = Path("-")


@click.command("compile", short_help="Compile a program to a Python module.")
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "output",
    type=click.Path(path_type=Path, allow_dash=True),
    metavar="OUT",
    help="The file to write; - is stdout. Default: FILE with the ending .py, and stdout for --emit and --print-after.",
)
@click.option(
    "--emit",
    type=click.Choice(["tokens", "ast", "ir", "py"]),
    help="What to write instead of the module's file: a stage of the compiler, or with py the module's text.",
)
@click.option(
    "--print-after", metavar="PASS", help="Write the IR as it is after the pass PASS. A wrong name lists the passes."
)
@click.option("--standalone", is_flag=True, help="Emit a module that needs MLX alone, not the TensorLogic runtime.")
@compilation_options
def command(
    file: Path,
    output: Path | None,
    emit: str | None,
    print_after: str | None,
    standalone: bool,
    strict: bool,
    fast: bool,
    checked: bool,
    root: Path | None,
) -> None:
    """Compile FILE to a Python module beside it that builds lazy MLX graphs.

    The module appears whole or not at all. A file that tlc did not write is replaced only if -o names it.
    """
    from tensorlogic.compiler import driver  # here, so that `tlc --help` does not load the compiler

    if emit is not None and print_after is not None:
        raise click.UsageError("--emit and --print-after exclude each other.")
    if print_after is not None:
        _require_pass(print_after, driver.pass_names())
    require_readable(file)
    target = _target(file, output, to_stdout=emit is not None or print_after is not None)
    options = make_options(root=root, strict=strict, fast=fast, checked=checked, standalone=standalone)
    if emit is not None:
        text = driver.emit(file, emit, options)
    else:
        compiled = driver.compile_file(file, options, print_after=print_after)
        show_diagnostics(compiled.diagnostics)
        assert print_after is not None or compiled.python is not None
        text = compiled.printed if print_after is not None else compiled.python
    if target == STDOUT:
        if not text.endswith("\n"):
            text += "\n"
        click.echo(text.encode(), nl=False)  # UTF-8, whatever the terminal's encoding
    else:
        write_whole(target, text)


def _target(file: Path, output: Path | None, *, to_stdout: bool) -> Path:
    """Where the result goes. Refuses what must not be overwritten and what cannot be written."""
    target = output or (STDOUT if to_stdout else file.with_suffix(".py"))
    if target == STDOUT:
        return target
    if target.is_dir():
        raise click.UsageError(f"cannot write `{target}`: it is a folder.")
    if not target.parent.is_dir():
        raise click.UsageError(f"cannot write `{target}`: there is no folder `{target.parent}`.")
    if target.exists():
        if target.samefile(file):
            raise click.UsageError(f"`{target}` is the program itself; name another file with -o.")
        if output is None and not is_compiled_module(target):
            raise click.UsageError(f"`{target}` exists and was not written by tlc; name it with -o to replace it.")
    return target


def _require_pass(name: str, known: tuple[str, ...]) -> None:
    if name not in known:
        near = difflib.get_close_matches(name, known, 1)
        hint = f" Did you mean `{near[0]}`?" if near else ""
        raise click.UsageError(f"there is no pass `{name}`.{hint} The passes are: {', '.join(known)}.")
