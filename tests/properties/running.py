"""Compiling generated programs and calling them."""

from __future__ import annotations

import linecache
import sys
import zlib
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import mlx.core as mx
import numpy as np

from tensorlogic.compiler.driver import Options, compile_text
from tests.properties.arguments import STRANGERS, Argument, Array, Layer, Several, Stranger

OPTIONS = Options(verify=True)
"""The IR is verified after every pass."""

NAME = "program.tl"


def compiled(source: str) -> ModuleType:
    """The module that a program becomes. Raises CompileError where it does not check."""
    module = ModuleType("generated")
    # A dataclass looks for its own module there.
    sys.modules[module.__name__] = module
    python, file = compile_text(source, NAME, OPTIONS).python, "generated.py"
    # A failure finds its `.tl` line in the text of the emitted one.
    linecache.cache[file] = (len(python), None, python.splitlines(keepends=True), file)
    exec(compile(python, file, "exec"), module.__dict__)
    return module


def outcome(module: ModuleType, arguments: Mapping[str, Argument]) -> tuple[Array, ...]:
    """The types of what the entry `f` returns."""
    arrays = results(module, arguments)
    return tuple(Array(str(a.dtype).rpartition(".")[2].removesuffix("_"), tuple(a.shape)) for a in arrays)


def results(module: ModuleType, arguments: Mapping[str, Argument]) -> tuple[mx.array, ...]:
    """What the entry `f` returns; it is evaluated, so that what is lazy runs, too."""
    rng = np.random.default_rng(zlib.crc32(repr(arguments).encode()))
    result = module.f(**{name: made(module, argument, rng) for name, argument in arguments.items()})
    mx.eval(result)
    return result if isinstance(result, tuple) else (result,)


def made(module: ModuleType, argument: Argument, rng: np.random.Generator) -> Any:
    match argument:
        case Array(element, shape, form):
            items = rng.integers(0, 4, shape) if element == "int32" else rng.uniform(-1, 1, shape)
            if form == "mlx":
                return mx.array(items.astype(element))
            return items if form == "numpy" else items.tolist()
        case Several(items):
            return [made(module, item, rng) for item in items]
        case Stranger(name):
            return STRANGERS[name]
        case Layer(inputs, outputs, has_bias):
            bias = mx.ones((outputs,), mx.float16) if has_bias else None
            return module.Dense(weight=mx.ones((outputs, inputs), mx.float16), bias=bias)
    return argument
