"""Programs in which something is broken end well: refused, told by a run-time check, or right as they are.

Nothing else may come of them: no other exception, no error of MLX, no result of another type than declared. A fair
share of them comes to each of the three ends, or the generator would test little.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import assume, given, settings

from tensorlogic.compiler.diagnostics.model import CompileError
from tensorlogic.runtime.errors import TensorLogicError
from tests.properties.arguments import Array
from tests.properties.damage import damaged
from tests.properties.declared import fits_declaration, parameters
from tests.properties.programs import Program
from tests.properties.running import compiled, outcome
from tests.properties.scripts import script, script_outcome

EXAMPLES = 90
MLX_FAILED = "TL5010"
"""What MLX itself refuses. These programs are too small for it to have a reason."""

Ending = CompileError | TensorLogicError | tuple[Array, ...]


def ending(program: Program) -> Ending:
    """How a program ends that Python calls: refused, told by a check, or with results."""
    try:
        module = compiled(program.source)
        names = parameters(program.source)
        assume(set(names) <= set(program.arguments))
        return outcome(module, {name: program.arguments[name] for name in names})
    except (CompileError, TensorLogicError) as wrong:
        return wrong


def ending_as_script(program: Program) -> Ending:
    """How it ends where the call is written in the language."""
    text = script(program)
    assume(text is not None)
    assert text is not None
    try:
        return script_outcome(text)
    except (CompileError, TensorLogicError) as wrong:
        return wrong


def judged(program: Program, end: Callable[[Program], Ending]) -> str:
    """`refused`, `told` or `right`; fails where a program ends in another way."""
    match end(program):
        case CompileError(diagnostics=diagnostics) as wrong:
            codes = [d.code for d in diagnostics if d.severity == "error"]
            assert codes, str(wrong)
            assert all(re.fullmatch(r"TL[0-3]\d\d\d", code) for code in codes), str(wrong)
            return "refused"
        case TensorLogicError(code=code, where=where) as told:
            assert re.fullmatch(r"TL5\d\d\d", code), str(told)
            assert code != MLX_FAILED, str(told)
            assert re.fullmatch(r"program\.tl:\d+", where), str(told)
            return "told"
        case results:
            assert fits_declaration(program.source, program.arguments, results), f"{results} is returned"
            return "right"


def endings(end: Callable[[Program], Ending], chosen: settings) -> Counter[str]:
    """How often broken programs came to each end."""
    found: Counter[str] = Counter()

    @chosen
    @given(damaged())
    def each(program: Program) -> None:
        found[judged(program, end)] += 1

    each()
    return found


def assert_fair(found: Counter[str], share: float) -> None:
    """At least a share of the broken programs comes to each of the three ends."""
    assert all(found[end] >= share * found.total() for end in ("refused", "told", "right")), found


def test_a_broken_program_is_refused_or_told_or_right() -> None:
    # So few examples resemble each other: their shares are no measure.
    assert_fair(endings(ending, settings(max_examples=EXAMPLES)), 1 / EXAMPLES)


def test_a_broken_script_is_refused_or_told_or_right() -> None:
    found = endings(ending_as_script, settings(max_examples=EXAMPLES // 3))
    assert found["right"] > 0, found


@pytest.mark.fuzz
def test_many_broken_programs_are_refused_or_told_or_right() -> None:
    assert_fair(endings(ending, settings.get_profile("deep")), 0.1)


@pytest.mark.fuzz
def test_many_broken_scripts_are_refused_or_told_or_right() -> None:
    endings(ending_as_script, settings.get_profile("deep"))
