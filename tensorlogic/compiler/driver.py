"""The pipeline, read top to bottom: a file's text to diagnostics, IR, or a Python module.

    read -> parse -> load imports -> check -> look into model files -> passes -> emit

Takes a path or a text. Promises: `check_file` gives diagnostics and never raises for what a user can cause; the others
raise `CompileError`, which carries the diagnostics, where the program is wrong. Imports neither MLX nor NumPy.
"""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path

from tensorlogic._version import __version__
from tensorlogic.compiler import names
from tensorlogic.compiler.check.file_values import Use
from tensorlogic.compiler.check.model_files import check_model_files
from tensorlogic.compiler.check.program import check_program
from tensorlogic.compiler.diagnostics.model import MAXIMUM_ERRORS, CompileError, Diagnostic, error
from tensorlogic.compiler.ir.core import Function, Program
from tensorlogic.compiler.names import FileModule, FunctionSymbol
from tensorlogic.compiler.prelude import prelude
from tensorlogic.compiler.records import dataclass
from tensorlogic.compiler.source import Source
from tensorlogic.compiler.syntax import dump, nodes, parse, tokenize


@dataclass(frozen=True)
class Options:
    """What the command line may ask for. `root` is the wall of imports; None is the entry file's folder.

    `files` is whether the model files that the script opens are looked at, where they are there: not for a program
    whose functions alone are used. `strict`, which asks for rounding, and `fast`, which allows more of it, exclude each
    other. With `debug_nan`, the module looks at what each operation gives (`runtime/nans.py`); no standalone one does.
    """

    strict: bool = False
    fast: bool = False
    checked: bool = False
    debug_nan: bool = False
    standalone: bool = False
    root: Path | None = None
    verify: bool = False
    files: bool = True

    def __post_init__(self) -> None:
        if self.strict and self.fast:
            raise ValueError("`strict` and `fast` exclude each other")


DEFAULT_OPTIONS = Options()


@dataclass(frozen=True)
class Compiled:
    """A program that is right: its module, its IR, what was noted, and the files it was made from."""

    python: str
    ir: str
    printed: str
    diagnostics: tuple[Diagnostic, ...]
    sources: tuple[Path, ...]


@dataclass(frozen=True)
class Report:
    """All that is to be said of a program: errors, or notes alone where it is right, and its use of model files."""

    diagnostics: list[Diagnostic]
    uses: tuple[Use, ...] = ()


def check_file(path: Path, options: Options = DEFAULT_OPTIONS) -> list[Diagnostic]:
    """All that is to be said of a file: errors, or notes alone where it is right."""
    return report(path, options).diagnostics


def report(path: Path, options: Options = DEFAULT_OPTIONS) -> Report:
    """The same, with what the file's script asks of the model files that are there."""
    try:
        checked = _checked(_read(path), path, options)
    except CompileError as wrong:
        return Report(list(wrong.diagnostics))
    return Report(checked.diagnostics, checked.uses)


def compile_file(path: Path, options: Options = DEFAULT_OPTIONS, *, print_after: str | None = None) -> Compiled:
    """The module made from a file."""
    return _compiled(_read(path), path, options, print_after)


def compile_text(
    text: str,
    name: str = "program.tl",
    options: Options = DEFAULT_OPTIONS,
    path: Path | None = None,
) -> Compiled:
    """The module made from a text; it may import files where `path` says where it stands."""
    return _compiled(Source(name, text), path, options, None)


def emit(path: Path, kind: str, options: Options = DEFAULT_OPTIONS) -> str:
    """One stage's form of a file: `tokens`, `ast`, `ir` or `py`."""
    source = _read(path)
    match kind:
        case "tokens":
            tokens, problems = tokenize(source)
            _refuse(problems)
            return "".join(f"{t}\n" for t in tokens)
        case "ast":
            tree, problems = parse(source)
            _refuse(problems)
            return dump(tree)
    compiled = _compiled(source, path, options, None)
    return compiled.ir if kind == "ir" else compiled.python


def pass_names() -> tuple[str, ...]:
    """The stages after which IR can be printed, in order."""
    from tensorlogic.compiler.passes import PASSES, WHOLE

    return ("check", *PASSES, *WHOLE)


# --- stages


def _read(path: Path) -> Source:
    try:
        return Source(str(path), path.read_text(encoding="utf-8-sig").replace("\r\n", "\n"), path.name)
    except UnicodeDecodeError as problem:
        message = f"{path} is not UTF-8 text: byte {problem.start} cannot be read"
        raise CompileError([error("TL1005", message)]) from None
    except OSError as problem:
        raise CompileError([error("TL1005", f"cannot read {path}: {problem.strerror}")]) from None


def _parse_file(path: Path, shown: str, place: str) -> tuple[Source, nodes.Module, list[Diagnostic]]:
    source = Source(shown, path.read_text(encoding="utf-8-sig").replace("\r\n", "\n"), place)
    tree, problems = parse(source)
    return source, tree, problems


@dataclass(frozen=True)
class _Checked:
    """What checking found: the program where it is right, what is to be said, and the files that were read."""

    program: Program | None
    diagnostics: list[Diagnostic]
    sources: tuple[Path, ...]
    uses: tuple[Use, ...] = ()


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without garbage collection: trees and IR live to the end, and walking them over and over is not linear."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@_uncollected()
def _checked(source: Source, path: Path | None, options: Options) -> _Checked:
    tree, problems = parse(source)
    entry = FileModule(path, "", source, tree)
    root = options.root or (path.parent if path is not None else None)
    graph, wrong = names.load(entry, prelude(), root, _parse_file)
    program, found = check_program(graph, source.place or source.name)
    diagnostics = [*problems, *wrong, *found]
    sources = tuple(f.path for f in graph.files if f.path is not None)
    if any(d.severity == "error" for d in diagnostics):
        return _Checked(None, _ordered(diagnostics), sources)
    if program is None or not options.files:
        return _Checked(program, diagnostics, sources)
    found_in_files = check_model_files(program)
    if found_in_files.diagnostics:
        diagnostics = _ordered([*diagnostics, *found_in_files.diagnostics])
        return _Checked(None, diagnostics, sources, found_in_files.uses)
    return _Checked(program, diagnostics, sources, found_in_files.uses)


def _ordered(diagnostics: list[Diagnostic]) -> list[Diagnostic]:
    """Errors in the order of the text, file by file, at most `MAXIMUM_ERRORS` of a file."""

    def key(d: Diagnostic) -> tuple[str, int]:
        return (d.span.source.name, d.span.start) if d.span is not None else ("", 0)

    told: Counter[str] = Counter()
    kept: list[Diagnostic] = []
    for diagnostic in sorted(diagnostics, key=key):
        file = key(diagnostic)[0]
        told[file] += diagnostic.severity == "error"
        if told[file] <= MAXIMUM_ERRORS:
            kept.append(diagnostic)
    return kept


@_uncollected()
def _compiled(source: Source, path: Path | None, options: Options, print_after: str | None) -> Compiled:
    # Here, since checking alone needs none of these.
    from tensorlogic.compiler.emit import mlx
    from tensorlogic.compiler.ir.printer import show_program
    from tensorlogic.compiler.passes import CARRYING, PASSES, WHOLE, effects, elements, join, packing

    checked = _checked(source, path, options)
    if checked.program is None:
        raise CompileError(checked.diagnostics)
    program = effects.run(replace(checked.program, strict=options.strict, standalone=options.standalone))
    printed = show_program(program) if print_after == "check" else ""
    if options.verify:
        _verify(program, "check")
    exact = options.strict or options.standalone
    for name, run in PASSES.items():
        if not (exact and name in CARRYING):
            program = _mapped(program, run)
        if options.verify:
            _verify(program, name)
        if print_after == name:
            printed = show_program(program)
    ir = show_program(program)
    whole = {"join": join.run, "packing": lambda p: packing.run(p, _parameters()), "elements": elements.run}
    for name in WHOLE:
        program = whole[name](program)
        if options.verify:
            _verify(program, name)
        if print_after == name:
            printed = show_program(program)
    text = mlx.emit(
        program,
        _parameters(),
        __version__,
        checked=options.checked,
        fast=options.fast,
        debug_nan=options.debug_nan,
    )
    return Compiled(text, ir, printed, tuple(checked.diagnostics), checked.sources)


def _mapped(program: Program, run: object) -> Program:
    assert callable(run)

    def each(function: Function) -> Function:
        changed = run(function)
        assert isinstance(changed, Function)
        return changed

    return replace(
        program,
        functions=tuple(each(f) for f in program.functions),
        entries=tuple(replace(e, checks=each(e.checks)) for e in program.entries),
        constructors={d: each(f) for d, f in program.constructors.items()},
        script=None if program.script is None else each(program.script),
    )


def _verify(program: Program, after: str) -> None:
    from tensorlogic.compiler.ir.verifier import verify

    checks = [e.checks for e in program.entries]
    script = [program.script] if program.script is not None else []
    for function in (*program.functions, *checks, *program.constructors.values(), *script):
        verify(function, after)


@cache
def _parameters() -> dict[str, tuple[str, ...]]:
    """The operands of each op, by its name in the table: its parameters in the prelude."""
    table: dict[str, tuple[str, ...]] = {}
    for name, symbol in prelude().scope.items():
        assert isinstance(symbol, FunctionSymbol)
        overloads = [declaration for declaration in symbol.declarations if declaration.body is None]
        for declaration in overloads:
            parameters = tuple(p.name.name for p in declaration.parameters)
            host = len(overloads) > 1 and not any(_is_tensor(p.type) for p in declaration.parameters)
            table[f"host.{name}" if host else name] = parameters
    return table


def _is_tensor(node: nodes.TypeExpression) -> bool:
    if isinstance(node, nodes.OptionalType | nodes.ListType):
        return _is_tensor(node.item)
    return isinstance(node, nodes.NamedType) and node.dims is not None


def _refuse(problems: list[Diagnostic]) -> None:
    if problems:
        raise CompileError(problems)
