"""The tree as text, for `tlc compile --emit ast` and for tests: one node a line, indented below its parent."""

from __future__ import annotations

from typing import Any

from tensorlogic.compiler.syntax import nodes
from tensorlogic.compiler.syntax.walk import parts


def dump(node: nodes.Node, *, places: bool = False) -> str:
    """A node and all below it. Two trees dump alike exactly when they say the same; `places` adds lines and columns."""
    lines: list[str] = []
    _dump(node, "", 0, places, lines)
    return "\n".join(lines) + "\n"


def _dump(node: nodes.Node, label: str, indent: int, places: bool, lines: list[str]) -> None:
    simple: list[str] = []
    nested: list[tuple[str, Any]] = []
    for name in parts(node):
        value = getattr(node, name)
        if isinstance(value, nodes.Identifier) and not places:
            simple.append(f"{name}={value.name}")
        elif isinstance(value, nodes.Node) or (isinstance(value, tuple) and value):
            nested.append((name, value))
        elif value is not None and value != ():
            simple.append(f"{name}={value!r}")
    where = f" @{node.span.line}:{node.span.column}" if places else ""
    lines.append("  " * indent + label + type(node).__name__ + where + "".join(f" {part}" for part in simple))
    for name, value in nested:
        if isinstance(value, nodes.Node):
            _dump(value, f"{name}: ", indent + 1, places, lines)
            continue
        lines.append("  " * (indent + 1) + f"{name}:")
        for item in value:
            if isinstance(item, nodes.Node):
                _dump(item, "", indent + 2, places, lines)
            else:
                lines.append("  " * (indent + 2) + repr(item))
