"""Who imports whom: the walls between the rooms of the package, and what checking a file may load.

Imports are read from the sources, those inside functions and those for type checkers included. The table says what
each room may see; a new room is added to it on purpose.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import tensorlogic

PACKAGE = Path(tensorlogic.__file__).parent
FILES = sorted(path for path in PACKAGE.rglob("*.py"))

MAY_IMPORT: dict[str, set[str]] = {
    "": {"_version", "api", "importer", "compiler.diagnostics", "runtime.errors"},
    "__main__": {"cli"},
    "_version": set(),
    "api": {"compiler.diagnostics", "compiler.driver"},
    "importer": {"compiler.driver", "compiler.fingerprint"},
    "cli": {"", "_version", "compiler.diagnostics", "compiler.driver", "runtime", "runtime.errors", "runtime.formats"},
    "runtime": {"runtime.errors", "runtime.formats"},
    "runtime.errors": set(),
    "runtime.formats": {"runtime.errors"},
    "compiler": set(),
    "compiler.records": set(),
    "compiler.source": {"compiler.records"},
    "compiler.dims": {"compiler.records"},
    "compiler.fingerprint": {"_version"},
    "compiler.prover": {"compiler.dims", "compiler.records"},
    "compiler.facts": {"compiler.dims", "compiler.prover", "compiler.records"},
    "compiler.diagnostics": {"compiler.records", "compiler.source"},
    "compiler.syntax": {"compiler.diagnostics", "compiler.records", "compiler.source"},
    "compiler.types": {"compiler.dims", "compiler.records", "compiler.syntax"},
    "compiler.names": {"compiler.diagnostics", "compiler.records", "compiler.source", "compiler.syntax"},
    "compiler.prelude": {"compiler.names", "compiler.source", "compiler.syntax"},
    "compiler.ir": {"compiler.ops", "compiler.records", "compiler.source", "compiler.types"},
    "compiler.ops": {"compiler.dims", "compiler.ir", "compiler.records", "compiler.source", "compiler.types"},
    "compiler.check": {
        "compiler.diagnostics",
        "compiler.dims",
        "compiler.facts",
        "compiler.ir",
        "compiler.names",
        "compiler.ops",
        "compiler.records",
        "compiler.source",
        "compiler.syntax",
        "compiler.types",
        "runtime.formats",
    },
    "compiler.passes": {"compiler.ir", "compiler.ops", "compiler.records", "compiler.types"},
    "compiler.emit": {
        "compiler.diagnostics",
        "compiler.dims",
        "compiler.ir",
        "compiler.ops",
        "compiler.passes",
        "compiler.records",
        "compiler.source",
        "compiler.types",
    },
    "compiler.driver": {
        "_version",
        "compiler.check",
        "compiler.diagnostics",
        "compiler.emit",
        "compiler.ir",
        "compiler.names",
        "compiler.passes",
        "compiler.prelude",
        "compiler.records",
        "compiler.source",
        "compiler.syntax",
    },
}
"""A room's name is its path below the package; `compiler` is divided further, and so is `runtime`."""

LIBRARIES: dict[str, set[str]] = {
    "ply": {"compiler.syntax"},
    "click": {"cli"},
    "mlx": {"runtime"},
    "tensorlogic_cpu": {"runtime"},
    "numpy": {"runtime", "runtime.formats"},
    "safetensors": {"runtime"},
    "gguf": {"runtime", "runtime.formats"},
    "tokenizers": {"runtime"},
    "jinja2": {"runtime"},
    "rich": {"cli"},
}
"""Who may import a library."""

KNOWN = sys.stdlib_module_names | {"_typeshed"}
"""What Python and its type checkers bring."""


def module_name(path: Path) -> str:
    """The module's name below the package; the package's own is empty."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def room(module: str) -> str:
    """The room of a module below the package."""
    parts = module.split(".")
    pair = ".".join(parts[:2])
    return pair if parts[0] == "compiler" or pair in MAY_IMPORT else parts[0]


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """What a file imports: lines and full names. `from a import b` may mean the module `a.b`."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: write the full name of what is imported"
            assert node.module is not None
            modules = [name for alias in node.names if is_module(name := f"{node.module}.{alias.name}")]
            yield from ((node.lineno, name) for name in modules or [node.module])


def is_module(name: str) -> bool:
    """Whether a name is a module of the package."""
    path = PACKAGE.parent.joinpath(*name.split("."))
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


@pytest.mark.parametrize("path", FILES, ids=[module_name(p) or "tensorlogic" for p in FILES])
def test_a_file_imports_only_what_its_room_may(path: Path) -> None:
    own = room(module_name(path))
    assert own in MAY_IMPORT, f"add the room `{own}` to the table, with what it may import"
    for line, name in imported(path):
        place = f"{path.relative_to(PACKAGE.parent)}:{line}: "
        package, _, rest = name.partition(".")
        if package == "tensorlogic":
            assert room(rest) in {own, *MAY_IMPORT[own]}, f"{place}`{own}` may not import `{name}`"
        elif package in LIBRARIES:
            assert own in LIBRARIES[package], f"{place}`{own}` may not import `{package}`"
        else:
            assert package in KNOWN, f"{place}`{package}` is no library of this project"


def test_the_table_names_rooms_that_exist() -> None:
    rooms = {room(module_name(path)) for path in FILES}
    named = set(MAY_IMPORT) | {other for others in MAY_IMPORT.values() for other in others}
    assert named <= rooms


def test_checking_loads_neither_mlx_nor_numpy(tmp_path: Path) -> None:
    """`tlc check` in a process of its own, on a program that uses every group of the standard library."""
    program = tmp_path / "program.tl"
    program.write_text(
        "fn f(x: float16[N, D], w: float16[D, D]) -> float16[N] {\n"
        "    let y = softmax(x @ w.T, axis: -1) + zeros(x.shape)\n"
        "    return sort(y.transpose([1, 0]).sum(axis: 0))\n"
        "}\n"
        "print(f(ones([2, 3]), eye(3)))\n"
    )
    code = (
        "import sys\n"
        "from tensorlogic.cli import main\n"
        "try:\n"
        f"    main(['check', {str(program)!r}])\n"
        "except SystemExit as ended:\n"
        "    assert not ended.code, ended.code\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=PACKAGE.parent, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    loaded = set(ran.stdout.split())
    assert "tensorlogic" in loaded
    assert not loaded & {"mlx", "numpy", "safetensors", "gguf", "tokenizers", "jinja2"}


@pytest.mark.parametrize(
    ("module", "kept_out"),
    [
        ("tensorlogic.compiler.driver", {"mlx", "numpy", "click"}),
        ("tensorlogic.runtime.formats", {"mlx", "numpy"}),
        ("tensorlogic.runtime", {"ply", "click"}),
        ("tensorlogic", {"mlx", "numpy", "ply", "click"}),
    ],
)
def test_a_module_loads_no_more_than_it_says(module: str, kept_out: set[str]) -> None:
    """Not only what its sources import, but all that is loaded with them."""
    code = f"import sys, {module}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=PACKAGE.parent, check=True)
    assert not kept_out & set(ran.stdout.split())


def test_the_runtime_loads_nothing_of_the_compiler() -> None:
    code = "import sys, tensorlogic.runtime.models, tensorlogic.runtime.script; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=PACKAGE.parent, check=True)
    assert [name for name in ran.stdout.split() if name.startswith("tensorlogic.compiler")] == []
