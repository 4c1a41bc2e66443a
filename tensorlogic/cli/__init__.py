"""`tlc`, the command line: a group whose commands stand in one file each and are imported when they are asked for."""

from __future__ import annotations

from tensorlogic.cli.group import CONTEXT_SETTINGS, Group, version_option

main = Group(
    "tlc",
    context_settings=CONTEXT_SETTINGS,
    params=[version_option()],
    help="Check, compile and run TensorLogic programs: tensor computations whose shapes are part of their types.",
    epilog="Exit status: 0 fine, 1 the program is wrong, 2 the command line is wrong, 70 a bug in the compiler, "
    "130 interrupted.",
)
