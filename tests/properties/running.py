"""Compiling generated programs and calling them."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import mlx.core as mx
import numpy as np

from tensorlogic.compiler.driver import Options, compile_text
from tests.properties.programs import Argument, Array, Layer

OPTIONS = Options(verify=True)
"""The IR is verified after every pass."""


def compiled(source: str) -> ModuleType:
    """The module that a program becomes. Raises CompileError where it does not check."""
    module = ModuleType("generated")
    # A dataclass looks for its own module there.
    sys.modules[module.__name__] = module
    exec(compile(compile_text(source, "program.tl", OPTIONS).python, "generated.py", "exec"), module.__dict__)
    return module


def outcome(module: ModuleType, arguments: Mapping[str, Argument]) -> Array:
    """The type of what the entry `f` returns; it is evaluated, so that what is lazy runs, too."""
    rng = np.random.default_rng(zlib.crc32(repr(arguments).encode()))
    result = module.f(**{name: made(module, argument, rng) for name, argument in arguments.items()})
    mx.eval(result)
    return Array(str(result.dtype).rpartition(".")[2].removesuffix("_"), tuple(result.shape))


def made(module: ModuleType, argument: Argument, rng: np.random.Generator) -> Any:
    match argument:
        case Array(element, shape):
            if element == "int32":
                return mx.array(rng.integers(0, 4, shape).astype(np.int32))
            return mx.array(rng.uniform(-1, 1, shape).astype(element))
        case Layer(inputs, outputs, has_bias):
            bias = mx.ones((outputs,), mx.float16) if has_bias else None
            return module.Dense(weight=mx.ones((outputs, inputs), mx.float16), bias=bias)
    return argument
