"""The group of commands, and how every one of them ends.

A command returns its exit status, or None for 0. Whatever it raises is turned into one message on stderr and an exit
status here: the diagnostics of a wrong program (1), a wrong command line (2), a file that cannot be read or written
(1), Ctrl-C (130), and anything else, which is a bug of ours (70). A Python traceback is shown only when it is asked
for. A reader that closes the pipe ends `tlc` without a word.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import click

from tensorlogic.cli.reporting import is_verbose, show_diagnostics
from tensorlogic.compiler.diagnostics import CompileError, error
from tensorlogic.runtime.console import accept_every_character, discard_output

COMMANDS = ("check", "compile", "convert", "doctor", "explain", "inspect", "run")
CONTEXT_SETTINGS = {"help_option_names": ["-h", "--help"]}

WRONG_PROGRAM = 1
COMPILER_BUG = 70
INTERRUPTED = 130
BROKEN_PIPE = 141


class Group(click.Group):
    """Finds a command `name` as `command` in `tensorlogic/cli/name.py`, and ends the process as the module says."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"tensorlogic.cli.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that is asked for; where there is none, the nearest or, for a program's file, how it is run."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            raise click.UsageError(f"there is no command `{args[0]}`.{_command_hint(args[0])}", ctx)
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> int:
        """Run the command; its exit status. Only click's own exceptions pass through."""
        try:
            status: int | None = super().invoke(ctx)
            if sys.stdout is not None:
                sys.stdout.flush()
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except (Exception, KeyboardInterrupt) as problem:
            return _ending(problem)
        return status or 0

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run the command line and exit the process; with `standalone_mode=False` return the status instead."""
        accept_every_character()
        try:
            status = super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
        except click.Abort:
            status = _ending(KeyboardInterrupt())
        except click.ClickException as problem:
            problem.show()
            status = problem.exit_code
        except Exception as problem:
            status = _ending(problem)
        if standalone_mode:
            sys.exit(status or 0)
        return status


def _command_hint(word: str) -> str:
    if word.endswith(".tl"):
        return f" To run a program: tlc run {word}"
    import difflib  # here, since only this error needs it

    near = difflib.get_close_matches(word, COMMANDS, 1)
    return f" Did you mean `{near[0]}`?" if near else f" The commands are: {', '.join(COMMANDS)}."


def version_option() -> click.Option:
    """`--version`, which imports the package's version only when it is asked for."""

    def show(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
        if value and not ctx.resilient_parsing:
            click.echo(f"tlc {_version()}")
            ctx.exit()

    return click.Option(
        ["--version"], is_flag=True, is_eager=True, expose_value=False, callback=show, help="Show the version and exit."
    )


def _version() -> str:
    from tensorlogic import __version__

    return __version__


def _ending(problem: Exception | KeyboardInterrupt) -> int:
    """Say what `problem` means for the user; the exit status."""
    match problem:
        case CompileError():
            show_diagnostics(problem.diagnostics)
            return WRONG_PROGRAM
        case KeyboardInterrupt():
            click.echo("tlc: interrupted", err=True)
            return INTERRUPTED
        case BrokenPipeError():
            discard_output()
            return BROKEN_PIPE
        case OSError() | MemoryError():
            return _report_environment(problem)
    return _report_bug(problem)


def _report_environment(problem: OSError | MemoryError) -> int:
    """Something outside the program and the compiler: a full disk, a file that vanished, too little memory."""
    _show_traceback(problem)
    if isinstance(problem, MemoryError):
        click.echo("tlc: out of memory", err=True)
        return WRONG_PROGRAM
    name = f"{os.fsdecode(problem.filename)}: " if isinstance(problem.filename, str | bytes) else ""
    click.echo(f"tlc: {name}{problem.strerror or problem}", err=True)
    return WRONG_PROGRAM


def _report_bug(problem: Exception) -> int:
    _show_traceback(problem)
    ask = "" if is_verbose() else ", and with what `--verbose` adds to this"
    text = str(problem).partition("\n")[0]
    bug = error(
        "TL9001",
        f"the compiler failed: {type(problem).__name__}{': ' if text else ''}{text}",
        notes=[f"this is a bug in tlc {_version()}, whatever the program is", *getattr(problem, "__notes__", ())],
        helps=[f"please report it with the program{ask}"],
    )
    show_diagnostics([bug])
    return COMPILER_BUG


def _show_traceback(problem: Exception) -> None:
    """Print the Python traceback where it is asked for."""
    if is_verbose():
        import traceback  # here, since hardly a run needs it

        traceback.print_exception(problem)
