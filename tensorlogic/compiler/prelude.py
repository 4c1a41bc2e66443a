"""The prelude, of which a run parses only the functions that the program uses.

Its text is paragraphs: comments, or one function with its doc comment. Promises a module whose scope holds every
function by its name; the declarations of one are parsed when somebody asks for them.
"""

from __future__ import annotations

import re
from functools import cache, partial

from tensorlogic.compiler.names import PRELUDE, FileModule, FunctionSymbol
from tensorlogic.compiler.source import Source, Span
from tensorlogic.compiler.syntax import nodes, parse

_PARAGRAPH = re.compile(r"(?:[^\n]+\n)+")
_FUNCTION = re.compile(r"^(?:builtin )?fn (\w+)", re.MULTILINE)


@cache
def prelude() -> FileModule:
    """The prelude's file and its names."""
    source = Source("prelude.tl", PRELUDE.read_text(encoding="utf-8"), "prelude.tl")
    tree = nodes.Module(Span(source, 0, len(source.text)), (), (), None)
    module = FileModule(PRELUDE, "prelude", source, tree)
    places: dict[str, list[tuple[int, int]]] = {}
    for paragraph in _PARAGRAPH.finditer(source.text):
        function = _FUNCTION.search(source.text, *paragraph.span())
        if function is not None:
            places.setdefault(function[1], []).append(paragraph.span())
    for name, parts in places.items():
        module.scope[name] = FunctionSymbol(module, name, partial(_declarations, source, parts))
    return module


def _declarations(source: Source, parts: list[tuple[int, int]]) -> tuple[nodes.FunctionDeclaration, ...]:
    """The functions that stand in these parts of the text."""
    found: list[nodes.FunctionDeclaration] = []
    for part in parts:
        tree, problems = parse(source, prelude=True, part=part)
        assert not problems, f"the prelude does not parse: {problems[0].message}"
        (declaration,) = tree.declarations
        assert isinstance(declaration, nodes.FunctionDeclaration)
        found.append(declaration)
    return tuple(found)
