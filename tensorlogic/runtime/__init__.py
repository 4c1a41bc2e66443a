"""What emitted modules import: entry checks, models, packed weights, printing. It imports nothing of the compiler.

Names are found when they are first used, so that reading the headers of model files needs neither MLX nor NumPy.
Type checkers are told all public names of the modules that emitted code calls.
"""

# ruff: noqa: F403

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tensorlogic.runtime.architectures import language_model as language_model
    from tensorlogic.runtime.attending import cached_attention as cached_attention
    from tensorlogic.runtime.batching import Answer as Answer
    from tensorlogic.runtime.batching import generate_batch as generate_batch
    from tensorlogic.runtime.binding import *
    from tensorlogic.runtime.boundary import *
    from tensorlogic.runtime.caching import KVCache as KVCache
    from tensorlogic.runtime.caching import new_cache as new_cache
    from tensorlogic.runtime.carrying import *
    from tensorlogic.runtime.chains import Stage as Stage
    from tensorlogic.runtime.chains import chain as chain
    from tensorlogic.runtime.chains import chain_apart as chain_apart
    from tensorlogic.runtime.device import carried as carried
    from tensorlogic.runtime.errors import *
    from tensorlogic.runtime.failures import *
    from tensorlogic.runtime.functions import *
    from tensorlogic.runtime.functions_host import *
    from tensorlogic.runtime.functions_kernels import *
    from tensorlogic.runtime.functions_neural import *
    from tensorlogic.runtime.functions_sampling import *
    from tensorlogic.runtime.functions_shape import *
    from tensorlogic.runtime.generating import generate as generate
    from tensorlogic.runtime.generating import until_interrupted as until_interrupted
    from tensorlogic.runtime.generation import Generation as Generation
    from tensorlogic.runtime.generation import LanguageModel as LanguageModel
    from tensorlogic.runtime.models import *
    from tensorlogic.runtime.nans import *
    from tensorlogic.runtime.outside import *
    from tensorlogic.runtime.packed import *
    from tensorlogic.runtime.packs import *
    from tensorlogic.runtime.saving import *
    from tensorlogic.runtime.script import *
    from tensorlogic.runtime.show import *
    from tensorlogic.runtime.show import show
    from tensorlogic.runtime.sizes import *
    from tensorlogic.runtime.text.tokenizer import *
    from tensorlogic.runtime.values import *

    shown = show

_WHERE = {
    "architectures": ("language_model",),
    "binding": ("Field", "bind", "of_elements", "tensors_of"),
    "attending": ("cached_attention",),
    "boundary": (
        "array",
        "boolean",
        "external",
        "fits",
        "floats_of",
        "instance",
        "integer",
        "items",
        "made",
        "number",
        "parts",
        "ranked",
        "set_fields",
        "string",
    ),
    "caching": ("KVCache", "new_cache"),
    "carrying": ("tensor", "weight"),
    "chains": ("Stage", "chain", "chain_apart"),
    "device": ("carried",),
    "errors": ("BoundaryError", "ModelFileError", "TensorLogicError"),
    "failures": ("entry",),
    "batching": ("Answer", "generate_batch"),
    "generating": ("generate", "until_interrupted"),
    "generation": ("Generation", "LanguageModel"),
    "functions_kernels": (
        "attention",
        "cast",
        "gelu",
        "gelu_tanh",
        "layer_norm",
        "rms_norm",
        "rope",
        "silu",
        "softmax",
    ),
    "models": ("Model", "load_model"),
    "outside": ("element", "refuse", "short"),
    "nans": ("no_nan",),
    "packs": ("same_leading",),
    "packed": ("Packed", "dense", "embedding", "expanded", "linear", "matmul", "quantize"),
    "saving": ("save_model",),
    "script": ("run_main",),
    "show": ("print_values",),
    "sizes": ("affordable", "sized"),
    "text.tokenizer": ("Tokenizer", "load_tokenizer"),
    "values": ("debug", "dynamic", "item", "numbers", "read_line", "select"),
}
_MODULE_OF = {name: module for module, names in _WHERE.items() for name in names}
_HELPERS = ("functions", "functions_host", "functions_neural", "functions_sampling", "functions_shape")
"""Modules all of whose public functions emitted code may call."""


def __getattr__(name: str) -> Any:
    if name == "shown":
        # `show` is a module of this package too.
        found = import_module(f"{__name__}.show").show
    elif name in _MODULE_OF:
        found = getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    elif name.startswith("_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    else:
        found = _helper(name)
    globals()[name] = found
    return found


def _helper(name: str) -> Any:
    # `from tensorlogic.runtime import kernels` asks here first, and what is being imported must not import the others.
    whole = f"{__name__}.{name}"
    is_module = whole in sys.modules or find_spec(whole) is not None
    for module in () if is_module else _HELPERS:
        found = getattr(import_module(f"{__name__}.{module}"), name, None)
        if found is not None:
            return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
