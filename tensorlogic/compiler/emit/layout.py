"""Long lines of emitted code, broken as a formatter would.

`wrapped` takes one statement on one line and gives it on several where it is too long for one: what stands in its
outermost brackets goes to a line of its own where that fits, else to one line an item. A line without brackets is left
as it is.
"""

from __future__ import annotations

import re

LONGEST = 120
_STRING = re.compile(r'[fr]?"(?:[^"\\]|\\.)*"|[fr]?\'(?:[^\'\\]|\\.)*\'')
_CLOSING = {"(": ")", "[": "]", "{": "}"}


def wrapped(line: str, comment: str = "") -> list[str]:
    """The lines of a statement; a comment stands at the end of the first."""
    remark = f"  # {comment}" if comment else ""
    if len(line) + len(remark) <= LONGEST:
        return [line + remark]
    parts = _outermost(line)
    if parts is None:
        return [line + remark] if len(line) > LONGEST else [line]
    head, items, tail, trailing = parts
    space = " " * (len(line) - len(line.lstrip()) + 4)
    together = space + ", ".join(items)
    if len(together) <= LONGEST:
        inner = [together]
    elif len(items) == 1 and (loop := _loop_of(items[0])) > 0:
        inner = [*wrapped(space + items[0][:loop]), *wrapped(space + items[0][loop + 1 :])]
    else:
        ends = [","] * (len(items) - 1) + ["," if trailing else ""]
        inner = [text for item, end in zip(items, ends, strict=True) for text in wrapped(space + item + end)]
    first = head + remark if len(head) + len(remark) <= LONGEST else head
    return [first, *inner, *wrapped(space[4:] + tail)]


def without_strings(text: str) -> str:
    """The text without what its string literals say; expressions in f-strings are kept."""
    return _STRING.sub(lambda found: found.group() if found.group().startswith("f") else '""', text)


def _outermost(line: str) -> tuple[str, list[str], str, bool] | None:
    """A line as what opens its longest outermost bracket, the items in it, and what closes it.

    The last tells whether a comma may follow the last item: in a call, and where a comma stands already.
    """
    best: tuple[int, int] | None = None
    depth, start = 0, 0
    for position, character in _code(line):
        if character in "([{":
            if depth == 0:
                start = position
            depth += 1
        elif character in ")]}":
            depth -= 1
            if depth == 0 and (best is None or position - start > best[1] - best[0]):
                best = (start, position)
    if best is None or best[1] - best[0] < 2:
        return None
    start, end = best
    items = _items(line[start + 1 : end])
    called = start > 0 and (line[start - 1].isidentifier() or line[start - 1] in ")]") and line[start] == "("
    generates = len(items) == 1 and _loop_of(items[0]) > 0
    trailing = (called and not generates) or len(items) > 1
    return line[: start + 1], items, line[end:], trailing


def _loop_of(text: str) -> int:
    """Where the `for` of a generator begins that stands in no bracket; -1 where there is none."""
    depth = 0
    for position, character in _code(text):
        depth += (character in "([{") - (character in ")]}")
        if depth == 0 and text.startswith(" for ", position):
            return position
    return -1


def _items(text: str) -> list[str]:
    items: list[str] = []
    depth, start = 0, 0
    for position, character in _code(text):
        if character in "([{":
            depth += 1
        elif character in ")]}":
            depth -= 1
        elif character == "," and depth == 0:
            items.append(text[start:position].strip())
            start = position + 1
    rest = text[start:].strip()
    return [*items, rest] if rest else items


def _code(text: str) -> list[tuple[int, str]]:
    """The characters with their positions, those in string literals left out."""
    found: list[tuple[int, str]] = []
    position = 0
    while position < len(text):
        literal = _STRING.match(text, position)
        if literal is not None and (position == 0 or not text[position - 1].isalnum()):
            position = literal.end()
            continue
        found.append((position, text[position]))
        position += 1
    return found
