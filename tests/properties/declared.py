"""What a program's text says of its entry: what it takes, and what it returns for given arguments.

It is read off the tree, without the checker.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from tensorlogic.compiler.source import Source
from tensorlogic.compiler.syntax import nodes, parse
from tests.properties.arguments import Argument, Array, Layer, Several, Stranger
from tests.properties.programs import Program


def parameters(source: str) -> list[str]:
    """The names of the entry's parameters."""
    entry = _entry(source)
    assert entry is not None
    return [p.name.name for p in entry.parameters]


def refitted(program: Program) -> Program:
    """The program with arguments that fit what its entry's types say now, as far as that is known here."""
    entry = _entry(program.source)
    if entry is None:
        return program
    arguments = dict(program.arguments)
    for parameter in entry.parameters:
        name = parameter.name.name
        if name in arguments:
            arguments[name] = _refitted(parameter.type, arguments[name], program)
    return replace(program, arguments=arguments)


def _refitted(type: nodes.TypeExpression, argument: Argument, program: Program) -> Argument:
    match type, argument:
        case nodes.OptionalType(item=item), Array():
            return _refitted(item, argument, program)
        case nodes.ListType(item=item), Several(items):
            made = [_refitted(item, one, program) for one in items]
            return Several(tuple(one for one in made if isinstance(one, Array)))
        case nodes.NamedType(name=element, dims=dims), Array() if dims is not None:
            sizes: list[int] = []
            for dim in dims:
                if isinstance(dim, nodes.Pack):
                    sizes += program.packs.get(dim.name.name, ()) if dim.name is not None else (2,)
                else:
                    sizes.append(max(0, _number(dim, program.numbers) or 2))
            known = element.name if element.name in ("float16", "float32", "int32", "bool") else argument.element
            return replace(argument, element=known, shape=tuple(sizes))
    return argument


def fits_declaration(source: str, arguments: Mapping[str, Argument], results: Sequence[Array]) -> bool:
    """Whether the results are what the entry declares. Dims that no argument tells directly may be anything."""
    entry = _entry(source)
    assert entry is not None
    numbers: dict[str, int] = {}
    packs: dict[str, tuple[int, ...]] = {}
    for parameter in entry.parameters:
        _read(parameter.type, parameter.name.name, arguments[parameter.name.name], numbers, packs)
    declared = entry.result.items if isinstance(entry.result, nodes.TupleType) else (entry.result,)
    return len(declared) == len(results) and all(
        _fits(type, result, numbers, packs) for type, result in zip(declared, results, strict=True)
    )


def _fits(
    declared: nodes.TypeExpression | None,
    result: Array,
    numbers: Mapping[str, int],
    packs: Mapping[str, tuple[int, ...]],
) -> bool:
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


def _entry(source: str) -> nodes.FunctionDeclaration | None:
    """The function `f`; None where the text cannot be read."""
    tree, problems = parse(Source("program.tl", source))
    entries = [d for d in tree.declarations if isinstance(d, nodes.FunctionDeclaration) and d.name.name == "f"]
    return entries[0] if entries and not problems else None


def _read(
    type: nodes.TypeExpression,
    name: str,
    argument: Argument,
    numbers: dict[str, int],
    packs: dict[str, tuple[int, ...]],
) -> None:
    """What an argument tells about the names in its parameter's type."""
    if isinstance(argument, Several) and isinstance(type, nodes.ListType):
        for item in argument.items:
            _read(type.item, name, item, numbers, packs)
        return
    if argument is None or isinstance(argument, Stranger):
        return
    if isinstance(type, nodes.OptionalType):
        type = type.item
    assert isinstance(type, nodes.NamedType)
    dims = list(type.dims or ())
    if isinstance(argument, int):
        numbers[name] = argument
        return
    sizes = _sizes(argument)
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


def _sizes(argument: Array | Layer | Several) -> list[int]:
    if isinstance(argument, Layer):
        return [argument.inputs, argument.outputs]
    if isinstance(argument, Several):
        # As a tensor, a list of nothing is an empty vector.
        assert not argument.items
        return [0]
    return list(argument.shape)


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
