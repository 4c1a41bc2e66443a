"""What a chat template may do: Jinja's sandbox, with bounds on all that it builds.

Jinja's `ImmutableSandboxedEnvironment` keeps a template from Python's insides and from changing what it is given. Here
every value that it makes is measured as well, before it is made where it could be much larger than what it is made of:
the results of operators, of `~`, of methods and filters, lists and dicts that are written out, and the output. One
value is at most `MOST_SIZE` and four times what the template was given; all together are at most `MOST_TOTAL` times
that. So a template cannot fill the memory, and no single operation takes long; how many there are `template.py` counts.
"""

from __future__ import annotations

import datetime
import functools
import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping, MappingView
from types import CodeType
from typing import Any, NoReturn

import jinja2
from jinja2 import ext, nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.filters import FILTERS
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

MOST_SIZE = 1_000_000
MOST_TOTAL = 32
_LARGEST_NUMBER = 100_000
"""Of the numbers that say how wide or how long something is to be."""
_MOST_BITS = 4_096
_LONGEST_SEPARATOR = 64
_MOST_LETTERS = 1_000
"""Of those that `strip` takes away, each of which is looked for at every letter, and of a date's pattern."""

_FILTERS = (
    *("abs", "attr", "batch", "capitalize", "center", "count", "d", "default", "dictsort", "e"),
    *("escape", "first", "float", "format", "groupby", "indent", "int", "items", "join", "last"),
    *("length", "list", "lower", "map", "max", "min", "reject", "rejectattr", "replace", "reverse"),
    *("round", "safe", "select", "selectattr", "slice", "sort", "string", "sum", "title", "trim"),
    *("truncate", "unique", "upper", "wordcount"),
)
_SIZED = frozenset({"batch", "center", "indent", "round", "slice", "tojson", "truncate"})
"""Filters whose numbers are widths."""


_PLAIN = (str, bytes, int, float, list, tuple, dict, type)
_CONTAINERS = (list, tuple, dict, MappingView, Namespace)


class Refusal(Exception):
    """What a template says with `raise_exception`."""


class TooMuch(Exception):
    """A template does more than it may. The text says what."""


class Generator(CodeGenerator):
    """Jinja's compiler, which sends to the environment what it otherwise builds in place."""

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:  # noqa: N802
        self.write("environment.concat((")
        for item in node.nodes:
            self.write("environment.text(")
            self.visit(item, frame)
            self.write("), ")
        self.write("))")

    def visit_List(self, node: nodes.List, frame: Frame) -> None:  # noqa: N802
        self._measured(super().visit_List, node, frame)

    def visit_Dict(self, node: nodes.Dict, frame: Frame) -> None:  # noqa: N802
        self._measured(super().visit_Dict, node, frame)

    def visit_Tuple(self, node: nodes.Tuple, frame: Frame) -> None:  # noqa: N802
        # Others are what is assigned to.
        if node.ctx == "load":
            self._measured(super().visit_Tuple, node, frame)
        else:
            super().visit_Tuple(node, frame)

    def _measured(self, visit: Callable[[Any, Frame], None], node: nodes.Expr, frame: Frame) -> None:
        self.write("environment.measured(")
        visit(node, frame)
        self.write(")")


class Generation(ext.Extension):
    """`{% generation %}`, with which templates mark what a model wrote, for training. It is what stands inside."""

    tags = {"generation"}  # noqa: RUF012

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.Scope(body, lineno=line)


class Environment(ImmutableSandboxedEnvironment):
    """The sandbox of one run. `given` are the template's variables."""

    code_generator_class = Generator
    intercepted_binops = frozenset(ImmutableSandboxedEnvironment.default_binop_table)

    def __init__(self, given: Mapping[str, Any] | None = None) -> None:
        # Not optimized: the optimizer would compute constants while it compiles.
        super().__init__(
            trim_blocks=True, lstrip_blocks=True, extensions=[ext.loopcontrols, Generation], optimized=False
        )
        # What is given has no bound.
        self._most = self._left = sys.maxsize
        self._sizes: dict[int, tuple[object, int]] = {}
        self._most = MOST_SIZE + 4 * sum(self._size(value) for value in (given or {}).values())
        self._left = MOST_TOTAL * self._most
        self.finalize = self.measured
        self.filters = {name: self._filter(name, FILTERS[name]) for name in _FILTERS}
        self.filters["tojson"] = self._filter("tojson", _to_json)
        self.globals = {
            **{name: self.globals[name] for name in ("range", "dict", "cycler", "joiner", "namespace")},
            "raise_exception": _raise_exception,
            "strftime_now": _strftime_now,
        }

    def written(self, code: CodeType, given: Mapping[str, Any]) -> str:
        """What a compiled template writes."""
        template = self.template_class.from_code(self, code, self.make_globals(None))
        pieces: list[str] = []
        size = 0
        for piece in template.root_render_func(template.new_context(dict(given))):
            size += len(piece)
            self._check(size)
            pieces.append(piece)
        return "".join(pieces)

    # What the compiled template calls.

    def measured(self, value: Any) -> Any:
        """The value, which is not too large."""
        self._count(self._size(value))
        return value

    def text(self, value: Any) -> str:
        """The value as a text."""
        return str(self.measured(value))

    def concat(self, parts: Iterable[str]) -> str:
        """Texts as one."""
        found = list(parts)
        self._count(sum(map(len, found)))
        return "".join(found)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        size, other = self._size(left), self._size(right)
        match operator:
            case "+":
                self._check(size + other)
            case "*" if isinstance(left, int) and isinstance(right, int):
                self._check_bits(left.bit_length() + right.bit_length())
            case "*" if isinstance(right, int):
                self._check(size * max(right, 0))
            case "*" if isinstance(left, int):
                self._check(other * max(left, 0))
            case "**" if isinstance(left, int) and isinstance(right, int):
                self._check_bits(left.bit_length() * abs(right))
            case "%" if isinstance(left, str):
                self._check_format(left, right if isinstance(right, tuple) else (right,))
        return self.measured(super().call_binop(context, operator, left, right))

    def call(*args: Any, **named: Any) -> Any:
        # Without names of its own, which a macro's arguments may have.
        self, context, function, *given = args
        assert isinstance(self, Environment)
        for value in (*given, *named.values()):
            self._size(value)
        name = getattr(function, "__name__", "")
        owner = getattr(function, "__self__", None)
        if isinstance(owner, _PLAIN):
            self._check_method(owner, name, given, named)
        elif name in ("format", "format_map") and hasattr(function, "__wrapped__"):
            self._check_format(function.__wrapped__.__self__, (*given, *named.values()))
        return self.measured(super(Environment, self).call(context, function, *given, **named))

    # How much there is.

    def _size(self, value: Any) -> int:
        """How many letters and items there are in a value, each as often as it is there."""
        match value:
            case str() | bytes():
                size = len(value) + 1
            case list() | tuple() | dict() | MappingView() | Namespace():
                return self._size_of_items(value)
            case range():
                size = len(value)
            case _:
                return 1
        self._check(size)
        return size

    def _size_of_items(self, value: Any) -> int:
        # Nothing that a template sees can be changed, but for namespaces, so that the sizes of others stay.
        known = self._sizes.get(id(value))
        if known is not None:
            return known[1]
        items: Iterable[Any]
        match value:
            case dict():
                items = [*value.keys(), *value.values()]
            case Namespace():
                items = getattr(value, "_Namespace__attrs").values()  # noqa: B009
            case _:
                items = value
        size, stays = 1, not isinstance(value, Namespace)
        for item in items:
            size += self._size(item)
            self._check(size)
            stays = stays and (not isinstance(item, _CONTAINERS) or id(item) in self._sizes)
        if stays:
            self._sizes[id(value)] = (value, size)
            self._count(len(value))
        return size

    def _count(self, size: int) -> None:
        self._check(size)
        self._left -= size
        if self._left < 0:
            raise TooMuch(f"it built more than {MOST_TOTAL * self._most} letters and items")

    def _check(self, size: int) -> None:
        if size > self._most:
            raise TooMuch(f"it built something of more than {self._most} letters and items")

    def _check_bits(self, bits: int) -> None:
        if bits > _MOST_BITS:
            raise TooMuch(f"it computed a number of more than {_MOST_BITS} bits")

    def _check_numbers(self, values: Iterable[Any]) -> None:
        if any(isinstance(value, int) and abs(value) > _LARGEST_NUMBER for value in values):
            raise TooMuch(f"it asked for a width or a length of more than {_LARGEST_NUMBER}")

    def _check_format(self, pattern: str, values: Iterable[Any]) -> None:
        """A pattern for `%` or `format`, whose widths stand in it or among the values."""
        if re.search("[0-9]{6}", pattern):
            raise TooMuch(f"it asked for a width or a length of more than {_LARGEST_NUMBER}")
        if "*" in pattern or re.search(r"\{[^{}]*\{", pattern):
            self._check_numbers(values)
        longest = max((self._size(value) for value in values), default=0)
        places = pattern.count("%") + pattern.count("{")
        self._check(len(pattern) + places * (longest + (_LARGEST_NUMBER if re.search("[0-9]{3}|[*]", pattern) else 99)))

    def _check_method(self, owner: Any, name: str, given: list[Any], named: Mapping[str, Any]) -> None:
        """A method of Python's own types, before it builds what may be large."""
        values = (*given, *named.values())
        self._check_numbers(values)
        if name == "translate":
            raise TooMuch("it calls `translate`, which has no bound")
        if isinstance(owner, str | bytes):
            numbers = [value for value in values if isinstance(value, int)]
            if name == "replace" and len(given) > 1:
                self._check_replaced(owner, given[0], given[1])
            elif name == "join":
                self._check_joined(owner, values)
            elif name in ("strip", "lstrip", "rstrip"):
                self._check_letters(values)
            elif name == "expandtabs":
                self._check(len(owner) * max([8, *numbers]))

    def _check_letters(self, values: Iterable[Any]) -> None:
        if any(isinstance(value, str | bytes) and len(value) > _MOST_LETTERS for value in values):
            raise TooMuch(f"it strips more than {_MOST_LETTERS} letters from a text")

    def _check_replaced(self, text: Any, old: Any, new: Any) -> None:
        if isinstance(text, str) and isinstance(old, str) and isinstance(new, str):
            self._check(len(text) + text.count(old) * len(new))

    def _check_joined(self, separator: Any, values: Iterable[Any]) -> None:
        longest = _LONGEST_SEPARATOR
        for value in values:
            if isinstance(value, list | tuple | dict):
                longest = max(longest, self._most // max(1, len(value)))
        if len(separator) > longest:
            raise TooMuch(f"it joins with a text of more than {longest} letters")

    def _filter(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """A filter that measures what it takes and gives."""
        skipped = 1 if hasattr(function, "jinja_pass_arg") else 0

        @functools.wraps(function)
        def measuring(*args: Any, **named: Any) -> Any:
            value, *given = args[skipped:] or (None,)
            values = (*given, *named.values())
            size = self._size(value)
            if isinstance(value, list | tuple | dict | range):
                # What it may go through, however little it gives.
                self._count(len(value))
            for other in values:
                self._size(other)
            if name in _SIZED:
                self._check_numbers(values)
            match name, values:
                case "replace", (old, new, *_):
                    self._check_replaced(str(value), str(old), str(new))
                case "join", (separator, *_):
                    self._check_joined(str(separator), (value,))
                case "trim", _:
                    self._check_letters(values)
                case "sum", _ if any(isinstance(other, _CONTAINERS) for other in values):
                    raise TooMuch("it sums lists, which takes the square of their length")
                case "format", _:
                    self._check_format(str(value), values)
                case "indent", (int() as width, *_):
                    self._check(size + (str(value).count("\n") + 1) * width)
                case "indent", (str() as width, *_):
                    self._check(size + (str(value).count("\n") + 1) * len(width))
                case "tojson", (int() as width, *_):
                    self._check(size * (1 + width))
            return self.measured(function(*args, **named))

        return measuring


def _to_json(
    value: Any,
    indent: int | None = None,
    ensure_ascii: bool = False,
    separators: Any = None,
    sort_keys: bool = False,
) -> str:
    """JSON as transformers writes it for chat templates: letters stay as they are, and nothing is escaped for HTML."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _strftime_now(pattern: str) -> str:
    if len(pattern) > _MOST_LETTERS:
        raise TooMuch(f"it writes a date with a pattern of more than {_MOST_LETTERS} letters")
    return datetime.datetime.now().strftime(pattern)


def _raise_exception(message: object) -> NoReturn:
    raise Refusal(str(message))


def compiled(source: str) -> CodeType:
    """A template's code. Raises `jinja2.TemplateSyntaxError` for what is no Jinja."""
    code = Environment().compile(source)
    assert isinstance(code, CodeType)
    return code


__all__ = ["Environment", "Refusal", "TooMuch", "compiled", "jinja2"]
