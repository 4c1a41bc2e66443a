"""The IR as text, for `--emit ir`, `--print-after` and golden files. Values are numbered as they are printed."""

from __future__ import annotations

from typing import Any

from tensorlogic.compiler.ir.core import Function, Operation, Program, Region, Value
from tensorlogic.compiler.types import StructDefinition


def show_program(program: Program) -> str:
    """What structs join, every function, then the script."""
    functions = [*program.functions, *([program.script] if program.script is not None else [])]
    groups = [
        f"join {definition.symbol}: {'; '.join(' '.join(group) for group in groups)}\n"
        for definition, groups in program.joined.items()
    ]
    return "\n".join([*groups, *map(show_function, functions)])


def show_function(function: Function) -> str:
    """One function."""
    return _Printer(function).text()


class _Printer:
    def __init__(self, function: Function) -> None:
        self.function = function
        self.shown: dict[Value, str] = {}
        self.taken: set[str] = set()
        self.lines: list[str] = []

    def text(self) -> str:
        f = self.function
        parameters = ", ".join(f"{self.name(v)}: {v.type}" for _, v in f.parameters)
        result = f" -> {f.result}" if f.result is not None else ""
        told = f"<{', '.join(map(str, f.elements))}>" if f.elements else ""
        self.lines.append(f"fn {f.symbol}{told}({parameters}){result} {{")
        self.region(f.body, 1)
        self.lines.append("}")
        return "\n".join(self.lines) + "\n"

    def name(self, value: Value) -> str:
        if value not in self.shown:
            base = self.function.names.get(value)
            name = f"%{base}" if base is not None else f"%{len(self.shown)}"
            number = 2
            while name in self.taken:
                name = f"%{base or len(self.shown)}.{number}"
                number += 1
            self.taken.add(name)
            self.shown[value] = name
        return self.shown[value]

    def region(self, region: Region, indent: int) -> None:
        for operation in region.operations:
            self.operation(operation, indent)

    def operation(self, operation: Operation, indent: int) -> None:
        space = "    " * indent
        operands = ", ".join(self.name(v) for v in operation.operands)
        attributes = ", ".join(f"{k}: {_attribute(v)}" for k, v in sorted(operation.attributes.items()))
        head = operation.name + (f" {{{attributes}}}" if attributes else "") + (f" {operands}" if operands else "")
        results = ", ".join(self.name(v) for v in operation.results)
        types = ", ".join(str(v.type) for v in operation.results)
        place = f"  // {operation.span.line}"
        line = f"{results} = {head} : {types}" if results else head
        if not operation.regions:
            self.lines.append(f"{space}{line}{place}")
            return
        self.lines.append(f"{space}{line} {{{place}")
        for i, region in enumerate(operation.regions):
            if i:
                self.lines.append(f"{space}}} {{")
            if region.arguments:
                arguments = ", ".join(f"{self.name(v)}: {v.type}" for v in region.arguments)
                self.lines.append(f"{space}  ({arguments}):")
            self.region(region, indent + 1)
        self.lines.append(f"{space}}}")


def _attribute(value: Any) -> str:
    match value:
        case StructDefinition(name=name):
            return name
        case Value():
            return "value"
        case tuple() | list():
            return f"[{', '.join(_attribute(v) for v in value)}]"
        case str():
            return f'"{value}"'
    return str(value)
