"""Well-typed programs with one or two things broken: the text of the source, or the arguments of the call.

Edits are made on the text, so that whatever a person may mistype can come out: another dim, another number, an item
of a list left out, doubled or exchanged, another operator, another element type, a statement gone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from hypothesis import strategies as st

from tests.properties.arguments import STRANGERS, Argument, Array, Layer, Several, Stranger
from tests.properties.declared import refitted
from tests.properties.programs import Program, programs


@dataclass(frozen=True)
class Edit:
    """`text` in the place of what stands from `start` to `end`."""

    start: int
    end: int
    text: str


NUMBER = re.compile(r"(?<![\w.])-?\d+(?![\w.])")
DIM = re.compile(r"\b(?:[A-Z])\b|\?(?!\w)")
VALUE = re.compile(r"\b(?:v\d+|[abkluwxyz])\b(?!\s*:)")
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
        yield from (_instead(match, str(number)) for n in [int(match[0])] for number in (n + 1, n - 1, n + 3, -n))
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
    for names in (WORDS, tuple(re.findall(r"^fn (\w+)", source, re.M))):
        for match in re.finditer(rf"(?<!fn )\b({'|'.join(names)})\(", source):
            yield from (_instead(match, f"{other}(") for other in names)
    for pattern in re.finditer(r'"[^"]*->[^"]*"', source):
        places = range(pattern.start() + 1, pattern.end() - 1)
        yield from (Edit(place, place + 1, other) for place in places for other in ("a", "b", "1", "..", ""))
    for field in re.finditer(r"(?<=\.)(?:first|rest|scale|extra|weight|bias|shape|A|C)\b", source):
        yield from (_instead(field, other) for other in ("first", "rest", "scale", "extra", "shape", "size", "C"))


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
    """Arguments that are nearly this one, and some that are nothing like it."""
    others: list[Argument] = [*map(Stranger, STRANGERS), None, 2, Array("float16", ()), Several(())]
    match argument:
        case Array():
            return [*_changed_array(argument), *others]
        case int():
            return [argument + 1, argument + 5, 0, -1, *others]
        case Layer(inputs, outputs):
            return [replace(argument, inputs=inputs + 1), replace(argument, outputs=outputs + 1), *others]
        case Several((*items, last)):
            changed = [Several((*items, item)) for item in _changed_array(last)]
            return [Several(tuple(items)), Several((*items, last, last)), *changed, *others]
    return others


def _changed_array(array: Array) -> list[Array]:
    """Sizes changed, left out, added; other element types; what NumPy and Python have."""
    sizes = array.shape
    longer = [replace(array, shape=(*sizes[:i], n + 1, *sizes[i + 1 :])) for i, n in enumerate(sizes)]
    empty = [replace(array, shape=(*sizes[:i], 0, *sizes[i + 1 :])) for i in range(len(sizes))]
    fewer = [replace(array, shape=(*sizes[:i], *sizes[i + 1 :])) for i in range(len(sizes))]
    elements = [replace(array, element=e) for e in ("float16", "float32", "int32", "bool") if e != array.element]
    forms = [replace(array, form=form) for form in ("numpy", "list")]
    return [*longer, *empty, *fewer, replace(array, shape=(1, *sizes)), *elements, *forms]


# --- programs


@st.composite
def damaged(draw: st.DrawFn) -> Program:
    """A program with something broken. What it returns, if anything, is not known here."""
    program: Program = draw(programs())
    how = draw(st.sampled_from(("once", "twice", "refitted", "refitted", "called")))
    if how == "called":
        return _called_otherwise(draw, program)
    broken = _edited(draw, _edited(draw, program) if how == "twice" else program)
    return refitted(broken) if how == "refitted" else broken


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
