"""`tlc run`: compile a program in memory and run its statements."""

from __future__ import annotations

from pathlib import Path

import click

from tensorlogic.cli.files import require_readable
from tensorlogic.cli.loading import load_whole
from tensorlogic.cli.losses import losses_told
from tensorlogic.cli.options import compilation_options, make_options
from tensorlogic.cli.reporting import show_runtime_error


class _CommandWithArguments(click.Command):
    """Sets aside what stands after `--`, so that a word before it that belongs nowhere is told as the mistake it is."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        end = args.index("--") if "--" in args else len(args)
        ctx.ensure_object(list).extend(args[end + 1 :])
        return super().parse_args(ctx, args[:end])

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        return [*super().collect_usage_pieces(ctx), "[-- ARGS...]"]


@click.command("run", cls=_CommandWithArguments, short_help="Run a program.")
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@compilation_options
@click.option(
    "--debug-nan",
    is_flag=True,
    help="Stop at the first operation that gives NaN, and say where it stands; slowly. `generate` always stops at "
    "logits with NaN, and names the layer.",
)
@click.pass_obj
def command(
    arguments: list[str], file: Path, strict: bool, fast: bool, checked: bool, root: Path | None, debug_nan: bool
) -> int:
    """Check FILE, compile it in memory and run its statements from top to bottom.

    What stands after -- is the program's `args`. Nothing runs where the program has an error. With --verbose, stderr
    gets the number of values from outside that were too small for their type and became 0, and the tensors of models
    that no struct took.
    """
    from tensorlogic.compiler import driver  # here, so that `tlc --help` does not load the compiler

    require_readable(file)
    compiled = driver.compile_file(
        file, make_options(root=root, strict=strict, fast=fast, checked=checked, debug_nan=debug_nan)
    )
    assert compiled.python is not None

    # Here, so that an error in the program is told without loading MLX.
    load_whole("mlx.core")
    from tensorlogic.cli.progress import progress_shown
    from tensorlogic.runtime.errors import TensorLogicError
    from tensorlogic.runtime.script import run

    try:
        with losses_told(), progress_shown():
            return run(compiled.python, str(file), arguments)
    except TensorLogicError as problem:
        show_runtime_error(problem)
        return 1
