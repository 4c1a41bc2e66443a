"""Well-typed programs with one or two things broken: the text of the source, or the arguments of the call.

Edits are made on the text, so that whatever a person may mistype can come out: another dim, another number, an item
of a list left out, doubled or exchanged, another operator, another element type, a statement gone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from hypothesis import strategies as st

from tests.properties.programs import Argument, Array, Program, programs


@dataclass(frozen=True)
class Edit:
    """`text` in the place of what stands from `start` to `end`."""

    start: int
    end: int
    text: str


NUMBER = re.compile(r"(?<![\w.])-?\d+(?![\w.])")
DIM = re.compile(r"\b(?:[A-Z])\b|\?(?!\w)")
VALUE = re.compile(r"\b(?:v\d+|[abklwxyz])\b(?!\s*:)")
ELEMENT = re.compile(r"\bfloat16\b|\bfloat32\b|\bint32\b|\bbool\b")
OPERATOR = re.compile(r" (?:[-+*/@<&|]|<=|==) ")
PIECES = (".T", "axis: ", "keepdims: true", "where ", " % 2 == 0", " <= N", "...", "none", " + 1", ":")
WORDS = ("sum", "mean", "softmax", "reshape", "concat", "stack", "transpose", "relu", "unsqueeze", "squeeze", "repeat")


def edits(source: str) -> list[Edit]:
    """All that can be broken in a source. Conditions of `while` are left as they are, so that every loop ends."""
    kept = [match.span() for match in re.finditer(r"^.*\bwhile\b.*$|^.*let \w+ = 0$|^struct[^}]*}", source, re.M)]
    found = [*_words(source), *_lists(source), *_lines(source)]
    return [e for e in found if not any(start < e.end and e.start < end for start, end in kept)]


def _words(source: str) -> Iterator[Edit]:
    dims = sorted({*DIM.findall(source), "2", "7"})
    values = sorted(set(VALUE.findall(source)))
    for match in NUMBER.finditer(source):
        yield from (_instead(match, str(int(match[0]) + change)) for change in (1, -1, 3))
    for match in DIM.finditer(source):
        yield from (_instead(match, other) for other in [*dims, f"{match[0]} + 1", f"2*{match[0]}"])
    for match in VALUE.finditer(source):
        yield from (_instead(match, other) for other in [*values, f"{match[0]}.T", f"{match[0]}[0]"])
    for match in ELEMENT.finditer(source):
        yield from (_instead(match, other) for other in ("float16", "float32", "int32", "bool"))
    for match in OPERATOR.finditer(source):
        yield from (_instead(match, f" {other} ") for other in ("+", "@", "<", "&", "/"))
    for piece in PIECES:
        yield from (Edit(m.start(), m.end(), "") for m in re.finditer(re.escape(piece), source))
    for match in re.finditer(rf"\b({'|'.join(WORDS)})\(", source):
        yield from (_instead(match, f"{other}(") for other in WORDS)


def _instead(match: re.Match[str], text: str) -> Edit:
    return Edit(match.start(), match.end(), text)


def _lists(source: str) -> Iterator[Edit]:
    """Items between brackets: one left out, doubled, or exchanged with the next."""
    for opened, closed in _brackets(source):
        items = _items(source, opened + 1, closed)
        texts = [source[a:b].strip() for a, b in items]
        if not any(texts):
            continue
        for i in range(len(texts)):
            left = [*texts[:i], *texts[i + 1 :]]
            doubled = [*texts[:i], texts[i], *texts[i:]]
            exchanged = [*texts[:i], *reversed(texts[i : i + 2]), *texts[i + 2 :]]
            yield from (Edit(opened + 1, closed, ", ".join(changed)) for changed in (left, doubled, exchanged))


def _brackets(source: str) -> Iterator[tuple[int, int]]:
    opened: list[int] = []
    for place, character in enumerate(source):
        if character in "([":
            opened.append(place)
        elif character in ")]":
            yield opened.pop(), place


def _items(source: str, start: int, end: int) -> list[tuple[int, int]]:
    """The places of what commas part between brackets, outside of inner ones."""
    found, depth, begin = [], 0, start
    for place in range(start, end):
        character = source[place]
        depth += (character in "([{") - (character in ")]}")
        if character == "," and depth == 0:
            found.append((begin, place))
            begin = place + 1
    return [*found, (begin, end)]


def _lines(source: str) -> Iterator[Edit]:
    """A statement gone."""
    yield from (Edit(m.start(), m.end(), "") for m in re.finditer(r"^    .*\n", source, re.M))


# --- arguments


def _changed(argument: Argument) -> list[Argument]:
    """Arguments that are nearly this one."""
    match argument:
        case Array(element, shape):
            longer = [replace(argument, shape=(*shape[:i], n + 1, *shape[i + 1 :])) for i, n in enumerate(shape)]
            empty = [replace(argument, shape=(*shape[:i], 0, *shape[i + 1 :])) for i in range(len(shape))]
            fewer = [replace(argument, shape=(*shape[:i], *shape[i + 1 :])) for i in range(len(shape))]
            others = [Array(e, shape) for e in ("float16", "float32", "int32") if e != element]
            return [*longer, *empty, *fewer, replace(argument, shape=(1, *shape)), *others]
        case int():
            return [argument + 1, argument + 5, 0, -1]
    return [replace(argument, inputs=argument.inputs + 1), replace(argument, outputs=argument.outputs + 1)]


# --- programs


@st.composite
def damaged(draw: st.DrawFn) -> Program:
    """A program with something broken. What it returns, if anything, is not known here."""
    program: Program = draw(programs())
    breaks: list[Callable[[], Program]] = [
        lambda: _edited(draw, program),
        lambda: _edited(draw, _edited(draw, program)),
        lambda: _called_otherwise(draw, program),
    ]
    return draw(st.sampled_from(breaks))()


def _edited(draw: st.DrawFn, program: Program) -> Program:
    found = edits(program.source)
    if not found:
        return program
    edit = draw(st.sampled_from(found))
    return replace(program, source=program.source[: edit.start] + edit.text + program.source[edit.end :])


def _called_otherwise(draw: st.DrawFn, program: Program) -> Program:
    name = draw(st.sampled_from(sorted(program.arguments)))
    changed = draw(st.sampled_from(_changed(program.arguments[name])))
    return replace(program, arguments={**program.arguments, name: changed})
