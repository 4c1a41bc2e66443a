"""What a program's text says that its entry returns, for given arguments: read off the tree, without the checker."""

from __future__ import annotations

from collections.abc import Mapping

from tensorlogic.compiler.source import Source
from tensorlogic.compiler.syntax import nodes, parse
from tests.properties.programs import Argument, Array, Layer


def parameters(source: str) -> list[str]:
    """The names of the entry's parameters."""
    return [p.name.name for p in _entry(source).parameters]


def fits_declaration(source: str, arguments: Mapping[str, Argument], result: Array) -> bool:
    """Whether a result is what the entry declares. Dims that no argument tells directly may be anything."""
    entry = _entry(source)
    numbers: dict[str, int] = {}
    packs: dict[str, tuple[int, ...]] = {}
    for parameter in entry.parameters:
        _read(parameter.type, parameter.name.name, arguments[parameter.name.name], numbers, packs)
    declared = entry.result
    assert isinstance(declared, nodes.NamedType)
    assert declared.dims is not None
    wanted: list[int | None] = []
    for dim in declared.dims:
        if isinstance(dim, nodes.Pack):
            assert dim.name is not None
            wanted += packs[dim.name.name]
        else:
            wanted.append(_number(dim, numbers))
    same = len(wanted) == len(result.shape) and all(
        w is None or w == found for w, found in zip(wanted, result.shape, strict=True)
    )
    return same and declared.name.name == result.element


def _entry(source: str) -> nodes.FunctionDeclaration:
    tree, problems = parse(Source("program.tl", source))
    assert not problems
    (entry,) = [d for d in tree.declarations if isinstance(d, nodes.FunctionDeclaration) and d.name.name == "f"]
    return entry


def _read(
    type: nodes.TypeExpression,
    name: str,
    argument: Argument,
    numbers: dict[str, int],
    packs: dict[str, tuple[int, ...]],
) -> None:
    """What an argument tells about the names in its parameter's type."""
    assert isinstance(type, nodes.NamedType)
    dims = list(type.dims or ())
    if isinstance(argument, int):
        numbers[name] = argument
        return
    sizes = [argument.inputs, argument.outputs] if isinstance(argument, Layer) else list(argument.shape)
    if dims and isinstance(dims[0], nodes.Pack):
        pack = dims.pop(0)
        assert isinstance(pack, nodes.Pack)
        split = len(sizes) - len(dims)
        if pack.name is not None:
            packs[pack.name.name] = tuple(sizes[:split])
        sizes = sizes[split:]
    for dim, number in zip(dims, sizes, strict=True):
        match dim:
            case nodes.Name(name=written) | nodes.UnknownDim(name=nodes.Identifier(name=written)):
                numbers[written] = number


def _number(dim: nodes.Dim, numbers: Mapping[str, int]) -> int | None:
    """What a dim is, None where that is not known here."""
    match dim:
        case nodes.IntegerLiteral(value=value):
            return value
        case nodes.Name(name=name) | nodes.UnknownDim(name=nodes.Identifier(name=name)):
            return numbers.get(name)
        case nodes.Binary(operator=operator, left=left, right=right):
            a, b = _number(left, numbers), _number(right, numbers)
            if a is None or b is None:
                return None
            return {"+": a + b, "-": a - b, "*": a * b, "/": a // b if b else 0}[operator]
    return None
