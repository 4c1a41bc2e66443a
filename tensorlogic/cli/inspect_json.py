"""What `tlc inspect --json` prints: one object, whose members the command's help lists.

Takes what `tensorlogic.runtime` found, gives plain data that every JSON reader takes: numbers that JSON has not are the
texts "nan", "inf" and "-inf", and a long list of the metadata is the object {"list": its length}.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from tensorlogic.runtime.errors import ModelFileError
from tensorlogic.runtime.formats import FileHeader, MetadataValue, TensorInfo
from tensorlogic.runtime.formats.gguf.text import GGUF_KEY
from tensorlogic.runtime.formats.summary import Amount, amounts, architecture, quantization, stored_bytes

if TYPE_CHECKING:
    from tensorlogic.runtime.comparing import Comparison
    from tensorlogic.runtime.statistics import Statistics

_LONGEST_LIST = 1000

Object = dict[str, object]


def inspected(
    header: FileHeader, tensors: Sequence[TensorInfo], measured: Mapping[str, Statistics | ModelFileError] | None
) -> Object:
    """A model, with the tensors that were asked for and their statistics where they were measured."""
    by_storage = amounts(tensors)
    listed = []
    for info in tensors:
        one = _tensor(info)
        if measured is not None:
            one["statistics"] = _statistics(measured[info.name])
        listed.append(one)
    return {
        "path": str(header.path),
        "format": header.format,
        "architecture": architecture(header.metadata),
        "quantization": quantization(header.tensors.values()),
        "metadata": {key: _metadata(header, key) for key in header.metadata if key != GGUF_KEY},
        "inputs": {each.name: each.declared for each in header.inputs},
        "outputs": {each.name: each.declared for each in header.outputs},
        "tensors": listed,
        "totals": {
            **_amount(sum(by_storage.values(), Amount())),
            "storages": {storage: _amount(amount) for storage, amount in by_storage.items()},
        },
    }


def differences(second: FileHeader, found: Comparison) -> Object:
    """How a second model differs from the first."""
    return {
        "path": str(second.path),
        "equal": not found.differs,
        "equal_tensors": found.equal,
        "only_first": found.only_first,
        "only_second": found.only_second,
        "shapes": {name: [list(a), list(b)] for name, (a, b) in found.shapes.items()},
        "storages": {name: list(pair) for name, pair in found.storages.items()},
        "values": {
            name: {
                "max_abs": _number(apart.maximum),
                "rms": _number(apart.rms),
                "relative": _number(apart.relative),
                "differing": apart.differing,
                "elements": apart.count,
            }
            for name, apart in found.values.items()
        },
        "problems": {name: _problem(problem) for name, problem in found.problems.items()},
    }


def _tensor(info: TensorInfo) -> Object:
    layout = info.layout
    return {
        "name": info.name,
        "storage": info.storage,
        "dtype": info.dtype,
        "shape": list(info.shape),
        "bytes": stored_bytes(info),
        "packed": layout and {"bits": layout.bits, "group_size": layout.group_size, "mode": layout.mode},
        "readable": info.readable,
    }


def _statistics(result: Statistics | ModelFileError) -> Object:
    if isinstance(result, ModelFileError):
        return {"problem": _problem(result)}
    return {
        "elements": result.count,
        "min": _number(result.minimum),
        "max": _number(result.maximum),
        "mean": _number(result.mean),
        "rms": _number(result.rms),
        "nan": result.nans,
        "inf": result.infinities,
        "overflow": result.overflow_fraction,
        "underflow": result.underflow_fraction,
    }


def _problem(problem: ModelFileError) -> Object:
    return {"code": problem.code, "message": problem.message}


def _metadata(header: FileHeader, key: str) -> object:
    try:
        return _value(header.metadata[key])
    except ModelFileError as problem:  # texts that are no UTF-8 are found only now
        return {"problem": _problem(problem)}


def _value(value: MetadataValue) -> object:
    if isinstance(value, tuple):
        return [_value(item) for item in value] if len(value) <= _LONGEST_LIST else {"list": len(value)}
    return _number(value) if isinstance(value, float) else value


def _number(value: float | None) -> object:
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _amount(amount: Amount) -> Object:
    return {"tensors": amount.tensors, "parameters": amount.elements, "bytes": amount.nbytes}
