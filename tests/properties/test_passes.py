"""Random programs compute the same with the passes and without them, but for how sums are rounded."""

from __future__ import annotations

from types import ModuleType
from unittest.mock import patch

import mlx.core as mx
import pytest
from hypothesis import given, settings

from tensorlogic.compiler.passes import PASSES
from tests.properties.programs import Program, programs
from tests.properties.running import compiled, results

TOLERANCE = 2e-3
"""For results in float16."""


def unchanged(source: str) -> ModuleType:
    """The module of a program on which no pass was run."""
    with patch.dict(PASSES, clear=True):
        return compiled(source)


def assert_same(program: Program) -> None:
    wanted = results(unchanged(program.source), program.arguments)
    found = results(compiled(program.source), program.arguments)
    assert [a.dtype for a in found] == [a.dtype for a in wanted]
    for a, b in zip(found, wanted, strict=True):
        assert a.shape == b.shape
        assert mx.allclose(a, b, TOLERANCE, TOLERANCE, equal_nan=True).item(), f"{a}\n{b}"


@settings(max_examples=30)
@given(programs())
def test_passes_change_no_value(program: Program) -> None:
    assert_same(program)


@pytest.mark.fuzz
@settings(settings.get_profile("deep"))
@given(programs())
def test_passes_change_no_value_of_many_programs(program: Program) -> None:
    assert_same(program)
