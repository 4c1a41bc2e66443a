"""Runtime functions copied into a module that needs MLX alone.

Takes the names of the functions that emitted code calls. Gives their source text, with everything of the runtime's own
files that they use in turn, read from those files as text. Refuses nothing: functions that need files of the runtime
are refused before (`emit/mlx.py`).
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

RUNTIME = Path(__file__).resolve().parent.parent.parent / "runtime"
FILES = (
    "errors",
    "device",
    "boundary",
    "functions",
    "functions_host",
    "functions_neural",
    "functions_shape",
    "values",
    "show",
    "digits",
)
"""The runtime's files whose functions stand alone: they use MLX, the standard library and each other."""
STANDARD_LIBRARY = sys.stdlib_module_names


@dataclass(frozen=True)
class Helpers:
    """The text of the helpers, and the imports that it needs."""

    lines: list[str]
    imports: set[str]


@dataclass(frozen=True)
class _Definition:
    text: str
    uses: frozenset[str]
    imports: frozenset[str]
    order: int


@cache
def _definitions() -> dict[str, _Definition]:
    """Every top-level definition of those files, by name."""
    found: dict[str, _Definition] = {}
    order = 0
    for name in FILES:
        path = RUNTIME / f"{name}.py"
        if not path.is_file():
            continue
        text = path.read_text(encoding="utf-8")
        tree = ast.parse(text)
        lines = text.splitlines()
        imported = dict(_imports(tree))
        for node in tree.body:
            order += 1
            for defined in _defined(node):
                first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
                source = "\n".join(lines[first - 1 : node.end_lineno])
                used = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
                used |= {
                    n.value.id for n in ast.walk(node) if isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name)
                }
                imports = frozenset(imported[u] for u in used if u in imported)
                found[defined] = _Definition(source, frozenset(used - {defined}), imports, order)
    return found


def _defined(node: ast.stmt) -> Iterator[str]:
    match node:
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.Assign(targets=targets):
            yield from (t.id for t in targets if isinstance(t, ast.Name))
        case ast.AnnAssign(target=ast.Name(id=name)):
            yield name


def _imports(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                for alias in names:
                    text = f"import {alias.name}" + (f" as {alias.asname}" if alias.asname else "")
                    yield (alias.asname or alias.name).split(".")[0], text
            case ast.ImportFrom(module=module, names=names) if module and not module.startswith("tensorlogic"):
                for alias in names:
                    text = f"from {module} import {alias.name}" + (f" as {alias.asname}" if alias.asname else "")
                    yield alias.asname or alias.name, text


def sources(names: list[str]) -> Helpers:
    """The definitions of these names and of all they use, in the order of the files."""
    table = _definitions()
    wanted: dict[str, _Definition] = {}
    pending = list(names)
    while pending:
        name = pending.pop()
        if name in wanted or name not in table:
            assert name in table, f"the runtime has no {name} that stands alone"
            continue
        wanted[name] = table[name]
        pending += [u for u in table[name].uses if u in table]
    lines: list[str] = []
    imports: set[str] = set()
    for definition in sorted(wanted.values(), key=lambda d: d.order):
        lines += ["", *definition.text.splitlines(), ""]
        imports |= {i for i in definition.imports if i != "from __future__ import annotations"}
    return Helpers(lines, imports - {"import mlx.core as mx"})
