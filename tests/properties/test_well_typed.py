"""Random well-typed programs: each checks, and returns what its type says.

The types are found twice: by the compiler, and by the rules of the generator, which know nothing of it. The sizes that
run are compared with both.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from tests.properties.programs import Program, programs
from tests.properties.running import compiled, outcome


@given(programs())
def test_a_well_typed_program_checks_and_returns_its_type(program: Program) -> None:
    assert outcome(compiled(program.source), program.arguments) == program.expected


@pytest.mark.fuzz
@settings(settings.get_profile("deep"))
@given(programs())
def test_many_well_typed_programs_check_and_return_their_types(program: Program) -> None:
    assert outcome(compiled(program.source), program.arguments) == program.expected
