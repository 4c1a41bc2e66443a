"""Values from files in the precision in which programs carry them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import mlx.core as mx

from tensorlogic.runtime.device import carried, select
from tensorlogic.runtime.errors import BoundaryError
from tensorlogic.runtime.formats.header import shown
from tensorlogic.runtime.functions_kernels import cast, kept
from tensorlogic.runtime.origins import remember
from tensorlogic.runtime.outside import FLOATS, short
from tensorlogic.runtime.packed import Packed

if TYPE_CHECKING:
    from tensorlogic.runtime.models import Model


def weight(
    model: Model, name: str, dtype: mx.Dtype, where: str, *, carry: bool = True, reads: bool = False
) -> mx.array | Packed:
    """A model's tensor in the precision in which its element type is carried, or as it is without `carry`.

    With `reads` its floats are read as `dtype`, whatever the model's are. A packed weight stays packed, and a matrix is
    in the type in which products take it. Raises BoundaryError TL5002 where the model holds another type than the
    program says.
    """
    value = model.get_tensor(name, dtype if reads else None)
    if value.dtype != dtype:
        found, wanted = short(value.dtype), short(dtype)
        message = f"`{shown(name)}` of `{model.header.path}` holds {found}, not {wanted}"
        raise BoundaryError("TL5002", message, where=where, helps=[_help(value.dtype, dtype, name)])
    if carry and not isinstance(value, Packed):
        value = cast(value, kept(dtype) if value.ndim == 2 else carried(dtype))
    remember(value, model.header.path, name)
    return value


def _help(found: mx.Dtype, wanted: mx.Dtype, name: str) -> str:
    if found in FLOATS and wanted in FLOATS:
        return f"`load_model(..., dtype: {short(wanted)})` reads floats so"
    return f'`let w: {short(found)}[...] = model.get_tensor("{shown(name)}")` takes it, with its shape written out'


def tensor(values: Any, dtype: mx.Dtype, device: str | None = None) -> mx.array:
    """A tensor of host numbers. In unified memory the device decides where work runs, not where the numbers lie."""
    select("gpu" if device == "gpu" else "cpu" if device == "cpu" else None)
    return mx.array(values, dtype=dtype)
