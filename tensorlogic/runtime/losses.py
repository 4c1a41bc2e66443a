"""Values too small for the type that they are converted to, which become 0: counted, and told to whoever listens.

Values from files and from arrays of other libraries may do so, since real weights have some (language.md, section 1).
The counts go to the logger `tensorlogic` at the level INFO: `tlc run --verbose` prints them on stderr, and an
application sees them with `logging.basicConfig(level=logging.INFO)`. Nothing is counted for nobody.
"""

from __future__ import annotations

import logging

LOGGER = logging.getLogger("tensorlogic")


def is_heard() -> bool:
    """Whether anybody wants to know."""
    return LOGGER.isEnabledFor(logging.INFO)


def tell_zeros(count: int, whose: str, dtype: str) -> None:
    """Say that so many values became 0, if any did."""
    if count:
        LOGGER.info("%s of %s became 0 in %s", "1 value" if count == 1 else f"{count} values", whose, dtype)
