"""A struct as a frozen dataclass that validates its fields once, when it is made.

Its dims are attributes too. `bind` fills it from a model file by its fields' keys.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tensorlogic.compiler.dims import Polynomial, over_names
from tensorlogic.compiler.emit.elements import Given, read_elements
from tensorlogic.compiler.emit.identifiers import Identifiers, attribute
from tensorlogic.compiler.emit.layout import wrapped
from tensorlogic.compiler.emit.literals import dtype_name, hint, string, tuple_of
from tensorlogic.compiler.emit.naming import where
from tensorlogic.compiler.ir.core import Function, Region
from tensorlogic.compiler.types import (
    ElementVariable,
    ListType,
    OptionalType,
    StructDefinition,
    StructType,
    TensorType,
    Type,
)

if TYPE_CHECKING:
    from tensorlogic.compiler.emit.mlx import Emitter


def struct_lines(emitter: Emitter, definition: StructDefinition, constructor: Function) -> list[str]:
    """The class. `constructor` returns the accepted fields, then the dims, as a tuple."""
    from tensorlogic.compiler.emit.mlx import docstring

    names = emitter.names
    own = names.structs[definition]
    shown = (definition.node.documentation or f"`{definition.name}`: {_title(definition)}.").splitlines()
    lines = ["@dataclass(frozen=True, eq=False, kw_only=True)", f"class {own}:", *docstring(shown, 1), ""]
    if own != definition.name:
        lines += [f"    _name = {string(definition.name)}", ""]
    if definition in emitter.program.joined:
        groups = [tuple_of([string(attribute(n)) for n in group]) for group in emitter.program.joined[definition]]
        lines += [f"    _joined = {tuple_of(groups)}  # products of one left side, which `bind` makes one", ""]
    lines += [
        _field_line(name, t, hint(t, names.structs, packed=not names.standalone))
        for name, t in definition.fields.items()
    ]
    given = [n for n, _ in constructor.parameters if n not in definition.fields]
    for dim in definition.dims:
        lines.append(f"    {attribute(dim.name)}: int = field({'' if dim.name in given else 'init=False, '}repr=False)")
    for element in definition.elements:
        lines.append(f"    {attribute(element.name)}: mx.Dtype = field(init=False, repr=False)")
    lines += ["", "    def __post_init__(self) -> None:"]
    local = Identifiers(frozenset({*names.structs.values(), *names.functions.values(), "self"}))
    parameters = tuple((value, f"self.{attribute(name)}") for name, value in constructor.parameters)
    elements, first = _elements(emitter, definition, local)
    setting = _setting(constructor, definition)
    body = emitter.body(setting, emitter.naming(elements), local)
    body.indent = 2
    lines += [*first, *body.write(setting.body, parameters)]
    if not names.standalone:
        lines += _bind_lines(emitter, definition, own)
    return lines


def _field_line(name: str, t: Type, hinted: str) -> str:
    own = attribute(name)
    options = ["default=None"] if isinstance(t, OptionalType) else []
    if own != name:
        options.append(f'metadata={{"name": {string(name)}}}')
    default = " = None" if options == ["default=None"] else f" = field({', '.join(options)})" if options else ""
    return f"    {own}: {hinted}{default}  # {t}"


def _setting(constructor: Function, definition: StructDefinition) -> Function:
    """The constructor, which sets the struct's fields and dims instead of returning them."""
    *operations, gathered, end = constructor.body.operations
    assert (gathered.name, end.name) == ("tuple", "return")
    assert end.operands == gathered.results
    names = (*definition.fields, *(d.name for d in definition.dims))
    setting = replace(gathered, name="set_fields", attributes={"names": names})
    return replace(constructor, body=Region(constructor.body.arguments, (*operations, setting)))


def _title(definition: StructDefinition) -> str:
    dims = ", ".join(d.name for d in definition.dims)
    return f"{definition.name}[{dims}]" if dims else definition.name


def _elements(
    emitter: Emitter, definition: StructDefinition, local: Identifiers
) -> tuple[dict[ElementVariable, str], list[str]]:
    """The struct's type parameters, read off its fields."""
    o, place = emitter.naming({}), where(definition.node.span)
    given = [Given(t, f"self.{attribute(n)}", f"{definition.name}.{n}") for n, t in definition.fields.items()]
    sources = read_elements(o, given, place)
    found: dict[ElementVariable, str] = {}
    lines: list[str] = []
    for element in definition.elements:
        own = found[element] = local.take(element.name)
        lines += wrapped(f"        {own} = {sources[element]}")
        lines.append(f"        {o.runtime('set_fields')}(self, {attribute(element.name)}={own})")
    return found, lines


def _bind_lines(emitter: Emitter, definition: StructDefinition, own: str) -> list[str]:
    """The class method `bind`, and the table of keys that it follows."""
    rows = [_row(emitter, name, t, definition.keys[name]) for name, t in definition.fields.items()]
    return [
        "",
        "    @staticmethod",
        "    def _model_fields() -> tuple[tl.Field, ...]:",
        f'        """Where a model file holds the fields of `{definition.name}`."""',
        "        return (",
        *(f"            {row}," for row in rows),
        "        )",
        "",
        "    @classmethod",
        f'    def bind(cls, model: tl.Model, prefix: str = "", **dims: int) -> {own}:',
        f'        """`{definition.name}` filled from a model by its keys below `prefix`; dims by name."""',
        "        return tl.bind(cls, model, prefix, dims)",
    ]


def _row(emitter: Emitter, name: str, t: Type, keys: tuple[str, ...]) -> str:
    optional = isinstance(t, OptionalType)
    inner = t.item if isinstance(t, OptionalType) else t
    listed = isinstance(inner, ListType)
    if isinstance(inner, ListType):
        inner = inner.item
    kind = emitter.names.structs[inner.definition] if isinstance(inner, StructType) else "None"
    quoted = f"({', '.join(string(k) for k in keys)},)"
    extra = "" if kind == "None" else f", struct={kind}"
    if isinstance(inner, TensorType):
        variable = isinstance(inner.element, ElementVariable)
        extra = f", dtype={string(inner.element.name) if variable else dtype_name(inner.element)}"
        if inner.shape.pack is None:
            extra += f", shape={tuple_of([_over_dims(size) for size in inner.shape.dims])}"
    if isinstance(inner, StructType):
        extra += _dims(inner)
    extra += (", listed=True" if listed else "") + (", optional=True" if optional else "")
    return f"tl.Field({string(attribute(name))}, {quoted}{extra})"


def _dims(t: StructType) -> str:
    """The dims of a struct in this one, over the dims of this one."""
    pairs = [
        f"({string(attribute(own.name))}, {_over_dims(size)})"
        for own, size in zip(t.definition.dims, t.dims, strict=True)
    ]
    return f", dims={tuple_of(pairs)}" if pairs else ""


def _over_dims(size: Polynomial) -> str:
    """A dim over the attributes of the struct's class; None for what only the constructor compares."""
    over = over_names(size)
    if isinstance(over, str):
        return string(attribute(over))
    if not isinstance(over, dict):
        return str(over)
    products = [
        f"({''.join(f'{string(attribute(name))}, ' for name in names).rstrip()}): {factor}"
        for names, factor in over.items()
    ]
    return f"{{{', '.join(products)}}}"
