"""The runtime's functions copied into a module that needs MLX alone.

Takes the names of the functions that emitted code calls. Gives the text of one function that defines them, with
everything of the runtime's own files that they use in turn, and returns them as a namespace: so emitted code calls
`tl.array` as it does elsewhere, and no name of the program can stand in their way. The files are read as text, since
the compiler imports nothing of the runtime. What needs models is refused before (`emit/mlx.py`).
"""

from __future__ import annotations

import ast
import sys
import textwrap
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tensorlogic.compiler.records import dataclass

RUNTIME = Path(__file__).resolve().parent.parent.parent / "runtime"
FILES = (
    "errors",
    "device",
    "losses",
    "outside",
    "packs",
    "failures",
    "sizes",
    "unpacked",
    "boundary",
    "functions",
    "functions_host",
    "functions_shape",
    "functions_neural",
    "functions_sampling",
    "digits",
    "show",
    "values",
    "console",
    "script",
)
"""The runtime's files whose functions stand alone, each after those that it needs while it is read."""
INSTEAD = {"packed": "unpacked", "functions_kernels": "unpacked"}
STANDARD_LIBRARY = sys.stdlib_module_names

Key = tuple[str, str]
"""A file and a name that it defines."""


@dataclass(frozen=True)
class _Definition:
    text: str
    uses: frozenset[Key]
    imports: frozenset[str]


@cache
def _definitions() -> dict[Key, _Definition]:
    """Every top-level definition of those files, in order."""
    found: dict[Key, _Definition] = {}
    for file in FILES:
        text = (RUNTIME / f"{file}.py").read_text(encoding="utf-8")
        tree = ast.parse(text)
        lines = text.splitlines()
        imported, own = dict(_imports(tree)), {name for node in tree.body for name in _defined(node)}
        for node in tree.body:
            for name in _defined(node):
                used = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)} - {name}
                keys = {(file, u) for u in used & own} | {k for u in used if isinstance(k := imported.get(u), tuple)}
                imports = {i for u in used if isinstance(i := imported.get(u), str)}
                found[file, name] = _Definition(_text(node, lines), frozenset(keys), frozenset(imports))
    return found


def _text(node: ast.stmt, lines: list[str]) -> str:
    """A definition's source without what it imports of the runtime."""
    decorators = getattr(node, "decorator_list", [])
    first = min([node.lineno, *(d.lineno for d in decorators)])
    left_out = {
        line
        for inner in ast.walk(node)
        if isinstance(inner, ast.ImportFrom) and (inner.module or "").startswith("tensorlogic")
        for line in range(inner.lineno, (inner.end_lineno or inner.lineno) + 1)
    }
    assert node.end_lineno is not None
    return "\n".join(lines[i - 1] for i in range(first, node.end_lineno + 1) if i not in left_out)


def _defined(node: ast.stmt) -> Iterator[str]:
    match node:
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.Assign(targets=targets):
            yield from (t.id for t in targets if isinstance(t, ast.Name))
        case ast.AnnAssign(target=ast.Name(id=name)):
            yield name


def _imports(tree: ast.Module) -> Iterator[tuple[str, str | Key]]:
    """What imported names stand for: a definition of the runtime, or the statement that imports them."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                for alias in names:
                    text = f"import {alias.name}" + (f" as {alias.asname}" if alias.asname else "")
                    yield (alias.asname or alias.name).split(".")[0], text
            case ast.ImportFrom(module=str(module), names=names):
                for alias in names:
                    assert alias.asname is None, "the runtime's files import names as they are"
                    file = module.removeprefix("tensorlogic.runtime.")
                    if file == module:
                        yield alias.name, f"from {module} import {alias.name}"
                    else:
                        yield alias.name, (INSTEAD.get(file, file), alias.name)


def source(names: list[str]) -> list[str]:
    """The lines of the function that defines the runtime's functions of these names, and of its call."""
    table = _definitions()
    exported = {name: _exported(name) for name in names}
    wanted: set[Key] = set()
    pending = list(exported.values())
    while pending:
        key = pending.pop()
        if key not in wanted and key in table:
            wanted.add(key)
            pending += table[key].uses
    chosen = [key for key in table if key in wanted]
    assert len({name for _, name in chosen}) == len(chosen), "two files of the runtime define one name"
    imports = sorted({i for key in chosen for i in table[key].imports if i != "import mlx.core as mx"})
    lines = ["def _runtime() -> types.SimpleNamespace:"]
    lines += ['    """What the functions of this module need of TensorLogic\'s runtime."""']
    lines += [f"    {i}" for i in imports if not i.startswith("from __future__") and "_typeshed" not in i]
    for key in chosen:
        lines += ["", *textwrap.indent(table[key].text, "    ").splitlines()]
    pairs = [f"{name}={own}" for name, (_, own) in sorted(exported.items())]
    lines += ["", "    return types.SimpleNamespace(", *(f"        {pair}," for pair in pairs), "    )"]
    return [*lines, "", "", "tl = _runtime()"]


def _exported(name: str) -> Key:
    """What the runtime gives under a name."""
    if name == "shown":
        return "show", "show"
    found = [key for key in _definitions() if key[1] == name]
    assert len(found) == 1 or name == "select", f"the runtime has no one {name} that stands alone"
    return found[-1]
