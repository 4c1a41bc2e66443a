"""The patterns of `rearrange` and `einsum`, read and checked while compiling.

A pattern names the dims of its operands and of its result: `"b n (h k) -> b h n k"`. A side is a list of groups; a
group is a name, names in parentheses (a product, the last name fastest), `1`, or `...` for the dims that are not named.
Notation after A. Rogozhnikov, "Einops", ICLR 2022. Everything wrong in a pattern is TL3014, told in its own words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NoReturn

from tensorlogic.compiler.dims import Polynomial, product
from tensorlogic.compiler.ops.broadcast import labels, name_of
from tensorlogic.compiler.ops.rule import Application, Argument, divisibly
from tensorlogic.compiler.ops.sizes import require_at_least
from tensorlogic.compiler.records import dataclass
from tensorlogic.compiler.types import Element, IntType, Shape, TensorType, Type

Group = tuple[str, ...]
"""The names whose product a dim is; `()` for a dim of 1."""
Side = tuple[Group, ...]

REST: Group = ("...",)
"""The group that stands for all dims that are not named."""

_MOST_NAMES = 32
"""MLX runs out of letters at 50, of which dims that `...` stands for take their share."""

_TOKEN = re.compile(r"\s*(->|\.\.\.|[(),]|\w+|\S)")


class PatternError(Exception):
    """What is wrong with a pattern, in words."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern as written: the operands' sides, and the result's."""

    operands: tuple[Side, ...]
    result: Side


# --- reading


def parse(text: str) -> Pattern:
    """Read a pattern. Raises PatternError."""
    tokens: list[str] = _TOKEN.findall(text.rstrip())
    if tokens.count("->") != 1:
        raise PatternError("a pattern has one `->`")
    at = tokens.index("->")
    operands: list[list[str]] = [[]]
    for token in tokens[:at]:
        if token == ",":
            operands.append([])
        else:
            operands[-1].append(token)
    return Pattern(tuple(_side(o) for o in operands), _side(tokens[at + 1 :]))


def _side(tokens: list[str]) -> Side:
    groups: list[Group] = []
    inside: list[str] | None = None
    for token in tokens:
        if token == "(" and inside is None:
            inside = []
        elif token == ")" and inside is not None:
            groups.append(tuple(inside))
            inside = None
        elif token == "..." and inside is not None:
            raise PatternError("`...` stands by itself, not inside parentheses")
        elif token == "..." and REST in groups:
            raise PatternError("`...` occurs once on a side")
        elif token == "...":
            groups.append(REST)
        elif token == "1" or token.isidentifier():
            names = [] if token == "1" else [token]
            if inside is None:
                groups.append(tuple(names))
            else:
                inside += names
        else:
            raise PatternError(f"`{token}` is out of place")
    if inside is not None:
        raise PatternError("a `(` is not closed")
    return tuple(groups)


def counted(count: int, noun: str) -> str:
    """`1 dim`, `2 dims`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def names_of(side: Side) -> list[str]:
    """The names of a side in their order."""
    return [name for group in side if group != REST for name in group]


def spread(side: Side, count: int) -> Side:
    """The side with `count` groups of one made-up name each in place of `...`."""
    made = tuple((f".{i}",) for i in range(count))
    return tuple(g for group in side for g in (made if group == REST else (group,)))


# --- rearrange


def rearrange_sides(pattern: Pattern, count: int) -> tuple[Side, Side]:
    """Both sides for a tensor with `count` known dims, without `...`. Raises PatternError."""
    if len(pattern.operands) != 1:
        raise PatternError("`rearrange` takes one tensor: there is no `,` in its pattern")
    before, after = pattern.operands[0], pattern.result
    for side in (before, after):
        names = names_of(side)
        twice = next((n for n in names if names.count(n) > 1), None)
        if twice is not None:
            raise PatternError(f"`{twice}` occurs twice on one side")
    lost = [n for n in names_of(before) if n not in names_of(after)]
    new = [n for n in names_of(after) if n not in names_of(before)]
    if lost:
        raise PatternError(f"`{lost[0]}` is missing after `->`")
    if new:
        raise PatternError(f"`{new[0]}` is missing before `->`")
    if (REST in before) != (REST in after):
        raise PatternError("`...` stands on both sides or on none")
    named = len(before) - (REST in before)
    if count < named or (count > named and REST not in before):
        raise PatternError(f"the pattern names {counted(named, 'dim')}, the tensor has {count}")
    return spread(before, count - named), spread(after, count - named)


def sizes_given(arguments: Mapping[str, Argument]) -> dict[str, Argument]:
    """The sizes that a `rearrange` gives by name."""
    return {name: argument for name, argument in arguments.items() if name not in ("operand", "pattern")}


def rearrange(app: Application) -> Type:
    """The products of the right side's names; at most one name in each group of the left is told by division."""
    x = app.tensor("operand")
    pattern = _pattern(app)
    if x.shape.pack is not None and not pattern.operands[0][:1] == pattern.result[:1] == (REST,):
        _refuse(app, f"`...` comes first on both sides: the tensor begins with `{x.shape.pack}`", [app["operand"]])
    try:
        before, after = rearrange_sides(pattern, len(x.shape.dims))
    except PatternError as error:
        _refuse(app, str(error), [app["operand"]])
    given = sizes_given(app.arguments)
    stray = next((name for name in given if name not in names_of(before)), None)
    if stray is not None:
        app.demands.fail("TL3014", f"the pattern has no dim `{stray}`", given[stray].span)
    for name, argument in given.items():
        if not isinstance(argument.type, IntType):
            app.demands.fail("TL2001", f"the size `{name}` is an int, not {argument.type}", argument.span)
    known = {name: require_at_least(app, name, 1) for name in given}
    for group, size in zip(before, x.shape.dims, strict=True):
        _bind(app, group, size, known)
    return TensorType(x.element, Shape(x.shape.pack, tuple(product(known[n] for n in g) for g in after)))


def _bind(app: Application, group: Group, size: Polynomial, known: dict[str, Polynomial]) -> None:
    """Find the one name of a group that is not known, or compare."""
    open_names = [name for name in group if name not in known]
    if len(open_names) > 1:
        together = "` and `".join(open_names)
        helps = [f"give the size of one by name, as in `{open_names[0]}: 4`"]
        _refuse(app, f"`{together}` cannot both be told from the dim {size}", [app["operand"]], helps)
    rest = product(known[name] for name in group if name in known)
    text = " ".join(group) or "1"

    def refuse() -> NoReturn:
        problem = f"is not {divisibly(size, rest)}divisible by {rest}" if open_names else f"is not {rest}"
        app.demands.fail(
            "TL3014",
            f"`{text}` in the pattern: the dim {size} {problem}",
            app["pattern"].span,
            others=labels([app["operand"]]),
        )

    if open_names:
        message = f"`{text}` in the pattern of `rearrange`: the dim {{0}} is not divisible by {{1}}"
        known[open_names[0]] = app.demands.require_divisible(size, rest, app["pattern"].span, message, refuse)
    else:
        message = f"`{text}` in the pattern of `rearrange`: the dim {{0}} is not {{1}}"
        app.demands.require_equal(size, rest, app["pattern"].span, message, refuse)


# --- einsum


def tensors_of(names: Mapping[str, object]) -> list[str]:
    """The names of an `einsum`'s tensors, which are numbers."""
    return [name for name in names if name.isdecimal()]


def einsum(app: Application) -> Type:
    """The dims that the result names; a name has one size wherever it stands, and nothing is broadcast."""
    pattern = _pattern(app)
    if app.given("tensors"):
        app.demands.fail(
            "TL2004",
            "`einsum` takes its tensors one by one",
            app["tensors"].span,
            helps=['`einsum("i j, j k -> i k", a, b)`'],
        )
    arguments = [app[name] for name in tensors_of(app.arguments)]
    tensors = [_einsum_operand(app, argument) for argument in arguments]
    if len(tensors) != len(pattern.operands):
        _refuse(app, f"the pattern has {counted(len(pattern.operands), 'operand')}, not {len(tensors)}", arguments)
    element = _element(app, arguments, tensors)
    try:
        _check_einsum(pattern)
    except PatternError as error:
        _refuse(app, str(error), arguments)
    sizes: dict[str, Polynomial] = {}
    rest: Shape | None = None
    for argument, tensor, side in zip(arguments, tensors, pattern.operands, strict=True):
        leading = _match(app, argument, tensor.shape, side, sizes)
        if REST in side:
            rest = leading if rest is None else _same_rest(app, argument, rest, leading)
    return TensorType(element, _einsum_result(app, pattern.result, sizes, rest))


def _einsum_operand(app: Application, argument: Argument) -> TensorType:
    app.known_rank(argument)
    if not isinstance(argument.type, TensorType):
        app.demands.fail("TL2001", f"`einsum` takes tensors, not {argument.type}", argument.span)
    return argument.type


def _element(app: Application, arguments: list[Argument], tensors: list[TensorType]) -> Element:
    element = tensors[0].element
    for argument, tensor in zip(arguments, tensors, strict=True):
        if tensor.element.kind != "float":
            app.demands.fail(
                "TL2003",
                f"`einsum` does not take tensors of {tensor.element}",
                argument.span,
                str(tensor),
                helps=["convert first: `.to(float32)`"] if tensor.element.kind != "any" else [],
            )
        if tensor.element != element:
            app.demands.fail(
                "TL2002",
                f"`einsum` of {element} and {tensor.element}",
                app.span,
                others=labels(arguments),
                notes=["element types are never changed without being asked to"],
                helps=["convert one of them: `.to(float32)`, `.to(float16)`"],
            )
    return element


def _check_einsum(pattern: Pattern) -> None:
    for side in (*pattern.operands, pattern.result):
        if any(len(group) != 1 for group in side):
            raise PatternError("the dims of `einsum` are plain names: use `rearrange` before or after it")
    names = names_of(pattern.result)
    twice = next((n for n in names if names.count(n) > 1), None)
    if twice is not None:
        raise PatternError(f"`{twice}` occurs twice after `->`")
    known = {n for side in pattern.operands for n in names_of(side)}
    new = next((n for n in names if n not in known), None)
    if new is not None:
        letters = any(len(name) > 1 and new in name for name in known)
        apart = ": names are separated by spaces, `i j, j -> i`" if letters else ""
        raise PatternError(f"`{new}` is missing before `->`{apart}")
    anywhere = any(REST in side for side in pattern.operands)
    if anywhere != (REST in pattern.result):
        raise PatternError("`...` stands on both sides or on none")
    if len(known) > _MOST_NAMES:
        raise PatternError(f"a pattern has at most {_MOST_NAMES} names")


def _match(app: Application, argument: Argument, shape: Shape, side: Side, sizes: dict[str, Polynomial]) -> Shape:
    """Give the names of an operand their sizes; gives the dims that `...` stands for."""
    named = len(side) - (REST in side)
    count = len(shape.dims)
    if shape.pack is not None and side[:1] != (REST,):
        _refuse(app, f"`...` comes first for {name_of(argument)}, which begins with `{shape.pack}`", [argument])
    if count < named or (count > named and REST not in side):
        _refuse(app, f"the pattern names {counted(named, 'dim')}, {name_of(argument)} has {count}", [argument])
    at = side.index(REST) if REST in side else 0
    rest = shape.dims[at : at + count - named]
    dims = shape.dims[:at] + shape.dims[at + count - named :]
    for name, size in zip(names_of(side), dims, strict=True):
        if name in sizes:
            _require_size(app, f"`{name}`", sizes[name], size, argument)
        else:
            sizes[name] = size
    return Shape(shape.pack, rest)


def _require_size(app: Application, what: str, p: Polynomial, q: Polynomial, argument: Argument) -> None:
    def refuse() -> NoReturn:
        _refuse(app, f"{what} is {p}, and {q} in {name_of(argument)}", [argument])

    message = f"{what} in the pattern of `einsum` is {{0}}, and {{1}} in {name_of(argument)}"
    app.demands.require_equal(p, q, app["pattern"].span, message, refuse)


def _same_rest(app: Application, argument: Argument, first: Shape, other: Shape) -> Shape:
    if first.pack is not other.pack or len(first.dims) != len(other.dims):
        _refuse(app, f"`...` is {first}, and {other} in {name_of(argument)}", [argument])
    for p, q in zip(first.dims, other.dims, strict=True):
        _require_size(app, "`...`", p, q, argument)
    return first


def _einsum_result(app: Application, side: Side, sizes: dict[str, Polynomial], rest: Shape | None) -> Shape:
    pack = rest.pack if rest is not None else None
    if pack is not None and side[0] != REST:
        _refuse(app, f"`...` comes first after `->`: it begins with `{pack}`", [])
    dims: list[Polynomial] = []
    for group in side:
        if group == REST:
            assert rest is not None
            dims += rest.dims
        else:
            dims.append(sizes[group[0]])
    return Shape(pack, tuple(dims))


def einsum_letters(pattern: Pattern) -> str:
    """The pattern as MLX reads it: a letter for each name, its own where it is one."""
    names = list(dict.fromkeys(name for side in pattern.operands for name in names_of(side)))
    letters = {name: name for name in names if len(name) == 1 and name.isascii() and name.isalpha()}
    free = _letters(set(letters.values()))
    for name in names:
        if name not in letters:
            letters[name] = next(free)

    def written(side: Side) -> str:
        return "".join("..." if group == REST else letters[group[0]] for group in side)

    return f"{','.join(written(side) for side in pattern.operands)}->{written(pattern.result)}"


def _letters(taken: set[str]) -> Iterator[str]:
    for code in (*range(ord("a"), ord("z") + 1), *range(ord("A"), ord("Z") + 1)):
        if chr(code) not in taken:
            yield chr(code)


# --- both


def _pattern(app: Application) -> Pattern:
    try:
        return parse(app.constant_string("pattern"))
    except PatternError as error:
        _refuse(app, str(error), [])


def _refuse(app: Application, problem: str, operands: list[Argument], helps: list[str] | None = None) -> NoReturn:
    app.demands.fail("TL3014", problem, app["pattern"].span, others=labels(operands), helps=helps or [])
