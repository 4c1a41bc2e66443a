"""Structs filled from model files by their fields' keys (language.md, section 9.2).

Every missing tensor is told in one error; shapes are validated by the struct's own constructor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import mlx.core as mx

from tensorlogic.runtime.errors import ModelFileError
from tensorlogic.runtime.models import Model
from tensorlogic.runtime.packed import Packed


@dataclass(frozen=True, slots=True)
class Field:
    """A field: its keys (alternatives, `{i}` for a list's index), its struct's class, and what else it may be.

    `dtype` is a tensor's declared type, or the name of the struct's attribute that holds it.
    """

    name: str
    keys: tuple[str, ...]
    dtype: mx.Dtype | str | None = None
    struct: Any = None
    listed: bool = False
    optional: bool = False


def tensors_of(net: Any, prefix: str = "") -> dict[str, mx.array | Packed]:
    """A struct's tensors by the first of each field's keys, in their declared types: what `save_model` writes."""
    found: dict[str, mx.array | Packed] = {}
    for field in net._model_fields():
        value, key = getattr(net, field.name), _joined(prefix, field.keys[0])
        items = enumerate(value) if field.listed and value is not None else [(None, value)]
        for index, item in items:
            name = key if index is None else key.replace("{i}", str(index))
            if item is not None and field.struct is not None:
                found.update(tensors_of(item, name))
            elif item is not None:
                dtype = getattr(net, field.dtype) if isinstance(field.dtype, str) else field.dtype
                found[name] = item if isinstance(item, Packed) or dtype is None else item.astype(dtype)
    return found


def bind(cls: Any, model: Model, prefix: str, dims: dict[str, int]) -> Any:
    """An instance of a struct's class. Raises ModelFileError TL4020 for what the model lacks, TL5001 for shapes."""
    missing: list[str] = []
    values = _values(model, prefix, cls._model_fields(), missing)
    if missing:
        shown = missing[:20] + ([f"and {len(missing) - 20} more"] if len(missing) > 20 else [])
        raise ModelFileError(
            "TL4020", f"the model lacks {len(missing)} tensors that `{cls.__name__}` needs", notes=shown
        )
    return cls(**values, **dims)


def _values(model: Model, prefix: str, fields: Sequence[Field], missing: list[str]) -> dict[str, Any]:
    return {field.name: _field(model, prefix, field, missing) for field in fields}


def _field(model: Model, prefix: str, field: Field, missing: list[str]) -> Any:
    keys = [_joined(prefix, key) for key in field.keys]
    if field.listed:
        return _list(model, keys, field, missing)
    if field.struct is not None:
        key = next((k for k in keys if _anything_below(model, k)), None)
        if key is None and field.optional:
            return None
        return _struct(model, key if key is not None else keys[0], field, missing)
    key = next((k for k in keys if model.has(k)), None)
    if key is not None:
        return model.get_tensor(key)
    if not field.optional:
        missing.append(" or ".join(keys))
    return None


def _struct(model: Model, prefix: str, field: Field, missing: list[str]) -> Any:
    """A struct's instance; None while tensors are missing, since then no instance is made at all."""
    before = len(missing)
    inner = _values(model, prefix, field.struct._model_fields(), missing)
    return field.struct(**inner) if len(missing) == before else None


def _list(model: Model, keys: list[str], field: Field, missing: list[str]) -> tuple[Any, ...]:
    """The items counted from 0 without a gap."""
    found: list[Any] = []
    single = Field(field.name, (), struct=field.struct)
    while True:
        places = [k.replace("{i}", str(len(found))) for k in keys]
        if field.struct is not None:
            key = next((k for k in places if _anything_below(model, k)), None)
            if key is None:
                break
            found.append(_struct(model, key, single, missing))
        else:
            key = next((k for k in places if model.has(k)), None)
            if key is None:
                break
            found.append(model.get_tensor(key))
    if not found and not field.optional:
        missing.append(" or ".join(k.replace("{i}", "0") for k in keys))
    return tuple(found)


def _joined(prefix: str, key: str) -> str:
    return f"{prefix}.{key}" if prefix and key else prefix or key


def _anything_below(model: Model, prefix: str) -> bool:
    return not prefix or any(name == prefix or name.startswith(f"{prefix}.") for name in model.tensors)
