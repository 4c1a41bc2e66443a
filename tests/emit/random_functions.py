"""Random functions on ints, as a program and as the Python that says what they return.

They are made to be hard on variables: names are rebound in loops and branches, swapped, kept in tuples, seen by inner
functions, and left with `break`, `continue` and `return`. Inner functions see the values of their place: the Python
takes them as defaults.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

NAMES = ("a", "b", "c", "x", "y", "n", "list", "lambda_", "self")


@dataclass
class Writer:
    """Writes one function both ways at once."""

    random: Random
    program: list[str] = field(default_factory=list)
    python: list[str] = field(default_factory=list)
    scopes: list[dict[str, str]] = field(default_factory=list)
    depth: int = 1
    loops: int = 0
    budget: int = 40

    def visible(self, kind: str) -> list[str]:
        return [name for scope in self.scopes for name, k in scope.items() if k == kind]

    def line(self, program: str, python: str | None = None) -> None:
        space = "    " * self.depth
        self.program.append(space + program)
        self.python.append(space + (program if python is None else python))

    def fresh(self) -> str | None:
        taken = {name for scope in self.scopes for name in scope}
        free = [name for name in NAMES if name not in taken]
        return self.random.choice(free) if free else None

    # --- expressions: the same text in both

    def number(self, depth: int = 2) -> str:
        names = self.visible("int") + self.visible("loop")
        kind = self.random.randrange(8)
        if depth == 0 or kind < 3:
            return self.random.choice([*names, str(self.random.randrange(5))])
        if kind == 3 and self.visible("function"):
            return f"{self.random.choice(self.visible('function'))}({self.number(depth - 1)})"
        operator = self.random.choice(["+", "-", "*"])
        return f"({self.number(depth - 1)} {operator} {self.number(depth - 1)})"

    def condition(self) -> str:
        test = f"{self.number(1)} % 3 {self.random.choice(['==', '!=', '<'])} {self.random.randrange(3)}"
        if self.random.randrange(3):
            return test
        return f"{test} {self.random.choice(['and', 'or'])} {self.number(1)} > {self.number(1)}"

    # --- statements

    def statement(self) -> bool:
        """One statement; whether it ends the block."""
        self.budget -= 1
        pick = self.random.randrange(14)
        targets = self.visible("int")
        if pick < 2 or not targets:
            return self.declare()
        if pick < 5:
            name = self.random.choice(targets)
            self.line(f"{name} = {self.number()} % 1009")
        elif pick == 5:
            self.line(f"{self.random.choice(targets)} += {self.number(1)} % 97")
        elif pick == 6 and len(targets) > 1:
            first, second = self.random.sample(targets, 2)
            swapped = f"{second}, {first}" if self.random.randrange(2) else f"{self.number(1)} % 97, {first}"
            self.line(f"({first}, {second}) = ({swapped})")
        elif pick < 9 and len(self.scopes) < 5:
            self.branch()
        elif pick < 12 and len(self.scopes) < 4:
            self.loop()
        elif pick == 12 and self.loops and len(self.scopes) > 2 and self.random.randrange(2):
            self.line(self.random.choice(["break", "continue"]))
            return True
        elif pick == 13 and len(self.scopes) > 1 and not self.random.randrange(3):
            self.line(f"return {self.number()}")
            return True
        else:
            return self.choose()
        return False

    def declare(self) -> bool:
        name = self.fresh()
        if name is None:
            return False
        if self.random.randrange(5) == 0:
            body = self.number()
            seen = sorted(
                {w for w in self.visible("int") + self.visible("loop") + self.visible("function") if w in body}
            )
            defaults = "".join(f", {w}={w}" for w in seen)
            self.line(f"let {name}: fn(int) -> int = |v| v + {body}", f"{name} = lambda v{defaults}: v + {body}")
            self.scopes[-1][name] = "function"
            return False
        if self.random.randrange(5) == 0 and (other := self._other(name)) is not None:
            self.line(f"let ({name}, {other}) = ({self.number()} % 89, {self.number()} % 97)", "")
            self.python[-1] = self.program[-1].replace("let ", "", 1)
            self.scopes[-1][other] = "int"
        else:
            value = f"{self.number()} % 97"
            self.line(f"let {name} = {value} + 0 * n0", f"{name} = {value}")
        self.scopes[-1][name] = "int"
        return False

    def _other(self, name: str) -> str | None:
        for _ in range(5):
            other = self.fresh()
            if other != name:
                return other
        return None

    def choose(self) -> bool:
        name = self.random.choice(self.visible("int"))
        condition, first, second = self.condition(), f"{self.number()} % 97", f"{self.number()} % 89"
        self.line(
            f"{name} = if {condition} {{ {first} }} else {{ {second} }}",
            f"{name} = ({first}) if {condition} else ({second})",
        )
        return False

    def block(self, first: str = "") -> None:
        self.scopes.append({})
        self.depth += 1
        if first:
            self.line(first)
        before = len(self.program)
        for _ in range(self.random.randrange(1, 5)):
            if self.budget < 0 or self.statement():
                break
        if len(self.program) == before:
            self.line(f"{self.random.choice(self.visible('int'))} += 1")
        self.depth -= 1
        self.scopes.pop()

    def branch(self) -> None:
        condition = self.condition()
        self.line(f"if {condition} {{", f"if {condition}:")
        self.block()
        for _ in range(self.random.randrange(2)):
            condition = self.condition()
            self.line(f"}} else if {condition} {{", f"elif {condition}:")
            self.block()
        if self.random.randrange(2):
            self.line("} else {", "else:")
            self.block()
        self.program.append("    " * self.depth + "}")

    def loop(self) -> None:
        name = self.fresh()
        if name is None:
            return
        self.loops += 1
        if self.random.randrange(3):
            count = self.random.choice(["n0", "3", "4"])
            self.line(f"for {name} in 0..{count} {{", f"for {name} in range({count}):")
            self.scopes.append({name: "loop"})
            self.block()
            self.scopes.pop()
        else:
            self.line(f"let {name} = 0 + 0 * n0", f"{name} = 0")
            self.scopes[-1][name] = "counter"
            condition = f"{name} < 4 and ({self.condition()})"
            self.line(f"while {condition} {{", f"while {condition}:")
            self.block(f"{name} += 1")
        self.program.append("    " * self.depth + "}")
        self.loops -= 1

    def function(self, name: str) -> None:
        self.program.append(f"fn {name}(n0: int, m0: int) -> int {{")
        self.python.append(f"def {name}(n0, m0):")
        self.scopes = [{"n0": "loop", "m0": "int"}]
        self.line("let a = n0 + m0", "a = n0 + m0")
        self.scopes[0]["a"] = "int"
        self.budget = 40
        for _ in range(12):
            if self.budget < 0 or self.statement():
                break
        names = " + ".join(f"{i + 2} * {n}" for i, n in enumerate(self.visible("int")))
        self.line(f"return {names}")
        self.program.append("}")


def random_functions(seed: int, count: int) -> tuple[str, str, list[str]]:
    """A program with functions of two ints, the Python that computes the same, and the functions' names."""
    writer = Writer(Random(seed))
    names = [f"f{i}" for i in range(count)]
    for name in names:
        writer.function(name)
    return "\n".join(writer.program) + "\n", "\n".join(writer.python) + "\n", names
