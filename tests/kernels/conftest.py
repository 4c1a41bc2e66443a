"""What the kernels' tests share: each runs with every instruction set of the machine, forced one by one."""

from __future__ import annotations

from collections.abc import Iterator

import mlx.core as mx
import pytest
from tensorlogic_cpu import kernels


@pytest.fixture(params=kernels.instruction_sets())
def instruction_set(request: pytest.FixtureRequest) -> Iterator[str]:
    """One of the machine's instruction sets, in use meanwhile."""
    before = kernels.instruction_set()
    kernels.use_instruction_set(request.param)
    yield request.param
    kernels.use_instruction_set(before)


@pytest.fixture
def threads() -> Iterator[None]:
    """Lets a test set the number of threads."""
    before = kernels.threads()
    yield
    mx.synchronize()
    kernels.set_threads(before)


@pytest.fixture(autouse=True)
def on_the_cpu() -> Iterator[None]:
    """The kernels' device, also on a machine with a GPU."""
    before = mx.default_device()
    mx.set_default_device(mx.Device(mx.cpu))
    yield
    mx.set_default_device(before)
