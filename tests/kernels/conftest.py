"""The kernels of this machine: each instruction set in turn."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tensorlogic_cpu import kernels


@pytest.fixture(params=kernels.instruction_sets())
def instruction_set(request: pytest.FixtureRequest) -> Iterator[str]:
    """Forces each instruction set that this processor runs, one after the other."""
    before = kernels.instruction_set()
    kernels.use_instruction_set(request.param)
    yield request.param
    kernels.use_instruction_set(before)
