"""What constants and structs need of one another, and so the order in which they are read.

Takes a declaration. Promises those that it needs and that are not read yet, each after what it needs itself, however
long the chain; and the circles among them, which nobody can read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tensorlogic.compiler.names import ConstantSymbol, ModuleSymbol, StructSymbol
from tensorlogic.compiler.syntax import nodes
from tensorlogic.compiler.syntax.walk import children

Declared = ConstantSymbol | StructSymbol


def in_order(symbol: Declared, known: Callable[[Declared], bool]) -> tuple[list[Declared], list[list[Declared]]]:
    """The declarations to read, the needed ones first, `symbol` the last; and the circles, each from its first."""
    order: list[Declared] = []
    circles: list[list[Declared]] = []
    met = {symbol}
    path = [symbol]
    open_needs = [_needs(symbol)]
    while path:
        needed = next((d for d in open_needs[-1] if not known(d)), None)
        if needed is None:
            order.append(path.pop())
            open_needs.pop()
        elif needed in path:
            circles.append(path[path.index(needed) :])
        elif needed not in met:
            met.add(needed)
            path.append(needed)
            open_needs.append(_needs(needed))
    return order, circles


def _needs(symbol: Declared) -> Iterator[Declared]:
    """The constants and structs that a declaration names."""
    scope = symbol.module.scope
    pending: list[nodes.Node] = [symbol.node]
    while pending:
        node = pending.pop()
        named = None
        match node:
            case nodes.Name(name=name) | nodes.NamedType(name=nodes.Identifier(name=name)):
                named = scope.get(name)
            case nodes.Attribute(value=nodes.Name(name=name), name=attribute):
                module = scope.get(name)
                named = module.module.scope.get(attribute.name) if isinstance(module, ModuleSymbol) else None
        if isinstance(named, ConstantSymbol | StructSymbol):
            yield named
        pending.extend(children(node))


__all__ = ["Declared", "in_order"]
