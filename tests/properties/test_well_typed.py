"""Random well-typed programs: each checks, and returns what its type says.

The types are found twice: by the compiler, and by the rules of the generator, which know nothing of it. The sizes that
run are compared with both.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from tests.properties.programs import Program, programs
from tests.properties.running import compiled, outcome
from tests.properties.scripts import script, script_outcome


@given(programs())
def test_a_well_typed_program_checks_and_returns_its_type(program: Program) -> None:
    assert outcome(compiled(program.source), program.arguments) == program.expected


@settings(max_examples=30)
@given(programs())
def test_a_well_typed_script_prints_its_types(program: Program) -> None:
    text = script(program)
    assert text is not None
    assert script_outcome(text) == program.expected


@pytest.mark.fuzz
@settings(settings.get_profile("deep"))
@given(programs())
def test_many_well_typed_programs_check_and_return_their_types(program: Program) -> None:
    assert outcome(compiled(program.source), program.arguments) == program.expected


@pytest.mark.fuzz
@settings(settings.get_profile("deep"))
@given(programs())
def test_many_well_typed_scripts_print_their_types(program: Program) -> None:
    text = script(program)
    assert text is not None
    assert script_outcome(text) == program.expected
