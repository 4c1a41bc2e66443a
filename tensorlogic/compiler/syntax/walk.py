"""Walks a tree without knowing each kind of node: for dumps, and for the limit on nesting."""

from __future__ import annotations

from typing import Any

from tensorlogic.compiler.syntax import nodes


def parts(node: nodes.Node) -> list[str]:
    """The names of a node's fields that say what was written: all but spans."""
    names: tuple[str, ...] = type(node).__match_args__
    return [name for name in names if not name.endswith("span")]


def children(node: nodes.Node) -> list[nodes.Node]:
    """The nodes directly below a node, in the order of the fields."""
    values: list[Any] = [getattr(node, name) for name in parts(node)]
    items = [item for value in values for item in (value if isinstance(value, tuple) else (value,))]
    return [item for item in items if isinstance(item, nodes.Node)]


def is_nested_deeper(node: nodes.Node, limit: int) -> bool:
    """Whether expressions, types or a chain of `else if` below a node nest deeper than `limit`.

    Other blocks are not looked into: their statements are asked about one by one, when they are made.
    """
    level = [node]
    for _ in range(limit):
        level = [child for parent in level for child in children(parent) if not _is_other_block(child)]
        if not level:
            return False
    return True


def nest_deeper(node: nodes.Node, kinds: tuple[type[nodes.Node], ...], limit: int) -> bool:
    """Whether nodes of these kinds stand in one another, the node itself among them, more than `limit` deep."""
    level = [node]
    for _ in range(limit + 1):
        level = [inner for outer in level for inner in _nearest(outer, kinds)]
        if not level:
            return False
        level = [child for found in level for child in children(found)]
    return True


def _nearest(node: nodes.Node, kinds: tuple[type[nodes.Node], ...]) -> list[nodes.Node]:
    """The nodes of these kinds that stand in a node and in no other of them; the node itself if it is one."""
    found: list[nodes.Node] = []
    pending = [node]
    while pending:
        node = pending.pop()
        if isinstance(node, kinds):
            found.append(node)
        else:
            pending += children(node)
    return found


def _is_other_block(node: nodes.Node) -> bool:
    if not isinstance(node, nodes.Block):
        return False
    return len(node.statements) != 1 or not isinstance(node.statements[0], nodes.If)
