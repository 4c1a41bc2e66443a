"""Random well-typed programs with arguments to call them with, and the shapes that they are to return.

A program has an entry `f`, functions that it calls, and a struct. Parameters come first, with sizes of every kind that
language.md has; then each statement makes a value of what is there; the last is returned, and its type declared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from tests.properties.arguments import Argument, Array, Layer, Several
from tests.properties.functions import Function, called, functions
from tests.properties.kinds import KINDS
from tests.properties.scope import NotApplicable, Scope, Tensor, half_of
from tests.properties.sizes import ONE, Shape, Size, named, shape, size
from tests.properties.structures import declarations

RESULTS = 4
"""How many values the entry returns, at most."""

CONSTANT = "const WIDTH = 2\n"
STRUCT = """\
struct Dense[I, O] {
    weight: float16[O, I]
    bias: float16[O]?
}

fn dense(l: Dense[I, O], x: float16[...B, I]) -> float16[...B, O] {
    if l.bias != none { return x @ l.weight.T + l.bias }
    return x @ l.weight.T
}
"""


@dataclass(frozen=True)
class Program:
    """A source whose entry is `f`, the arguments of one call, and the types of what it returns.

    `numbers` and `packs` are what the entry's dims and packs are in that call.
    """

    source: str
    arguments: Mapping[str, Argument]
    expected: tuple[Array, ...]
    numbers: Mapping[str, int]
    packs: Mapping[str, tuple[int, ...]]

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """How Hypothesis shows a failing program: as its source."""
        printer.text(repr(self))

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}: {argument}" for name, argument in self.arguments.items())
        return f"\n{self.source}\n// f({arguments}) is {', '.join(map(str, self.expected))}"


@dataclass
class _Entry:
    """The entry being written: its parameters, facts and the arguments of the call."""

    scope: Scope
    parameters: list[str]
    arguments: dict[str, Argument]
    where: list[str]
    packs: dict[str, tuple[int, ...]]

    def tensor(self, name: str, sizes: Sequence[tuple[str, Size]], element: str, pack: str | None = None) -> None:
        """A parameter whose dims are written so."""
        made = Shape(pack, tuple(n for _, n in sizes))
        dims = ([f"...{pack}"] if pack is not None else []) + [text for text, _ in sizes]
        self.parameters.append(f"{name}: {element}[{', '.join(dims)}]")
        self.arguments[name] = Array(element, made.concrete(self.scope.numbers, self.packs))
        self.scope.values.append(Tensor(name, element, made))

    def optional(self, name: str, sizes: Sequence[tuple[str, Size]], element: str) -> None:
        """A parameter that may be `none`, and a variable to which it is added where it is not."""
        s = self.scope
        made, dims = shape(*(n for _, n in sizes)), ", ".join(text for text, _ in sizes)
        self.parameters.append(f"{name}: {element}[{dims}]?")
        self.arguments[name] = Array(element, made.concrete(s.numbers, {})) if s.chance() else None
        sum = s.fresh()
        s.lines += [f"let {sum} = ones([{dims}], dtype: {element})", f"if {name} != none {{ {sum} = {sum} + {name} }}"]
        s.values.append(Tensor(sum, element, made))

    def list(self, name: str, sizes: Sequence[tuple[str, Size]], element: str) -> None:
        """A parameter that is a list of tensors, and a variable that adds them up."""
        s = self.scope
        made, dims = shape(*(n for _, n in sizes)), ", ".join(text for text, _ in sizes)
        count = s.number(0, 3)
        self.parameters.append(f"{name}: [{element}[{dims}]]")
        self.arguments[name] = Several((Array(element, made.concrete(s.numbers, {})),) * count)
        length, sum, item = s.fresh(), s.fresh(), s.fresh()
        s.numbers[length] = count
        s.loose.add(length)
        s.ints[length] = named(length)
        s.lines += [
            f"let {length} = len({name})",
            f"let {sum} = ones([{dims}], dtype: {element})",
            f"for {item} in {name} {{ {sum} = {sum} * 0.5 + {item} }}",
        ]
        s.values.append(Tensor(sum, element, made))
        if count:
            s.values.append(Tensor(f"{name}[{s.number(0, count - 1)}]", element, made))


@st.composite
def programs(draw: st.DrawFn) -> Program:
    """Well-typed programs."""
    helpers = draw(functions())
    entry = _Entry(Scope(draw), [], {}, [], {})
    _dims(entry)
    _ints(entry)
    _tensors(entry)
    has_struct = draw(st.booleans()) and _layer(entry)
    scope = entry.scope
    calls = tuple(called(helper) for helper in helpers)
    scope.write([*KINDS, calls, calls] if calls else KINDS)
    results = _results(scope)
    where = f" where {' and '.join(entry.where)}" if entry.where else ""
    types, texts = ", ".join(map(scope.type, results)), ", ".join(value.text for value in results)
    several = len(results) > 1
    head = f"fn f({', '.join(entry.parameters)}) -> {f'({types})' if several else types}{where}"
    scope.lines.append(f"return ({texts})" if several else f"return {texts}")
    lines = "\n".join(f"    {line}" for line in scope.lines)
    parts = [CONSTANT] if "WIDTH" in head + lines else []
    parts += [STRUCT] if has_struct else []
    parts += _used(helpers, lines)
    parts += declarations("\n".join([*parts, lines]))
    expected = tuple(Array(v.element, v.shape.concrete(scope.numbers, entry.packs)) for v in results)
    source = "\n".join([*parts, f"{head} {{\n{lines}\n}}\n"])
    numbers = {name: n.value(scope.numbers) for name, n in scope.names.items()}
    return Program(source, entry.arguments, expected, numbers, entry.packs)


def _results(s: Scope) -> list[Tensor]:
    """What the entry returns: the last value, and some others, so that what they are is seen as well."""
    others = [s.pick(s.values) for _ in range(s.number(0, RESULTS - 1))]
    return [s.values[-1], *others]


def _used(helpers: Sequence[Function], lines: str) -> list[str]:
    """The functions that a body calls, and those that these call."""
    used: list[str] = []
    for helper in reversed(helpers):
        if f"{helper.name}(" in "\n".join([lines, *used]):
            used.append(helper.source)
    return used


# --- parameters of the entry


def _dims(entry: _Entry) -> None:
    """Dims with numbers for the call: plain ones, an even one, one that is a multiple, one that is not larger."""
    s = entry.scope
    if s.chance():
        s.names["WIDTH"] = size(2)
    for name in ("N", "M", "D")[: s.number(1, 3)]:
        s.names[name] = named(name)
        s.numbers[name] = s.number(1, 4)
    kind = s.pick(("none", "half", "multiple", "smaller"))
    if kind == "half":
        half = half_of("L")
        s.names["L"], s.names["L/2"] = half * 2, half
        s.numbers[str(half)] = s.number(1, 3)
        entry.where.append("L % 2 == 0")
    elif kind == "multiple":
        s.names["E"] = named("N") * 2
        entry.where.append("E == 2*N")
    elif kind == "smaller":
        s.names["P"] = named("P")
        s.numbers["P"] = s.number(1, s.numbers["N"])
        s.bounds.append((named("P"), named("N")))
        entry.where.append("P <= N")


def _ints(entry: _Entry) -> None:
    """An `int` that is a number only, and one that a dim is a multiple of."""
    s = entry.scope
    if s.chance():
        entry.parameters.append("k: int")
        entry.arguments["k"] = s.numbers["k"] = s.number(1, 3)
        s.names["k"] = named("k")
        s.loose.add("k")
    if s.number(0, 3) == 0:
        entry.parameters.append("H: int")
        entry.arguments["H"] = s.numbers["H"] = s.number(1, 3)
        s.numbers["K"] = s.number(1, 3)
        s.names["H"], s.names["K"] = named("H"), named("K")
        s.loose.add("H")
        entry.tensor("heads", [("N", named("N")), ("H*K", named("H") * named("K"))], "float16")


def _tensors(entry: _Entry) -> None:
    """Parameters that name every dim, then some more: with packs, unknown sizes, literals, sums, integer tensors."""
    s = entry.scope
    dims = [(name, n) for name, n in s.names.items() if name not in ("k", "H", "K", "L/2", "WIDTH")]
    entry.tensor("x", [*dims], "float16") if len(dims) <= 4 else None
    for name in ("y", "z", "w")[: s.number(0, 3)]:
        choices = [*dims, ("2", size(2)), ("1", ONE)]
        choices += [(f"{text} + 1", n + 1) for text, n in dims]
        sizes = [s.pick(choices) for _ in range(s.number(0, 3))]
        element = s.pick(("float16", "float16", "float32"))
        kind = s.pick(("plain", "pack", "unknown", "named unknown", "ids", "optional", "list"))
        if kind == "pack":
            entry.packs.setdefault("B", tuple(s.number(1, 3) for _ in range(s.number(0, 2))))
            entry.tensor(name, sizes[:2], element, "B")
        elif kind == "optional":
            entry.optional(name, sizes, element)
        elif kind == "list":
            entry.list(name, sizes, element)
        elif kind == "unknown":
            atom = f"{name}.shape[0]"
            s.numbers[atom] = s.number(1, 3)
            s.loose.add(atom)
            entry.tensor(name, [("?", named(atom)), *sizes[:2]], element)
        elif kind == "named unknown":
            s.numbers.setdefault("S", s.number(1, 3))
            s.loose.add("S")
            s.names["S"] = named("S")
            entry.tensor(name, [("?S", named("S")), *sizes[:2]], element)
        else:
            entry.tensor(name, sizes, "int32" if kind == "ids" else element)


def _layer(entry: _Entry) -> bool:
    """A parameter of a struct, applied to a tensor whose last dim fits; whether there is such a tensor."""
    s = entry.scope
    try:
        x = s.floats(lambda a: a.rank >= 1 and a.sizes[-1].atom in ("N", "M", "D"))
    except NotApplicable:
        return False
    if x.element != "float16":
        return False
    inputs = x.shape.sizes[-1]
    outputs, text = s.pick([(named("N"), "N"), (size(3), "3")])
    entry.parameters.append(f"layer: Dense[{inputs}, {text}]")
    entry.arguments["layer"] = Layer(inputs.value(s.numbers), outputs.value(s.numbers), s.chance())
    s.values.append(Tensor("layer.weight", "float16", shape(outputs, inputs)))
    result = x.shape.with_size(-1, outputs)
    s.keep(Tensor(s.pick((f"dense(layer, {x.text})", f"layer.dense({x.text})")), "float16", result))
    return True
