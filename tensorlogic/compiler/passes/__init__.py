"""The passes, in the order in which they run. Each is a function from a function of the IR to another.

Others see the whole program: `effects`, before these, writes down which calls must stay; after them `join` which fields
of a struct are joined when it is bound, `packing` where a packed weight must be expanded, and `elements` which
functions must be told their types.
"""

from __future__ import annotations

from collections.abc import Callable

from tensorlogic.compiler.ir.core import Function
from tensorlogic.compiler.passes import attend, common, dead, fold, fuse, row_masks, transposes

Pass = Callable[[Function], Function]

PASSES: dict[str, Pass] = {
    "fold": fold.run,
    "transposes": transposes.run,
    "common": common.run,
    "dead": dead.run,
    "fuse": fuse.run,
    "attend": attend.run,
    "row_masks": row_masks.run,
}
"""`fuse` and `attend` look at how often a value is used; `attend` begins at a chain of `fuse`, and `row_masks` takes
what it leaves."""
WHOLE = ("join", "packing", "elements")
"""The passes over whole programs that come after those, in order."""
CARRYING = frozenset({"fuse", "attend"})
"""The passes that round less often than the program says: left out under `--strict`. Those that the runtime is needed
for, which are the same, are left out of standalone modules."""
