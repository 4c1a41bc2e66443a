"""What MLX and Python raise while a program runs, told in the program's terms: the one place that knows them.

A checked program never fails on a shape, but its recursion may not end, its numbers may leave what MLX can hold, and
the machine's memory may be too small. `explained` takes such an exception and gives the `TensorLogicError` to raise in
its place, with the `.tl` line: TL5009 for recursion, TL5010 for the rest. For anything else, which no program should be
able to cause, it gives None, and the exception goes on as it is.

The `.tl` line is what the emitted line that failed says of itself, or else the function's first line.
"""

from __future__ import annotations

import functools
import linecache
import re
import sys
from collections.abc import Callable, Iterator
from types import FrameType, TracebackType
from typing import ParamSpec, TypeVar

from tensorlogic.runtime.errors import BoundaryError, TensorLogicError
from tensorlogic.runtime.origins import told_of

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")
_PLACE = re.compile(r"""#\s+(\S.*?\.tl:\d+)\s*$|"([^"]*\.tl:\d+)\"""")
_TOO_LARGE = re.compile(r"exceed|too large|outside the supported range|bad_cast", re.IGNORECASE)
_OF_SHAPES = frozenset({"TL5001", "TL5003", "TL5005", "TL5006"})
"""The checks whose error also says what a model file has, where a tensor of one takes part."""
_LARGEST_INT = 2**31 - 1
_CYCLE = 100
"""How many of the innermost calls are read for the functions that call each other."""


def entry(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """A function of an emitted module that is called from outside, whose failures are explained."""

    @functools.wraps(function)
    def called(*arguments: Parameters.args, **named: Parameters.kwargs) -> Result:
        try:
            return function(*arguments, **named)
        except Exception as problem:
            file = function.__code__.co_filename
            told = explained(problem, file)
            place = "" if told is not None else _place(problem.__traceback__, file)
            if place:
                # A bug of ours: its report says where the program was.
                problem.add_note(f"it happened while {place} ran")
            if told is None or told is problem:
                raise
            raise told from None

    return called


def explained(problem: Exception, file: str) -> TensorLogicError | None:
    """What to raise instead of an exception that came out of the emitted module `file`; None for a bug of ours."""
    if isinstance(problem, TensorLogicError):
        problem.where = problem.where or _place(problem.__traceback__, file)
        if problem.code in _OF_SHAPES:
            for frame, line in list(_frames(problem.__traceback__, file))[-1:]:
                problem.notes = (*problem.notes, *told_of(frame, line))
        return problem
    if isinstance(problem, RecursionError):
        return _endless(problem.__traceback__, file)
    message = _message(problem, file)
    if message is None:
        return None
    return BoundaryError("TL5010", message, where=_place(problem.__traceback__, file))


def _message(problem: Exception, file: str) -> str | None:
    text = str(problem).partition("\n")[0].partition(";")[0]
    if isinstance(problem, MemoryError):
        return "the machine has too little memory for this"
    if isinstance(problem, OverflowError) or (
        isinstance(problem, ValueError | RuntimeError) and _TOO_LARGE.search(text)
    ):
        return f"a number or a size is too large: {text}"
    if isinstance(problem, TypeError) and "incompatible function arguments" in text:
        # MLX's functions refuse in this way a number that their C++ parameter cannot hold.
        large = next(_large_numbers(problem.__traceback__, file), None)
        return None if large is None else f"a number is too large: `{large[0]}` is {large[1]}"
    if isinstance(problem, RuntimeError) and not isinstance(problem, NotImplementedError):
        return f"MLX failed: {text}"
    return None


def _large_numbers(trace: TracebackType | None, file: str) -> Iterator[tuple[str, str]]:
    """The variables of the emitted calls that failed whose numbers are above MLX's ints, and those numbers."""
    for frame, _ in _frames(trace, file):
        for name, value in frame.f_locals.items():
            if isinstance(value, int) and abs(value) > _LARGEST_INT:
                # Python shows no number of more than some thousand digits.
                yield name, str(value) if value.bit_length() < 128 else f"about 2 to the {value.bit_length()}"


def _endless(trace: TracebackType | None, file: str) -> BoundaryError:
    functions = [place for frame, _ in _frames(trace, file) if (place := _of_line(file, frame.f_code.co_firstlineno))]
    cycle = sorted(set(functions[-_CYCLE:]), key=functions[::-1].index)
    notes = [f"the functions of {' and '.join(cycle)} call each other"] if len(cycle) > 1 else []
    return BoundaryError(
        "TL5009",
        f"calls of functions are nested more deeply than Python allows, which is {sys.getrecursionlimit()} calls",
        where=cycle[0] if cycle else "",
        notes=notes,
        helps=["let the recursion end sooner, or write it as a loop"],
    )


def _place(trace: TracebackType | None, file: str) -> str:
    """The `.tl` line of the innermost emitted call in a traceback."""
    found = ""
    for frame, line in _frames(trace, file):
        found = _of_line(file, line) or _of_line(file, frame.f_code.co_firstlineno) or found
    return found


def _frames(trace: TracebackType | None, file: str) -> Iterator[tuple[FrameType, int]]:
    """The calls of an emitted module's functions in a traceback, the outermost first, and the line of each."""
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == file:
            yield trace.tb_frame, trace.tb_lineno
        trace = trace.tb_next


def _of_line(file: str, line: int) -> str:
    """The `.tl` line of an emitted line; of a statement over several lines, its first may say it."""
    text = linecache.getline(file, line)
    match = _PLACE.search(text)
    if match is not None:
        return match.group(1) or match.group(2)
    depth = _indentation(text)
    while line > 1 and text.strip() and _indentation(text) >= depth:
        line -= 1
        text = linecache.getline(file, line)
    opens = text.partition("#")[0].rstrip().endswith(("(", "[", "{"))
    return _of_line(file, line) if opens and _indentation(text) < depth else ""


def _indentation(text: str) -> int:
    return len(text) - len(text.lstrip())
