"""TensorLogic: a shape-typed tensor language that compiles to MLX.

    import tensorlogic
    model = tensorlogic.load("model.tl")          # a module with the program's functions
    tensorlogic.install_importer()                # `import model` finds model.tl

The compiler is imported when one of these names is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tensorlogic._version import __version__

if TYPE_CHECKING:
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
    where = {"install_importer": "importer", "TensorLogicError": "runtime.errors"}.get(name, "api")
    return getattr(import_module(f"tensorlogic.{where}"), name)
