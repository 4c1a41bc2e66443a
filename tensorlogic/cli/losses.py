"""What the runtime logs, told on stderr under `--verbose`: values that became 0, and tensors that nothing used.

What is logged, and when, is said in `runtime/losses.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tensorlogic.cli.reporting import is_verbose


@contextmanager
def losses_told() -> Iterator[None]:
    """With `--verbose`, what the runtime logs in the block goes to stderr."""
    if not is_verbose():
        yield
        return
    import gc
    import logging

    logger, handler = logging.getLogger("tensorlogic"), logging.StreamHandler()
    handler.setFormatter(logging.Formatter("tlc: %(message)s"))
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
        # A model tells what was not used of it when it is closed.
        gc.collect()
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
