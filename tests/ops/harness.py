"""Runs a case of an op end to end: the program is compiled and called, and compared with the NumPy reference.

A case's source is a call or an operator on its inputs and on literals. It becomes the body of a function whose
parameters are the inputs and whose result has the shape that the reference gives, so that the checker's shape is
compared, too.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import mlx.core as mx
import numpy as np

from tensorlogic.compiler.diagnostics.model import CompileError, Diagnostic
from tensorlogic.compiler.driver import Options, compile_text
from tensorlogic.compiler.source import Source
from tensorlogic.compiler.syntax import nodes, parse
from tensorlogic.compiler.types import ELEMENT_TYPES, ElementType

Array = np.ndarray[Any, Any]
Factory = Callable[[np.random.Generator], Any]
"""Makes an input: an array (float32, float16, int32, uint32, bool), or a host int, float, bool or string."""

References = Mapping[str, Callable[..., Any]]
"""A NumPy function for each op, with the parameters of its declaration; it computes in float64."""

HALF_TOLERANCE = 2e-3
"""For results in float16: two units in the last place."""


@dataclass(frozen=True)
class Case:
    """`source` applies `op` to `inputs`. `result` is the element type of a float result where no float input tells.

    `tolerance` bounds the difference to the reference, relative and absolute; infinite, it compares shapes alone.
    """

    op: str
    source: str
    inputs: Mapping[str, Factory] = field(default_factory=dict)
    tolerance: float = 2e-6
    result: str = ""

    def __str__(self) -> str:
        return self.source


# --- inputs


def normal(*shape: int, dtype: str = "float32", scale: float = 1.0) -> Factory:
    """Normally distributed numbers."""
    return lambda rng: np.asarray(rng.standard_normal(shape) * scale, dtype)


def uniform(low: float, high: float, *shape: int, dtype: str = "float32") -> Factory:
    return lambda rng: np.asarray(rng.uniform(low, high, shape), dtype)


def integers(low: int, high: int, *shape: int, dtype: str = "int32") -> Factory:
    """Integers from `low` to `high`, without `high`."""
    return lambda rng: np.asarray(rng.integers(low, high, shape), dtype)


def bools(*shape: int) -> Factory:
    return lambda rng: np.asarray(rng.integers(0, 2, shape), bool)


def values(data: object, dtype: str = "float32") -> Factory:
    """These numbers."""
    return lambda rng: np.array(data, dtype)


def host(value: int | float | str | bool) -> Factory:
    """A host value that the compiler does not know."""
    return lambda rng: value


# --- running


def compiled(text: str, *, strict: bool = False, checked: bool = False, standalone: bool = False) -> ModuleType:
    """The module that a program becomes."""
    options = Options(strict=strict, checked=checked, standalone=standalone, verify=True)
    module = ModuleType("case")
    exec(compile(compile_text(text, "case.tl", options).python, "case.py", "exec"), module.__dict__)
    return module


def errors(text: str) -> tuple[Diagnostic, ...]:
    """What is wrong with a program; nothing where it is right."""
    try:
        compile_text(text, "case.tl", Options(verify=True))
    except CompileError as wrong:
        return wrong.diagnostics
    return ()


def refusal(text: str) -> Diagnostic:
    """The one error of a program."""
    (diagnostic,) = errors(text)
    return diagnostic


def run(case: Case, references: References, *, strict: bool = False) -> None:
    """Compile a case, call it and compare."""
    rng = np.random.default_rng(hash_of(case.source))
    inputs = {name: make(rng) for name, make in case.inputs.items()}
    expected = reference_result(case, references, inputs)
    parameters = ", ".join(f"{name}: {declared(value)}" for name, value in inputs.items())
    result = _result_type(expected, case.result or _float_of(inputs))
    text = f"fn case({parameters}) -> {result} {{ return {case.source} }}"
    actual = compiled(text, strict=strict).case(*(as_argument(value) for value in inputs.values()))
    compare(actual, expected, case.tolerance, case.source)


def hash_of(text: str) -> int:
    """A number of a text that is the same in every process."""
    return zlib.crc32(text.encode())


def reference_result(case: Case, references: References, inputs: Mapping[str, Any]) -> Any:
    """What the reference makes of the case's arguments."""
    tree, problems = parse(Source("case.tl", case.source))
    assert not problems, problems
    (statement,) = tree.statements
    assert isinstance(statement, nodes.ExpressionStatement)
    function = references[case.op]
    match statement.value:
        case nodes.Call(arguments=arguments):
            positional = [_value(a.value, inputs) for a in arguments if a.name is None]
            named = {a.name.name: _value(a.value, inputs) for a in arguments if a.name is not None}
            return function(*positional, **named)
        case nodes.Binary(left=left, right=right):
            return function(_value(left, inputs), _value(right, inputs))
        case nodes.Unary(operand=operand) | nodes.Attribute(value=operand):
            return function(_value(operand, inputs))
    raise AssertionError(f"no call and no operator: {case.source}")


def _value(node: nodes.Expression, inputs: Mapping[str, Any]) -> Any:
    """A literal or an input; floats of an input in float64."""
    match node:
        case nodes.Name(name=name) if name in inputs:
            value = inputs[name]
            is_float = isinstance(value, np.ndarray) and value.dtype.kind == "f"
            return value.astype(np.float64) if is_float else value
        case nodes.Name(name=name) if name in ELEMENT_TYPES:
            return ELEMENT_TYPES[name]
        case (
            nodes.IntegerLiteral(value=value)
            | nodes.FloatLiteral(value=value)
            | nodes.StringLiteral(value=value)
            | nodes.BooleanLiteral(value=value)
        ):
            return value
        case nodes.NoneLiteral():
            return None
        case nodes.Attribute(value=of, name=nodes.Identifier(name="T")):
            return np.swapaxes(_value(of, inputs), -1, -2)
        case nodes.Unary(operator="-", operand=operand):
            return -_value(operand, inputs)
        case nodes.TupleExpression(items=items):
            return tuple(_value(item, inputs) for item in items)
        case nodes.ListExpression(items=items):
            return [_value(item, inputs) for item in items]
    raise AssertionError(f"no literal and no input: {node.span.text}")


# --- types and values


def declared(value: Any) -> str:
    """The type of an input, as a parameter's."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype.name}[{', '.join(map(str, value.shape))}]"
    return {bool: "bool", int: "int", float: "float", str: "string"}[type(value)]


def as_argument(value: Any) -> Any:
    return mx.array(value) if isinstance(value, np.ndarray) else value


def _float_of(inputs: Mapping[str, Any]) -> str:
    floats = [v.dtype.name for v in inputs.values() if isinstance(v, np.ndarray) and v.dtype.kind == "f"]
    return floats[0] if floats else "float16"


def _result_type(expected: Any, float_type: str) -> str:
    if isinstance(expected, tuple):
        return f"({', '.join(_result_type(item, float_type) for item in expected)})"
    if not isinstance(expected, np.ndarray | np.generic):
        return {bool: "bool", int: "int", float: "float", str: "string"}[type(expected)]
    array = np.asarray(expected)
    name = float_type if array.dtype.kind == "f" else array.dtype.name
    assert name in ELEMENT_TYPES, f"the reference gives {array.dtype}"
    return f"{name}[{', '.join(map(str, array.shape))}]"


def numpy_dtype(element: ElementType) -> str:
    """The NumPy type in which references compute values of an element type."""
    return "float64" if element.kind == "float" else element.name


def compare(actual: Any, expected: Any, tolerance: float, what: str) -> None:
    """Shapes and kinds equal; floats within the tolerance, which is float16's for float16; the rest exactly."""
    if isinstance(expected, tuple):
        assert len(actual) == len(expected), what
        for a, e in zip(actual, expected, strict=True):
            compare(a, e, tolerance, what)
        return
    if not isinstance(actual, mx.array):
        assert type(actual) is type(expected), what
        assert actual == expected or math.isclose(actual, expected, rel_tol=tolerance) or _are_nan(actual, expected), (
            f"{what}: {actual} instead of {expected}"
        )
        return
    array = np.asarray(expected)
    half = actual.dtype in (mx.float16, mx.bfloat16)
    made = np.array(actual.astype(mx.float32) if half else actual)
    assert made.shape == array.shape, f"{what}: {made.shape} instead of {array.shape}"
    assert made.dtype.kind == array.dtype.kind, f"{what}: {actual.dtype} instead of {array.dtype}"
    if array.dtype.kind == "f":
        tolerance = max(tolerance, HALF_TOLERANCE) if half else tolerance
        if math.isinf(tolerance):
            return
        np.testing.assert_allclose(made, array, rtol=tolerance, atol=tolerance, err_msg=what)
    else:
        np.testing.assert_array_equal(made, array, err_msg=what)


def _are_nan(*numbers: Any) -> bool:
    return all(isinstance(number, float) and math.isnan(number) for number in numbers)
