"""The names that are most like a wrong one, and the help that offers them.

Takes names as files hold them: there may be a hundred thousand, of 65 kB each. Promises an answer in milliseconds: of
very many names only those are compared in full whose beginnings and ends agree most with the wrong one's.
"""

from __future__ import annotations

import difflib
import heapq
from collections.abc import Iterable

from tensorlogic.runtime.formats.header import shown

_MOST_COMPARED = 500
_LONGEST = 200


def nearest(name: str, names: Iterable[str], most: int = 3) -> list[str]:
    """At most so many of the names, the one most like `name` first; none that is not like it."""
    name, known = name[:_LONGEST], list(names)
    if len(known) > _MOST_COMPARED:
        known = heapq.nlargest(_MOST_COMPARED, known, key=lambda other: _common(name, other))
    return difflib.get_close_matches(name, known, most)


def did_you_mean(near: Iterable[str]) -> list[str]:
    """The help that offers names; none where there are none."""
    offered = " or ".join(f"`{shown(other)}`" for other in near)
    return [f"did you mean {offered}?"] if offered else []


def _common(a: str, b: str) -> int:
    """How many characters two names have in common at their beginnings and ends."""
    shorter = min(len(a), len(b))
    start = next((i for i in range(shorter) if a[i] != b[i]), shorter)
    rest = shorter - start
    return start + next((i for i in range(rest) if a[-1 - i] != b[-1 - i]), rest)
