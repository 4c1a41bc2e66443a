"""Names: which files make up a program, and what each file's names stand for.

Takes the entry file's tree. Promises a `ModuleGraph`: every file the program reaches, each read and parsed once, with
a scope that maps each top-level name to a symbol; an importer comes after what it imports. Refuses (TL1): unknown
modules and files, cycles (printed whole), paths that leave the project's root (links resolved), names declared twice,
imported names that do not exist. A file that is refused is left out, and its names stand for `BrokenSymbol`, so that
one wrong import is told once.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from dataclasses import field
from functools import cached_property, partial
from pathlib import Path

from tensorlogic.compiler.diagnostics.model import Diagnostic, error
from tensorlogic.compiler.records import dataclass
from tensorlogic.compiler.source import Source, Span
from tensorlogic.compiler.syntax import nodes

STANDARD_LIBRARY = Path(__file__).resolve().parent.parent / "stdlib"
PRELUDE = STANDARD_LIBRARY / "prelude.tl"

DEEPEST = 100
"""How many files may import one another in a row."""

Parse = Callable[[Path, str, str], tuple[Source, nodes.Module, list[Diagnostic]]]
"""Reads and parses a file, which diagnostics call by one name and emitted code by another.

Raises OSError or UnicodeDecodeError where it cannot be read.
"""


@dataclass(frozen=True, eq=False)
class FunctionSymbol:
    """A function. `read` gives its declarations, of which it has several, its overloads, in the prelude alone."""

    module: FileModule
    name: str
    read: Callable[[], tuple[nodes.FunctionDeclaration, ...]]

    @cached_property
    def declarations(self) -> tuple[nodes.FunctionDeclaration, ...]:
        return self.read()


@dataclass(frozen=True, eq=False, slots=True)
class StructSymbol:
    module: FileModule
    node: nodes.StructDeclaration


@dataclass(frozen=True, eq=False, slots=True)
class ConstantSymbol:
    module: FileModule
    node: nodes.ConstantDeclaration


@dataclass(frozen=True, eq=False, slots=True)
class ModuleSymbol:
    module: FileModule


@dataclass(frozen=True, eq=False, slots=True)
class BrokenSymbol:
    """A name whose import failed; using it says nothing more."""


Symbol = FunctionSymbol | StructSymbol | ConstantSymbol | ModuleSymbol | BrokenSymbol


@dataclass(frozen=True, eq=False, slots=True)
class FileModule:
    """One file. `prefix` begins the symbols of what it declares; it is empty for the entry file."""

    path: Path | None
    prefix: str
    source: Source
    tree: nodes.Module
    scope: dict[str, Symbol] = field(default_factory=dict)

    def emitted(self, name: str) -> str:
        """The symbol of what the file declares under a name: no other declaration of the program has it."""
        return f"{self.prefix}.{name}" if self.prefix else name


@dataclass(frozen=True, eq=False, slots=True)
class ModuleGraph:
    """`files` in the order of their imports, the entry last; `prelude` apart."""

    entry: FileModule
    prelude: FileModule
    files: tuple[FileModule, ...]


def load(
    entry: FileModule, prelude: FileModule, root: Path | None, parse: Parse
) -> tuple[ModuleGraph, list[Diagnostic]]:
    """The graph of everything `entry` reaches. `root` is the wall; None where files may not be imported."""
    loader = _Loader(root, parse)
    loader.modules[PRELUDE.resolve()] = prelude
    loader.enter(entry)
    return ModuleGraph(entry, prelude, tuple(loader.done)), loader.diagnostics


class _Loader:
    def __init__(self, root: Path | None, parse: Parse) -> None:
        self.root = root.resolve() if root is not None else None
        self.parse = parse
        self.diagnostics: list[Diagnostic] = []
        self.done: list[FileModule] = []
        self.modules: dict[Path, FileModule | None] = {}
        self.opening: list[FileModule] = []
        self.prefixes: set[str] = set()
        self.places: dict[FileModule, dict[str, Span]] = {}

    # --- one file

    def enter(self, module: FileModule) -> None:
        """Resolve a file's imports, depth first, and fill its scope."""
        if module.path is not None:
            self.modules[module.path.resolve()] = module
        self.opening.append(module)
        self.declare(module)
        for declaration in module.tree.declarations:
            if isinstance(declaration, nodes.ImportDeclaration):
                self._import(module, declaration)
        self.opening.pop()
        self.done.append(module)

    def declare(self, module: FileModule) -> None:
        """Put what the file itself declares into its scope."""
        places = self.places.setdefault(module, {})
        for declaration in module.tree.declarations:
            match declaration:
                case nodes.FunctionDeclaration(_, name):
                    self._bind(module, name, FunctionSymbol(module, name.name, partial(_alone, declaration)), places)
                case nodes.StructDeclaration():
                    self._bind(module, declaration.name, StructSymbol(module, declaration), places)
                case nodes.ConstantDeclaration():
                    self._bind(module, declaration.name, ConstantSymbol(module, declaration), places)

    def _bind(self, module: FileModule, name: nodes.Identifier, symbol: Symbol, places: dict[str, Span]) -> None:
        if name.name in places:
            self._refuse_second(name.span, places[name.name])
            return
        places[name.name] = name.span
        module.scope[name.name] = symbol

    def _refuse_second(self, one: Span, other: Span) -> None:
        """A name that is declared twice, in the order of the text."""
        first, second = sorted((one, other), key=lambda span: span.start)
        message = f"`{one.text}` is declared twice in this file"
        others = [(first, "first declared here")]
        self.diagnostics.append(error("TL1002", message, second, "declared again here", others=others))

    # --- imports

    def _import(self, module: FileModule, node: nodes.ImportDeclaration) -> None:
        target, places = self._target(module, node), self.places[module]
        if node.names is None:
            name = node.alias or _last_name(node)
            if name is None:
                self._report(
                    "TL1005", "the import of a file needs a name", node.target_span, helps=['import "x.tl" as x']
                )
                return
            self._bind(module, name, BrokenSymbol() if target is None else ModuleSymbol(target), places)
            return
        for imported in node.names:
            name = imported.alias or imported.name
            symbol = BrokenSymbol() if target is None else target.scope.get(imported.name.name)
            if symbol is None:
                assert target is not None
                near = difflib.get_close_matches(imported.name.name, target.scope, 1)
                self._report(
                    "TL1008",
                    f"`{_shown(node)}` has no `{imported.name.name}`",
                    imported.name.span,
                    helps=[f"did you mean `{n}`?" for n in near],
                )
                symbol = BrokenSymbol()
            self._bind(module, name, symbol, places)

    def _target(self, module: FileModule, node: nodes.ImportDeclaration) -> FileModule | None:
        """The module that an import names; None after telling why there is none."""
        path = self._path(module, node)
        if path is None:
            return None
        if path in self.modules:
            found = self.modules[path]
            if found is not None and found in self.opening:
                cycle = [m.source.name for m in self.opening[self.opening.index(found) :]] + [found.source.name]
                self._report("TL1006", f"imports go round in a circle: {' -> '.join(cycle)}", node.target_span)
                return None
            return found
        self.modules[path] = None
        if len(self.opening) >= DEEPEST:
            self._report("TL0104", f"imports are nested more than {DEEPEST} deep", node.target_span)
            return None
        shown = _display_name(path, module, module.source.name)
        try:
            source, tree, problems = self.parse(path, shown, _display_name(path, module, module.source.place))
        except (OSError, UnicodeDecodeError) as problem:
            reason = problem.strerror if isinstance(problem, OSError) else "it is not UTF-8 text"
            self._report("TL1005", f"cannot read `{_shown(node)}`: {reason}", node.target_span)
            return None
        self.diagnostics.extend(problems)
        imported = FileModule(path, self._prefix(path), source, tree)
        self.enter(imported)
        return imported

    def _path(self, module: FileModule, node: nodes.ImportDeclaration) -> Path | None:
        if node.module is not None:
            path = STANDARD_LIBRARY.joinpath(*node.module.split(".")).with_suffix(".tl")
            if not path.is_file():
                known = sorted(_library_modules())
                near = difflib.get_close_matches(node.module, known, 1)
                self._report(
                    "TL1005",
                    f"the standard library has no module `{node.module}`",
                    node.target_span,
                    helps=[f"did you mean `{n}`?" for n in near] or [f'a file is imported as "{node.module}.tl"'],
                )
                return None
            return path.resolve()
        assert node.path is not None
        inside_library = module.path is not None and module.path.is_relative_to(STANDARD_LIBRARY)
        wall = STANDARD_LIBRARY if inside_library else self.root
        if wall is None or module.path is None:
            self._report("TL1007", "a program that is not in a file cannot import files", node.target_span)
            return None
        path = (module.path.parent / node.path).resolve()
        if not path.is_relative_to(wall):
            self._report(
                "TL1007",
                f'"{node.path}" leaves the project\'s root',
                node.target_span,
                notes=[f"the root is {wall}"],
                helps=["--root DIR sets another root"],
            )
            return None
        return path

    def _prefix(self, path: Path) -> str:
        base = re.sub(r"\W", "_", path.stem)
        prefix = base
        for number in range(2, 10_000):
            if prefix not in self.prefixes:
                break
            prefix = f"{base}{number}"
        self.prefixes.add(prefix)
        return prefix

    def _report(
        self, code: str, message: str, span: Span, *, notes: list[str] | None = None, helps: list[str] | None = None
    ) -> None:
        self.diagnostics.append(error(code, message, span, notes=notes or (), helps=helps or ()))


def _alone(declaration: nodes.FunctionDeclaration) -> tuple[nodes.FunctionDeclaration, ...]:
    return (declaration,)


def _last_name(node: nodes.ImportDeclaration) -> nodes.Identifier | None:
    if node.module is None:
        return None
    return nodes.Identifier(node.target_span, node.module.rpartition(".")[2])


def _shown(node: nodes.ImportDeclaration) -> str:
    return node.module if node.module is not None else str(node.path)


def _display_name(path: Path, importer: FileModule, called: str) -> str:
    """How an imported file is called: beside its importer as that one is called, else as it is."""
    if importer.path is not None and path.is_relative_to(importer.path.parent.resolve()):
        relative = path.relative_to(importer.path.parent.resolve())
        return (Path(called).parent / relative).as_posix()
    return path.relative_to(STANDARD_LIBRARY).as_posix() if path.is_relative_to(STANDARD_LIBRARY) else str(path)


def _library_modules() -> list[str]:
    return [
        ".".join(path.relative_to(STANDARD_LIBRARY).with_suffix("").parts)
        for path in STANDARD_LIBRARY.rglob("*.tl")
        if path != PRELUDE
    ]
