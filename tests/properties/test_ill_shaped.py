"""Programs in which something is broken end well: refused, told by a run-time check, or right as they are.

Nothing else may come of them: no other exception, no error of MLX, no result of another type than declared.
"""

from __future__ import annotations

import re

from hypothesis import assume, event, given

from tensorlogic.compiler.diagnostics.model import CompileError
from tensorlogic.runtime.errors import TensorLogicError
from tests.properties.damage import damaged
from tests.properties.declared import fits_declaration, parameters
from tests.properties.programs import Array, Program
from tests.properties.running import compiled, outcome

Ending = CompileError | TensorLogicError | Array


def ending(program: Program) -> Ending:
    """How a program ends: refused, told by a check, or with a result."""
    try:
        module = compiled(program.source)
        names = parameters(program.source)
        assume(set(names) <= set(program.arguments))
        return outcome(module, {name: program.arguments[name] for name in names})
    except (CompileError, TensorLogicError) as wrong:
        return wrong


@given(damaged())
def test_a_broken_program_is_refused_or_told_or_right(program: Program) -> None:
    match ending(program):
        case CompileError(diagnostics=diagnostics) as wrong:
            event("refused")
            codes = [d.code for d in diagnostics if d.severity == "error"]
            assert codes, str(wrong)
            assert all(re.fullmatch(r"TL[0-3]\d\d\d", code) for code in codes), str(wrong)
        case TensorLogicError(code=code, where=where) as told:
            event("told")
            assert re.fullmatch(r"TL5\d\d\d", code), str(told)
            assert where.startswith("program.tl:"), str(told)
        case Array() as result:
            event("right")
            assert fits_declaration(program.source, program.arguments, result), f"{result} is returned"
