"""Generated programs as scripts: the call is written in the language, and the shapes of its results are printed.

There the sizes of the arguments are known while compiling, so that what was a check may be an error.
"""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Mapping

from tensorlogic.compiler.driver import compile_text
from tensorlogic.runtime.script import run
from tests.properties.arguments import Argument, Array, Layer, Several
from tests.properties.programs import Program
from tests.properties.running import NAME, OPTIONS


def script(program: Program) -> str | None:
    """The source with a call of `f`; None where an argument cannot be written in the language."""
    arguments = written(program.arguments)
    if arguments is None:
        return None
    names = [f"r{i}" for i in range(len(program.expected))]
    results = f"({', '.join(names)})" if len(names) > 1 else names[0]
    prints = "".join(f"print({name}.dtype, {name}.shape)\n" for name in names)
    return f"{program.source}\nlet {results} = f({arguments})\n{prints}"


def written(arguments: Mapping[str, Argument]) -> str | None:
    """The named arguments of a call."""
    texts = {name: _written(argument) for name, argument in arguments.items()}
    return None if None in texts.values() else ", ".join(f"{name}: {text}" for name, text in texts.items())


def _written(argument: Argument) -> str | None:
    match argument:
        case None:
            return "none"
        case int():
            return str(argument)
        case Array(element, shape):
            return f"{'ones' if sum(shape) % 2 else 'zeros'}({list(shape)}, dtype: {element})"
        case Several(items):
            return f"[{', '.join(filter(None, map(_written, items)))}]"
        case Layer(inputs, outputs, has_bias):
            bias = f"ones([{outputs}])" if has_bias else "none"
            return f"Dense(weight: ones([{outputs}, {inputs}]), bias: {bias})"
    return None


def script_outcome(source: str) -> tuple[Array, ...]:
    """The types that a script prints."""
    python = compile_text(source, NAME, OPTIONS).python
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        run(python, NAME, [])
    return tuple(_read(line) for line in printed.getvalue().splitlines())


def _read(line: str) -> Array:
    match = re.fullmatch(r"(\w+) \[(.*)\]", line)
    assert match is not None, line
    return Array(match[1], tuple(int(n) for n in match[2].split(", ") if n))
