"""`import model` finds `model.tl`: a finder for Python's import system.

A program found on `sys.path` (or in a package's folder) is compiled once. The module's text is kept where Python keeps
compiled modules, in `__pycache__` beside it, written whole or not at all, with what it was made from: the compiler, the
flags, and the hash of every source that was read. Where that folder cannot be written, the text is kept in memory only.
The root that imports may not leave is the `sys.path` entry under which the program was found.

Raises CompileError from the `import` statement where the program is wrong.
"""

from __future__ import annotations

import hashlib
import importlib.abc
import importlib.machinery
import importlib.util
import json
import linecache
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType

from tensorlogic.compiler import driver
from tensorlogic.compiler.fingerprint import fingerprint

_MARK = "# made from: "


def install_importer(*, strict: bool = False, fast: bool = False, checked: bool = False) -> None:
    """Let `import` find `.tl` files, after Python's own modules. A second call changes the flags.

    They are those of `tensorlogic.compile`. Raises ValueError for `strict` together with `fast`.
    """
    options = driver.Options(strict=strict, fast=fast, checked=checked, files=False)
    for finder in sys.meta_path:
        if isinstance(finder, _Finder):
            finder.options = options
            return
    sys.meta_path.append(_Finder(options))


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, options: driver.Options) -> None:
        self.options = options

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        *packages, name = fullname.split(".")
        for folder in sys.path if path is None else path:
            file = Path(folder or ".") / f"{name}.tl"
            # Not `file.is_file()`, which raises for a folder that may not be read and for a name that is too long.
            if os.path.isfile(file):
                loader = _Loader(file.resolve(), _root(file.parent.resolve(), packages), self.options)
                return importlib.machinery.ModuleSpec(fullname, loader, origin=str(file))
        return None


def _root(folder: Path, packages: list[str]) -> Path:
    """The `sys.path` entry above a folder of packages; the folder itself where a package lies somewhere else."""
    count = len(packages)
    return folder.parents[count - 1] if count and list(folder.parts[-count:]) == packages else folder


class _Loader(importlib.abc.Loader):
    def __init__(self, file: Path, root: Path, options: driver.Options) -> None:
        self.file, self.root, self.options = file, root, options

    def exec_module(self, module: ModuleType) -> None:
        text = self._cached()
        if text is None:
            made = driver.compile_file(self.file, replace(self.options, root=self.root))
            text = made.python
            self._keep(text, made.sources)
        name = f"<compiled {self.file}>"
        linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
        module.__file__ = str(self.file)
        exec(compile(text, name, "exec"), module.__dict__)

    # --- the cache

    @property
    def _place(self) -> Path:
        flags = "".join(f"-{flag}" for flag in ("strict", "fast", "checked") if getattr(self.options, flag))
        folder = Path(importlib.util.cache_from_source(str(self.file))).parent
        return folder / f"{self.file.stem}.tl{flags}.py"

    def _key(self, text: str, sources: Sequence[str]) -> dict[str, object]:
        return {
            "compiler": fingerprint(),
            "root": str(self.root),
            "sources": {source: _hash(Path(source).read_bytes()) for source in sources},
            "text": _hash(text.encode()),
        }

    def _cached(self) -> str | None:
        """The kept text, where everything that it was made from is as it was."""
        try:
            text = self._place.read_text(encoding="utf-8")
            first, _, rest = text.partition("\n")
            made_from = json.loads(first.removeprefix(_MARK))
            if made_from == self._key(rest, list(made_from["sources"])):
                return rest
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return None

    def _keep(self, text: str, sources: Sequence[Path]) -> None:
        """Write the text beside the program; a folder that cannot be written is no error."""
        try:
            head = _MARK + json.dumps(self._key(text, [str(s) for s in sources]))
            self._place.parent.mkdir(parents=True, exist_ok=True)
            descriptor, temporary = tempfile.mkstemp(dir=self._place.parent, prefix=self._place.name)
            try:
                with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                    file.write(f"{head}\n{text}")
                os.replace(temporary, self._place)
            except BaseException:
                os.unlink(temporary)
                raise
        except OSError:
            return


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
