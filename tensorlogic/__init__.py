"""TensorLogic: a shape-typed tensor language that compiles to MLX.

    import tensorlogic
    model = tensorlogic.load("model.tl")          # a module with the program's functions
    tensorlogic.install_importer()                # `import model` finds model.tl

The compiler is imported when one of these names is first used. Nothing else is imported here: `tlc` is quiet about a
Ctrl-C from its first own line on (`__main__.py`), and this file runs before it.
"""

from __future__ import annotations

from tensorlogic._version import __version__

TYPE_CHECKING = False  # as type checkers know it, without the import of `typing`
if TYPE_CHECKING:
    from typing import Any

    from tensorlogic.api import check, compile, load
    from tensorlogic.compiler.diagnostics.model import CompileError, Diagnostic
    from tensorlogic.importer import install_importer
    from tensorlogic.runtime.errors import TensorLogicError

__all__ = [
    "CompileError",
    "Diagnostic",
    "TensorLogicError",
    "__version__",
    "check",
    "compile",
    "install_importer",
    "load",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    where = {"install_importer": "importer", "TensorLogicError": "runtime.errors"}.get(name, "api")
    return getattr(import_module(f"tensorlogic.{where}"), name)
