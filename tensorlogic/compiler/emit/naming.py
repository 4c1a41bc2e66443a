"""What the emitted module calls things: dtypes, functions of the runtime, structs, constants, places in the source."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field
from typing import Any

from tensorlogic.compiler.diagnostics.glyphs import visible
from tensorlogic.compiler.emit.literals import dtype_name
from tensorlogic.compiler.ir.core import Operation, Value
from tensorlogic.compiler.ops.lowering import Text
from tensorlogic.compiler.records import dataclass
from tensorlogic.compiler.source import Span
from tensorlogic.compiler.types import BFLOAT16, FLOAT16, Element, ElementVariable, StructDefinition

Texts = dict[Value, Text]
"""The expression of each value that an operation may use."""


@dataclass
class ModuleNames:
    """What a module calls things, and which of them it turned out to need."""

    structs: dict[StructDefinition, str] = field(default_factory=dict)
    functions: dict[str, str] = field(default_factory=dict)
    needs: set[str] = field(default_factory=set)
    elements: dict[str, dict[ElementVariable, str]] = field(default_factory=dict)
    """The parameters in which each function is told its type parameters, by its symbol."""
    constants: dict[tuple[str, str, Any], str] = field(default_factory=dict)
    """The module's constants, by what the source calls them, their kind and their value."""
    runtime_functions: set[str] = field(default_factory=set)
    standalone: bool = False
    checked: bool = False
    strict: bool = False
    fast: bool = False
    debug_nan: bool = False


@dataclass
class Naming:
    """The names inside one function.

    `carried` tells where the dtype is found in which the values of a type parameter arrive, `visible` where the type
    parameter itself is.
    """

    module: ModuleNames
    visible: dict[ElementVariable, str] = field(default_factory=dict)
    carried: dict[ElementVariable, str] = field(default_factory=dict)

    def dtype(self, element: Element, like: Text | None = None) -> str:
        """The dtype in which an element type is carried."""
        if isinstance(element, ElementVariable):
            if element in self.carried:
                return self.carried[element]
            if element in self.visible:
                seen = self.visible[element]
                return seen if self.module.strict else f"{self.runtime('carried')}({seen})"
            assert like is not None, f"nothing tells how {element} is carried"
            return f"{like:atom}.dtype"
        if element == FLOAT16:
            self.module.needs.add("F16")
            return "F16"
        if element == BFLOAT16:
            self.module.needs.add("BF16")
            return "BF16"
        return self.visible_dtype(element)

    def visible_dtype(self, element: Element) -> str:
        """The dtype of an element type where it can be seen."""
        if isinstance(element, ElementVariable):
            return self.visible[element]
        return dtype_name(element)

    def element_type(self, element: Element) -> str:
        """An element type as a value. Where the body need not be told a type parameter, nothing asks which it is."""
        if isinstance(element, ElementVariable) and element not in self.visible:
            return self.carried[element]
        return self.visible_dtype(element)

    def runtime(self, function: str) -> str:
        """The name under which a function of the runtime is called."""
        self.module.runtime_functions.add(function)
        return f"tl.{function}"

    def hint_name(self, definition: StructDefinition) -> str:
        """The class of a struct."""
        return self.module.structs[definition]


Expression = Callable[[Naming, Operation, Texts], Text]
"""Writes an operation of one kind, from the expressions of its operands."""


def constant_key(operation: Operation) -> tuple[str, str, Any]:
    """What tells a `const` from others: two files may give one name to two values."""
    value = operation.attributes["value"]
    return operation.attributes["called"], type(value).__name__, value


def where(span: Span) -> str:
    """The place that a run-time error names: `model.tl:12`."""
    return f"{visible(span.source.place or span.source.name)}:{span.line}"


def written(span: Span) -> str:
    """What the source says at a place, on one line, for a message."""
    text = " ".join(span.text.split())
    return text if len(text) <= 40 else f"{text[:37]}..."
