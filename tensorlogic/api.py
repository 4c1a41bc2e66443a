"""The public Python API: programs as modules.

`load("model.tl")` and `compile(text)` give a Python module with an entry for each public function; `check` gives
diagnostics; `install_importer()` makes `import model` find `model.tl`. A program that is wrong raises `CompileError`,
whose text is what `tlc check` prints.
"""

from __future__ import annotations

import builtins
import linecache
import os
import sys
from pathlib import Path
from types import ModuleType

from tensorlogic.compiler import driver
from tensorlogic.compiler.diagnostics.model import CompileError, Diagnostic


def compile(
    text: str, name: str = "program", *, strict: bool = False, fast: bool = False, checked: bool = False
) -> ModuleType:
    """The module made from a program's text.

    With `strict` every operation rounds to its element type. With `fast` products with packed weights on a CPU may
    round their left side to bytes, in blocks of 32, each item by at most 1/254 of the largest of its block. With
    `checked` indices of gather and scatter that are out of range are reported. Statements become `main(args)`, which
    nothing calls. Raises CompileError, and ValueError for `strict` together with `fast`.
    """
    if not isinstance(text, str):
        raise TypeError(f"`compile` takes a program's text, not a {type(text).__name__}; `load` takes a path")
    options = driver.Options(strict=strict, fast=fast, checked=checked, files=False)
    made = driver.compile_text(text, f"{name}.tl", options)
    return as_module(made.python, name, f"<compiled {name}.tl>")


def load(
    path: str | os.PathLike[str],
    *,
    strict: bool = False,
    fast: bool = False,
    checked: bool = False,
    root: str | os.PathLike[str] | None = None,
) -> ModuleType:
    """The module made from a file. `root` is the folder that its imports may not leave: the file's own by default.

    The other options are those of `compile`. Raises CompileError, also where the file cannot be read, and ValueError.
    """
    file = Path(path)
    folder = None if root is None else Path(root)
    options = driver.Options(strict=strict, fast=fast, checked=checked, root=folder, files=False)
    made = driver.compile_file(file, options)
    return as_module(made.python, file.stem, f"<compiled {file}>")


def check(program: str | os.PathLike[str]) -> list[Diagnostic]:
    """What is wrong with a program, and notes: of a file for a path object, of a text for a string."""
    if isinstance(program, str):
        try:
            return list(driver.compile_text(program).diagnostics)
        except CompileError as wrong:
            return list(wrong.diagnostics)
    return driver.check_file(Path(program))


def as_module(python: str, name: str, file: str) -> ModuleType:
    """Emitted text as a module that is not in `sys.modules`; tracebacks show its lines."""
    # Dataclasses look their module up while they are made: under a name that no module has which the text may import.
    module = ModuleType(name)
    module.__name__ = while_made = f"{name} {id(module)}"
    module.__file__ = file
    code = builtins.compile(python, file, "exec")
    linecache.cache[file] = (len(python), None, python.splitlines(keepends=True), file)
    sys.modules[while_made] = module
    try:
        exec(code, module.__dict__)
    finally:
        del sys.modules[while_made]
    for made in [module, *vars(module).values()]:
        for attribute in ("__name__", "__module__"):
            if getattr(made, attribute, None) == while_made:
                setattr(made, attribute, name)
    return module


__all__ = ["CompileError", "Diagnostic", "check", "compile", "load"]
