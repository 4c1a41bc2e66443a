"""Builds Core ML files for tests with coremltools: programs of given weights, and neural networks layer by layer."""

from __future__ import annotations

import gc
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy.typing as npt

Array = npt.NDArray[Any]


@cache
def tools() -> Any:
    """The library, without the lines on what this system lacks that it logs as it is imported."""
    logging.getLogger("coremltools").setLevel(logging.ERROR)
    import coremltools

    return coremltools


def sub_byte(name: str) -> Any:
    """The NumPy type with which coremltools marks elements of fewer than 8 bits: `uint4`, `int4`, `uint1`."""
    tools()
    from coremltools.converters.mil.mil.types import type_mapping

    return type_mapping.string_to_nptype(name)


def write_program(path: Path, weights: Mapping[str, Any], target: str = "iOS18") -> Path:
    """An `.mlpackage` whose program takes `x` of one element, and gives its products with each weight.

    A weight is an array, or a function from coremltools' builder and a name to what a compressed constant gives.
    """
    with _own_warnings():
        _save_program(path, weights, target)
    return path


def _save_program(path: Path, weights: Mapping[str, Any], target: str) -> None:
    ct = tools()
    from coremltools.converters import mil
    from coremltools.converters.mil.mil import types

    mb = mil.Builder

    def program(x: Any) -> Any:
        results = []
        for name, weight in weights.items():
            value = weight(mb, name) if callable(weight) else mb.const(val=weight, name=name)
            results.append(mb.mul(x=x, y=value if value.dtype is types.fp32 else mb.cast(x=value, dtype="fp32")))
        return tuple(results)

    spec, version = mb.TensorSpec(shape=(1,), dtype=types.fp32), getattr(ct.target, target)
    model = ct.convert(
        mb.program(input_specs=[spec], opset_version=version)(program),
        convert_to="mlprogram",
        minimum_deployment_target=version,
        compute_precision=ct.precision.FLOAT32,
        # The constants as they are: none folded, none renamed.
        pass_pipeline=ct.PassPipeline.EMPTY,
        skip_model_load=True,
    )
    model.author = "the tests"
    model.short_description = "weights of every kind"
    model.user_defined_metadata["layers"] = "12"
    model.save(str(path))


@contextmanager
def _own_warnings() -> Iterator[None]:
    """coremltools leaves its temporary folders to the garbage collector, which warns of each: collect them here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        yield
        gc.collect()


def write_functions(path: Path, functions: Mapping[str, Mapping[str, Any]], main: str) -> Path:
    """An `.mlpackage` whose program has several functions, each of its own weights."""
    ct = tools()
    description = ct.utils.MultiFunctionDescriptor()
    with _own_warnings():
        for name, weights in functions.items():
            part = path.with_name(f"{name}.mlpackage")
            _save_program(part, weights, "iOS18")
            description.add_function(str(part), "main", name)
        description.default_function_name = main
        ct.utils.save_multifunction(description, str(path))
    return path


def write_network(path: Path, build: Callable[[Any], None]) -> Path:
    """An `.mlmodel` of a neural network: `build` adds layers to coremltools' builder, the last of which gives `y`."""
    ct = tools()
    from coremltools.models import datatypes, neural_network

    builder = neural_network.NeuralNetworkBuilder(
        [("x", datatypes.Array(3, 8, 8))], [("y", None)], disable_rank5_shape_mapping=True
    )
    build(builder)
    ct.utils.save_spec(builder.spec, str(path))
    return path
