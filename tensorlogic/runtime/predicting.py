"""Running a Core ML model as it is: on macOS, by Apple's own runtime.

Takes a model's header and values by the names of its inputs, gives values by the names of its outputs. Everywhere else
that is an error, which says what can be done instead (TL4050); without the package `coremltools` another (TL4051).
"""

from __future__ import annotations

import importlib
import platform
from collections.abc import Mapping
from typing import Any, NoReturn

import mlx.core as mx
import numpy as np

from tensorlogic.runtime.errors import ModelFileError
from tensorlogic.runtime.formats import FileHeader
from tensorlogic.runtime.formats.coreml.header import COMPILED
from tensorlogic.runtime.formats.header import shown
from tensorlogic.runtime.outside import converted

_ARRAYS = {"float16": mx.float16, "float32": mx.float32, "float64": mx.float32, "int32": mx.int32, "int8": mx.int8}
"""How an input's element type is converted to; Core ML widens to float64 what it wants so."""


class Runner:
    """One loaded model. Made by `load_runner`, which may take seconds: the model is compiled for the machine."""

    def __init__(self, header: FileHeader, loaded: Any) -> None:
        self.header = header
        self._loaded = loaded

    def predict(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Outputs by name: arrays as `mx.array`, in Core ML's own element types; others as they are.

        `values` are arrays of any library, nested lists or numbers for an array, and go to Core ML as they are for an
        image, a text or a dictionary. Raises `ModelFileError` (TL4052) for other names than those of the inputs and
        for what Core ML refuses, `BoundaryError` for values that do not become the input's element type.
        """
        self._check_names(values)
        given = {
            feature.name: _given(values[feature.name], feature.name, feature.dtype, str(self.header.path))
            if feature.kind == "array"
            else values[feature.name]
            for feature in self.header.inputs
            if feature.name in values
        }
        try:
            results = self._loaded.predict(given)
        except Exception as problem:
            # What Apple's runtime raises is not ours to list.
            self._refuse(f"Core ML says: {shown(str(problem) or type(problem).__name__)}")
        return {name: mx.array(value) if isinstance(value, np.ndarray) else value for name, value in results.items()}

    def _check_names(self, values: Mapping[str, Any]) -> None:
        known = [feature.name for feature in self.header.inputs if feature.kind != "state"]
        if len(known) != len(self.header.inputs):
            self._refuse("it keeps a state from one call to the next, which `predict` does not hold yet")
        extra = [name for name in values if name not in known]
        missing = [f.name for f in self.header.inputs if f.name not in values and not f.optional]
        if extra:
            self._refuse(f"it has no input `{shown(str(extra[0]))}`")
        if missing:
            self._refuse(f"its input `{shown(missing[0])}` is not given")

    def _refuse(self, what: str) -> NoReturn:
        inputs = ", ".join(shown(str(feature)) for feature in self.header.inputs[:8])
        raise ModelFileError("TL4052", f"`{self.header.path}` cannot predict: {what}", notes=[f"its inputs: {inputs}"])


def load_runner(header: FileHeader) -> Runner:
    """Apple's runtime with the model in it. Raises `ModelFileError` (TL4050 to TL4052) where that is not possible."""
    if header.format != "coreml":
        what = f"`{header.path}` holds weights alone, and no program that could predict"
        raise ModelFileError("TL4052", what, helps=["write the program in TensorLogic, and `bind` these weights"])
    if platform.system() != "Darwin":
        raise ModelFileError(
            "TL4050",
            f"`{header.path}` is run by macOS alone, and this is {platform.system()}",
            helps=[
                "read its weights here with `get_tensor`, and write the program in TensorLogic",
                "or call `predict` on a Mac",
            ],
        )
    try:
        library = importlib.import_module("coremltools.models")
    except ImportError:
        raise ModelFileError(
            "TL4051",
            "Core ML models are run by `coremltools`, which is not installed",
            helps=["pip install 'tensorlogic-mlx[coreml]'"],
        ) from None
    kind = library.CompiledMLModel if header.path.suffix == COMPILED else library.MLModel
    try:
        return Runner(header, kind(str(header.path)))
    except Exception as problem:
        raise ModelFileError(
            "TL4052", f"`{header.path}` cannot predict: Core ML says: {shown(str(problem) or type(problem).__name__)}"
        ) from None


def _given(value: Any, name: str, dtype: str | None, where: str) -> Any:
    """The value of an input as a NumPy array of its element type."""
    wanted = _ARRAYS.get(dtype or "", mx.float32)
    return np.array(converted(value, name, wanted, f"an array of {dtype}", where))
