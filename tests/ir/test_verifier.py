"""The verifier: each of its rules refuses a function that was broken by hand, and accepts it whole."""

from __future__ import annotations

import pytest

from tensorlogic.compiler import driver
from tensorlogic.compiler.dims import Polynomial
from tensorlogic.compiler.ir.core import Function, Operation, Region, Value
from tensorlogic.compiler.ir.verifier import VerificationError, verify
from tensorlogic.compiler.source import Source, Span
from tensorlogic.compiler.types import BOOLEAN, INT, FunctionType, RangeType, Type

PLACE = Span(Source("broken.tl", "fn f(n: int) -> int { return n }"), 0, 2)


def value(type: Type = INT) -> Value:
    return Value(type)


def operation(
    name: str, operands: tuple[Value, ...] = (), results: tuple[Value, ...] = (), *regions: Region
) -> Operation:
    return Operation(name, operands, results, {}, regions, PLACE)


def region(*operations: Operation, arguments: tuple[Value, ...] = ()) -> Region:
    return Region(arguments, operations)


def function(*operations: Operation, parameters: tuple[Value, ...] = ()) -> Function:
    named = tuple((f"p{i}", v) for i, v in enumerate(parameters))
    return Function("f", named, INT, region(*operations, arguments=parameters), {}, PLACE)


def returning(v: Value) -> Operation:
    return operation("return", (v,))


def refused(broken: Function, message: str) -> None:
    with pytest.raises(VerificationError, match=message) as raised:
        verify(broken, "the test")
    assert str(raised.value).startswith("f after the test: ")


def test_a_sound_function() -> None:
    n, doubled = value(), value()
    verify(function(operation("host.add", (n, n), (doubled,)), returning(doubled), parameters=(n,)))


def test_what_the_checker_makes_is_sound() -> None:
    text = """
    fn f(x: float16[N], n: int) -> float16[?] {
        let y: float16[?] = x
        for i in 0..n { if i == 3 { break }; if i == 1 { continue }; y = concat([y, x]) }
        while y.shape[0] > 9 { y = y[1:y.shape[0]] }
        let g: fn(float16[]) -> float16[] = |v| v * 2
        return y * g(x[0])
    }
    """
    assert "for" in driver.compile_text(text, options=driver.Options(verify=True)).ir


# --- values


def test_an_operand_that_nothing_defines() -> None:
    refused(function(returning(value())), r"an operand is not visible at return \(.*1.*\)")


def test_an_operand_before_its_definition() -> None:
    n, one = value(), value()
    add, constant = operation("host.add", (one, one), (n,)), operation("constant", (), (one,))
    verify(function(constant, add, returning(n)))
    refused(function(add, constant, returning(n)), "an operand is not visible at host.add")


def test_an_operand_from_inside_a_region() -> None:
    condition, inner = value(BOOLEAN), value()
    then = region(operation("constant", (), (inner,)), operation("yield"))
    choice = operation("if", (condition,), (), then, region(operation("yield")))
    refused(function(choice, returning(inner), parameters=(condition,)), "an operand is not visible at return")


def test_an_operand_from_the_other_branch() -> None:
    condition, inner, result = value(BOOLEAN), value(), value()
    then = region(operation("constant", (), (inner,)), operation("yield", (inner,)))
    choice = operation("if", (condition,), (result,), then, region(operation("yield", (inner,))))
    refused(function(choice, returning(result), parameters=(condition,)), "an operand is not visible at yield")


def test_a_value_that_is_defined_twice() -> None:
    n = value()
    twice = operation("constant", (), (n,)), operation("constant", (), (n,))
    refused(function(*twice, returning(n)), "a value is defined twice at constant")


def test_a_value_that_two_branches_define() -> None:
    condition, inner = value(BOOLEAN), value()
    branch = region(operation("constant", (), (inner,)), operation("yield"))
    choice = operation("if", (condition,), (), branch, branch)
    refused(function(choice, returning(condition), parameters=(condition,)), "a value is defined twice")


def test_a_parameter_that_is_defined_again() -> None:
    n = value()
    refused(function(operation("constant", (), (n,)), returning(n), parameters=(n,)), "a value is defined twice")


def test_parameters_that_are_not_the_bodys_arguments() -> None:
    n, other = value(), value()
    refused(Function("f", (("n", n),), INT, region(returning(other), arguments=(other,)), {}, PLACE), "arguments")


# --- terminators


def test_a_region_without_an_end() -> None:
    n = value()
    refused(function(operation("constant", (), (n,))), "a region has no terminator")
    refused(function(), "a region has no terminator")


def test_a_branch_without_an_end() -> None:
    condition = value(BOOLEAN)
    choice = operation("if", (condition,), (), region(operation("yield")), region())
    refused(function(choice, returning(condition), parameters=(condition,)), "a region has no terminator")


def test_something_after_the_end() -> None:
    n = value()
    refused(
        function(returning(n), operation("constant", (), (value(),)), parameters=(n,)),
        "something follows the end of a region at return",
    )


def test_something_after_an_if_that_ends_on_both_sides() -> None:
    condition, n = value(BOOLEAN), value()
    choice = operation("if", (condition,), (), region(returning(n)), region(returning(n)))
    verify(function(choice, parameters=(condition, n)))
    refused(function(choice, returning(n), parameters=(condition, n)), "something follows the end of a region at if")


@pytest.mark.parametrize("given", [0, 2])
def test_branches_that_yield_another_number_of_values(given: int) -> None:
    condition, n, result = value(BOOLEAN), value(), value()

    def choosing(count: int) -> Function:
        branches = (region(operation("yield", (n,))), region(operation("yield", (n,) * count)))
        choice = operation("if", (condition,), (result,), *branches)
        return function(choice, returning(result), parameters=(condition, n))

    verify(choosing(1))
    refused(choosing(given), f"yields {given} values, not 1 at yield")


def test_a_function_value_yields_one_value() -> None:
    kind = FunctionType((INT,), INT)

    def lambda_of(count: int) -> Function:
        n, made = value(), value(kind)
        inner = region(operation("yield", (n,) * count), arguments=(n,))
        return function(operation("lambda", (), (made,), inner), returning(made))

    verify(lambda_of(1))
    refused(lambda_of(0), "yields 0 values, not 1")


# --- loops


def counting(
    *end: Operation, given: int = 1, taken: int = 1, results: int = 1, carried: Value | None = None
) -> Function:
    """A `for` that carries a number; its body is the end, or yields what is carried."""
    numbers, n, i = value(RangeType(Polynomial.of(0), Polynomial.of(3))), value(), value()
    inner = [carried or value() for _ in range(taken)]
    after = tuple(value() for _ in range(results))
    body = region(*(end or (operation("yield", tuple(inner)),)), arguments=(i, *inner))
    loop = operation("for", (numbers, *(n,) * given), after, body)
    return function(loop, returning(n), parameters=(numbers, n))


def test_a_for_carries_what_it_is_given() -> None:
    verify(counting())
    verify(counting(given=0, taken=0, results=0))
    refused(counting(given=0), "carries 0 values, not 1 at for")
    refused(counting(given=2), "carries 2 values, not 1 at for")
    refused(counting(operation("yield", ()), taken=0), "the body takes too few values at for")
    refused(counting(results=0, given=0), "yields 1 values, not 0 at yield")


@pytest.mark.parametrize("name", ["break", "continue"])
def test_leaving_a_loop_hands_on_what_it_carries(name: str) -> None:
    carried, condition = value(), value(BOOLEAN)

    def leaving(count: int) -> Function:
        leave = region(operation(name, (carried,) * count))
        body = (
            operation("constant", (), (condition,)),
            operation("if", (condition,), (), leave, region(operation("yield"))),
            operation("yield", (carried,)),
        )
        return counting(*body, carried=carried)

    verify(leaving(1))
    refused(leaving(0), f"hands on 0 values, not 1 at {name}")
    refused(leaving(2), f"hands on 2 values, not 1 at {name}")


@pytest.mark.parametrize("name", ["break", "continue"])
def test_leaving_a_loop_that_is_not_there(name: str) -> None:
    refused(function(operation(name)), f"stands outside a loop at {name}")
    made = value(FunctionType((), INT))
    inside = operation("lambda", (), (made,), region(operation(name)))
    refused(counting(inside, operation("yield"), given=0, taken=0, results=0), f"stands outside a loop at {name}")


def test_a_while_carries_what_it_is_given() -> None:
    def waiting(given: int = 1, taken: int = 1, conditions: int = 1, yielded: int = 1) -> Function:
        n, after, truth = value(), value(), value(BOOLEAN)
        now = tuple(value() for _ in range(taken))
        condition = region(
            operation("constant", (), (truth,)), operation("yield", (truth,) * conditions), arguments=now
        )
        body = region(operation("yield", (now[0],) * yielded))
        return function(operation("while", (n,) * given, (after,), condition, body), returning(after), parameters=(n,))

    verify(waiting())
    refused(waiting(given=2), "carries 2 values, not 1 at while")
    refused(waiting(taken=2), "carries 2 arguments of its condition, not 1 at while")
    refused(waiting(conditions=2), "yields 2 values, not 1 at yield")
    refused(waiting(yielded=0), "yields 0 values, not 1 at yield")


# --- operations


def test_an_operation_that_nobody_knows() -> None:
    n = value()
    refused(function(operation("conjure", (), (n,)), returning(n)), "unknown operation conjure")


def test_an_operation_with_a_region_that_it_has_no_use_for() -> None:
    n = value()
    odd = operation("host.add", (n, n), (value(),), region(operation("yield")))
    refused(function(odd, returning(n), parameters=(n,)), "no regions are expected at host.add")
