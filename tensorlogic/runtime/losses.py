"""What a program does not see of its models and inputs, told to whoever listens: values that became 0, unused tensors.

Values from files and from arrays of other libraries may be too small for the type that they are converted to, since
real weights have some (language.md, section 1); and a model may hold tensors that no struct takes. Both go to the
logger `tensorlogic` at the level INFO: `tlc run --verbose` prints them on stderr, and an application sees them with
`logging.basicConfig(level=logging.INFO)`.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from tensorlogic.runtime.formats.header import shown

LOGGER = logging.getLogger("tensorlogic")
_MOST_NAMES = 20


def is_heard() -> bool:
    """Whether anybody wants to know."""
    return LOGGER.isEnabledFor(logging.INFO)


def tell_zeros(count: int, whose: str, dtype: str) -> None:
    """Say that so many values became 0, if any did."""
    if count:
        LOGGER.info("%s of %s became 0 in %s", "1 value" if count == 1 else f"{count} values", whose, dtype)


def tell_unused(names: Sequence[str], path: str) -> None:
    """Say which tensors of a model were not used, if there are any."""
    if names:
        listed = ", ".join(f"`{shown(name)}`" for name in names[:_MOST_NAMES])
        more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
        count = "1 tensor" if len(names) == 1 else f"{len(names)} tensors"
        LOGGER.info("%s of `%s` %s not used: %s%s", count, path, "was" if len(names) == 1 else "were", listed, more)
