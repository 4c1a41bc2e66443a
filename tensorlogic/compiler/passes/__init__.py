"""The passes, in the order in which they run. Each is a function from a function of the IR to another.

`packing` is not an optimization: it writes down where a packed weight must be expanded, and always runs.
"""

from __future__ import annotations

from collections.abc import Callable

from tensorlogic.compiler.ir.core import Function
from tensorlogic.compiler.passes import common, dead, fold, transposes

Pass = Callable[[Function], Function]

PASSES: dict[str, Pass] = {
    "fold": fold.run,
    "common": common.run,
    "transposes": transposes.run,
    "dead": dead.run,
}
