"""The models of the standard library as emitted modules, found by the architecture that a file names.

`tools/emit_models.py` writes the modules from `stdlib/models/*.tl`, and a test that they are what the compiler makes of
them. Each has `bind(model) -> Net`, `new_cache(net, ...) -> KVCache` and `step(net, ids, cache) -> (logits, cache)`,
and so has the module of any program with a `load` and a `step` of that kind. Nothing here calls the compiler.

Refuses, with a `ModelFileError`: a file that names no architecture, one that is not here, or one that generates
nothing (TL4501).
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from tensorlogic.runtime.cache_files import identity
from tensorlogic.runtime.errors import ModelFileError
from tensorlogic.runtime.formats.header import shown
from tensorlogic.runtime.generation import LanguageModel, rehearse

if TYPE_CHECKING:
    from tensorlogic.runtime.models import Model

MODULES = {
    "gemma3": "gemma3",
    "gemma3_text": "gemma3",
    "llama": "llama",
    "mistral": "llama",
    "phi3": "phi3",
    "qwen2": "qwen2",
    "qwen3": "qwen3",
}
"""The module of each architecture, as GGUF (`general.architecture`) and Hugging Face (`model_type`) call it."""
ENCODERS = frozenset({"bert"})
"""Architectures of the standard library that have no `step`."""


def module_of(model: Model) -> ModuleType:
    """The emitted module of a model's architecture."""
    architecture = model.metadata.architecture
    name = MODULES.get(architecture or "")
    if name is None:
        if architecture in ENCODERS:
            raise _is_an_encoder(model, architecture)
        path, known = model.header.path, ", ".join(sorted(MODULES))
        said = "names no architecture" if architecture is None else f"is of the architecture {shown(architecture)}"
        raise ModelFileError(
            "TL4501",
            f"`{path}` {said}, which nothing here computes",
            helps=[
                f"there are {known}",
                "a program of your own computes any: Python's `language_model(model, module)`",
            ],
        )
    return import_module(f"{__name__}.{name}")


def _is_an_encoder(model: Model, architecture: str) -> ModelFileError:
    said = f"is of the architecture `{architecture}`, which makes vectors of texts and generates none"
    return ModelFileError(
        "TL4501",
        f"`{model.header.path}` {said}",
        helps=[
            f"`import models.{architecture}` in a program: `{architecture}.encode({architecture}.load(model), ids)`"
        ],
    )


def language_model(model: Model, module: Any = None) -> LanguageModel:
    """A model that generates: its weights bound, the emitted `step`, its tokenizer, and how long a text it takes.

    `module` is another than the standard library's for the model's architecture, such as a program of your own. Raises
    `ModelFileError` besides for weights that are missing or do not fit (TL4020), and for settings that the file lacks
    (TL4010); TypeError for a module that lacks one of the three functions, or whose `new_cache` takes no `capacity`,
    `window`, `bits` and `begins`.
    """
    is_ours = module is None
    module = module_of(model) if is_ours else module
    lacking = [name for name in ("bind", "new_cache", "step") if not callable(getattr(module, name, None))]
    if lacking:
        name = getattr(module, "__name__", type(module).__name__)
        raise TypeError(
            f"`{name}` has no `{lacking[0]}`: a program that generates has `load(model)` and `step(net, ids, cache)`, "
            "from which its module has `bind`, `new_cache` and `step`"
        )
    _require_kinds(module.new_cache)
    model.while_reading(lambda: model.tokenizer)
    whose = functools.cache(lambda: identity(model))
    net = module.bind(model)
    made = LanguageModel(net, module.step, model.tokenizer, context_of(model), whose, module.new_cache)
    if is_ours:
        rehearse(made)
    return made


def _require_kinds(make: Callable[..., Any]) -> None:
    """`generate` says of which kind it wants a cache."""
    parameters = inspect.signature(make).parameters.values()
    if any(each.kind is each.VAR_KEYWORD for each in parameters):
        return
    lacking = [
        kind for kind in ("capacity", "window", "bits", "begins") if kind not in {each.name for each in parameters}
    ]
    if lacking:
        raise TypeError(f"`new_cache` does not take `{lacking[0]}`, by which `generate` says which cache it wants")


def context_of(model: Model) -> int | None:
    """Tokens of a text that a model was trained for, where its file says it."""
    own = model.int(f"{model.metadata.architecture}.context_length", default=0)
    return own or model.int("max_position_embeddings", default=0) or None
