"""Modules that generate export `bind`, `new_cache` and `step`, and `generate` drives any that has them."""

from __future__ import annotations

import ast
import inspect
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mlx.core as mx
import pytest

import tensorlogic
from tensorlogic.compiler import driver
from tensorlogic.runtime import KVCache, architectures, generate, generate_batch, language_model, load_model
from tensorlogic.runtime.architectures import MODULES, module_of
from tests.models import SMOLLM2, model_path

NET = 'struct Net[V, D] { embedding: float16[V, D] = "token_embd.weight" }\n'
LOAD = "fn load(model: Model) -> Net[?V, ?D] { return bind<Net>(model) }\n"
STEP = """fn step(net: Net[V, D], ids: int32[B, L], cache: KVCache) -> (float16[B, V], KVCache) {
    return (embedding(ids[:, L-1], net.embedding) @ net.embedding.T, cache)
}
"""
EXPORTED = "bind = load\nnew_cache = tl.new_cache\n"


def emitted(text: str) -> str:
    return driver.compile_text(text).python


def test_the_modules_of_the_standard_library() -> None:
    model = load_model(model_path(SMOLLM2))
    for architecture in MODULES:
        named: Any = SimpleNamespace(metadata=SimpleNamespace(architecture=architecture))
        module = module_of(named)
        assert module.bind is module.load
        assert isinstance(module.new_cache(None), KVCache)
    module = module_of(model)
    net = module.bind(model)
    ids = mx.array([[1, 2, 3]], mx.int32)
    expected, _ = module.step(net, ids, KVCache())
    for kind in ({}, {"capacity": 8}, {"window": 8}):
        logits, cache = module.step(net, ids, module.new_cache(net, **kind))
        assert cache.length() == 3
        assert mx.allclose(logits, expected, rtol=1e-2, atol=1e-2)
    assert module.new_cache(net, bits=8).bits == 8


@pytest.mark.parametrize("name", sorted(set(MODULES.values())))
def test_a_step_is_one_loop_over_layers_and_calls_no_function_of_its_program(name: str) -> None:
    tree = ast.parse(inspect.getsource(import_module(f"{architectures.__name__}.{name}")))
    functions = {each.name: each for each in tree.body if isinstance(each, ast.FunctionDef)}
    inner = list(ast.walk(functions["_step"]))
    assert [ast.unparse(each.target) for each in inner if isinstance(each, ast.For)] == ["(i, l)"]
    assert not any(isinstance(each, ast.While | ast.comprehension) for each in inner)
    called = {each.func.id for each in inner if isinstance(each, ast.Call) and isinstance(each.func, ast.Name)}
    assert not called & functions.keys()


@pytest.mark.parametrize(
    "text",
    [
        NET + LOAD,
        NET + STEP,
        # Not of this kind: another struct, no cache, more to be told.
        NET + LOAD + "struct Other[V, D] { embedding: float16[V, D] }\n" + STEP.replace("net: Net", "net: Other"),
        NET + LOAD + "fn step(net: Net[V, D], ids: int32[B, L]) -> float16[V, D] { return net.embedding }\n",
        NET + LOAD.replace("model: Model", "model: Model, n: int") + STEP,
        NET + STEP + "fn load(model: Model) -> string? { return model.metadata.architecture }\n",
    ],
)
def test_other_modules_export_their_functions_alone(text: str) -> None:
    assert "new_cache" not in emitted(text)
    assert "\nbind" not in emitted(text)


def test_names_of_the_program(tmp_path: Path) -> None:
    assert emitted(NET + LOAD + STEP).endswith(EXPORTED)
    assert emitted(NET + LOAD.replace("model: Model", "model: Model, n: int = 3") + STEP).endswith(EXPORTED)
    own = "fn new_cache(net: Net[V, D]) -> KVCache { return KVCache(window: 16) }\n"
    text = emitted(NET + LOAD + STEP + own)
    assert text.endswith("\nbind = load\n")
    assert "\ndef new_cache(net: Net) -> tl.KVCache:" in text
    # A constant of this name makes room.
    module: Any = tensorlogic.compile("const new_cache = 3\n" + NET + LOAD + STEP.replace("cache)", "cache)", 1))
    assert isinstance(module.new_cache(None, capacity=3), KVCache)


def test_a_program_of_ones_own_is_driven() -> None:
    module: Any = tensorlogic.compile(NET + LOAD + STEP)
    model = load_model(model_path(SMOLLM2))
    kinds: list[dict[str, Any]] = []

    def new_cache(net: Any, **kind: Any) -> KVCache:
        assert isinstance(net, module.Net)
        kinds.append(kind)
        return KVCache(**kind)

    noted = SimpleNamespace(bind=module.bind, new_cache=new_cache, step=module.step)
    known = language_model(model, noted)
    assert known.context == 8192
    settings: list[dict[str, Any]] = [{}, {"window": 16}, {"bits": 8}, {"reuse": True}]
    answers = [generate(known, "Once", max_tokens=3, **each) for each in settings]
    texts = {"".join(answer) for answer in answers}
    assert texts == {generate_batch(known, ["Once"], max_tokens=3)[0].text}
    assert all(len(answer.ids) == 3 for answer in answers)
    assert [sorted(name for name, value in kind.items() if value is not None) for kind in kinds] == [
        ["capacity"],
        ["window"],
        ["bits", "capacity"],
        [],
        ["begins", "capacity"],
    ]


def test_a_step_of_ones_own_is_called_for_tokens_alone() -> None:
    module: Any = tensorlogic.compile(NET + LOAD + STEP)
    lengths: list[int] = []

    def step(net: Any, ids: mx.array, cache: KVCache) -> Any:
        lengths.append(ids.shape[1])
        return module.step(net, ids, cache)

    noted = SimpleNamespace(bind=module.bind, new_cache=module.new_cache, step=step)
    known = language_model(load_model(model_path(SMOLLM2)), noted)
    for fast in (False, True):
        ids = list(generate(known, [1, 2, 3], max_tokens=2, fast=fast).prompt)
        assert not lengths
        list(generate(known, ids, max_tokens=2, fast=fast))
        assert lengths == [3, 1, 1]
        lengths.clear()


def test_a_new_cache_of_the_program_s_own_is_driven() -> None:
    parameters = "capacity: int? = none, window: int? = none, bits: int? = none, begins: [int]? = none"
    own = f"fn new_cache(net: Net[V, D], {parameters}) -> KVCache {{ return KVCache(window: 16) }}\n"
    module: Any = tensorlogic.compile(NET + LOAD + STEP + own)
    known = language_model(load_model(model_path(SMOLLM2)), module)
    assert len(list(generate(known, "Once", max_tokens=3))) == 3


def test_a_module_that_lacks_one_is_refused() -> None:
    model = load_model(model_path(SMOLLM2))
    for lacking in ("bind", "new_cache", "step"):
        parts = {name: print for name in ("bind", "new_cache", "step") if name != lacking}
        with pytest.raises(TypeError, match=f"`SimpleNamespace` has no `{lacking}`: a program that generates has"):
            language_model(model, SimpleNamespace(**parts))
    poor = SimpleNamespace(bind=print, step=print, new_cache=lambda net, capacity=None: KVCache(capacity=capacity))
    with pytest.raises(TypeError, match="`new_cache` does not take `window`, by which `generate` says which cache"):
        language_model(model, poor)
    module: Any = tensorlogic.compile(NET + LOAD, "half")
    with pytest.raises(TypeError, match="has no `bind`"):
        language_model(model, module)
