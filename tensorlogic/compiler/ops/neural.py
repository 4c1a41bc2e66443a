"""The op table's entries for layers of neural networks, and how they become MLX.

What our CPU kernels have is called by the runtime's function of the same name, which chooses between them and MLX's own
fused operation; in a standalone module MLX's is called directly where all it needs is known while compiling. Weights
have PyTorch's order of dims and are turned into MLX's by a view. Weights of `linear` and `embedding` may be packed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tensorlogic.compiler.dims import Polynomial
from tensorlogic.compiler.ops import neural_rules
from tensorlogic.compiler.ops.growth import guarded
from tensorlogic.compiler.ops.lowering import PRODUCT, SUM, Call, Text
from tensorlogic.compiler.ops.products import allowed, product
from tensorlogic.compiler.ops.shape import indexed
from tensorlogic.compiler.ops.shape_rules import same_shape_along_axis
from tensorlogic.compiler.ops.table import Op
from tensorlogic.compiler.types import (
    BoolType,
    ElementVariable,
    FloatType,
    IntType,
    NoneType,
    OptionalType,
    TensorType,
    TupleType,
    Type,
)


def _given(call: Call, name: str) -> bool:
    return not isinstance(call.types[name], NoneType)


# --- linear layers


def _lower_linear(call: Call) -> Text:
    """One kernel adds the bias, which may be none when it runs."""
    x, weight, bias = call["x"], call["weight"], call["bias"]
    if not _given(call, "bias"):
        return product(call, "x", "weight", transpose=True)
    if call.standalone and not isinstance(call.types["bias"], OptionalType):
        return guarded(call, Text(f"mx.addmm({bias}, {x}, {weight:atom}.T)"))
    text = Text(f"{call.names.runtime('linear')}({x}, {weight}, {bias}{allowed(call, 'weight')})")
    return text if "weight" in call.packed else guarded(call, text)


def _lower_embedding(call: Call) -> Text:
    ids, weight = call["ids"].code, call["weight"]
    if "weight" not in call.packed:
        return indexed(call, "take", weight.code, ids, "0")
    if call.checked:
        ids = f"{call.names.runtime('require_ids')}({ids}, {weight:atom}.shape[0], {call.where!r})"
    element = call.tensor("weight").element
    # Without it the rows of a packed weight get the type in which the device carries its own.
    told = call.strict or not isinstance(element, ElementVariable)
    dtype = f", {call.names.dtype(element, weight)}" if told else ""
    return Text(f"{call.names.runtime('embedding')}({ids}, {weight}{dtype})")


# --- norms


def _lower_norm(name: str, call: Call) -> Text:
    function = f"mx.fast.{name}" if call.standalone else call.names.runtime(name)
    return Text(f"{function}({', '.join(text.code for text in call.operands.values())})")


def _lower_batch_norm(call: Call) -> Text:
    operands = ", ".join(call[name].code for name in ("x", "mean", "variance", "weight", "bias", "eps"))
    return Text(f"{call.names.runtime('batch_norm')}({operands})")


# --- convolution and pooling


def _with_bias(call: Call, product: str) -> Text:
    if isinstance(call.types["bias"], OptionalType):
        return Text(f"{call.names.runtime('biased')}({product}, {call['bias']})")
    return Text(f"{product} + {call['bias'].within(PRODUCT)}", SUM) if _given(call, "bias") else Text(product)


def _windows(call: Call) -> str:
    """The numbers of a convolution that are not MLX's defaults."""
    given = [(name, least) for name, least in (("stride", 1), ("padding", 0), ("dilation", 1), ("groups", 1))]
    return "".join(f", {name}={_pair(call, name)}" for name, least in given if call.constant_int(name) != least)


def _pair(call: Call, name: str) -> str:
    """A pair of ints is a list in emitted code; MLX takes tuples only."""
    return call[name].code if isinstance(call.types[name], IntType) else f"tuple({call[name]})"


def _lower_conv1d(call: Call) -> Text:
    return _with_bias(call, f"mx.conv1d({call['x']}, {call['weight']:atom}.swapaxes(1, 2){_windows(call)})")


def _lower_conv2d(call: Call) -> Text:
    return _with_bias(call, f"mx.conv2d({call['x']}, {call['weight']:atom}.transpose(0, 2, 3, 1){_windows(call)})")


def _lower_pool(function: str, call: Call) -> Text:
    kernel, padding = _both(call, "kernel"), _both(call, "padding")
    stride = _both(call, "stride") if _given(call, "stride") else kernel
    return Text(f"{call.names.runtime(function)}({call['x']}, {kernel}, {stride}, {padding})")


def _both(call: Call, name: str) -> str:
    """A number for each spatial dim."""
    if not isinstance(call.types[name], IntType):
        return call[name].code
    return f"({call[name]}, {call[name]})"


# --- attention, rotary positions, dropout


def _lower_update(call: Call) -> Text:
    """Half precision is kept as it can be seen, whatever carries it."""
    window = f", {call['window']}" if _given(call, "window") else ""
    dtype = call.names.visible_dtype(call.tensor("k").element)
    return Text(f"{call['cache']:atom}.update({call['layer']}, {call['k']}, {call['v']}{window}, dtype={dtype})")


def _bounds_of_update(operands: Sequence[Type], result: Type) -> Iterator[Polynomial]:
    """All keys are at least as many as the new ones."""
    k = operands[2]
    assert isinstance(k, TensorType)
    assert isinstance(result, TupleType)
    ks = result.items[0]
    assert isinstance(ks, TensorType)
    yield ks.shape.dims[-2] - k.shape.dims[-2]
    yield ks.shape.dims[-2] - 1


def _scale(call: Call) -> str | None:
    """The factor of the scores; None where only run time knows it."""
    if _given(call, "scale"):
        return call["scale"].code if isinstance(call.types["scale"], FloatType) else None
    width = call.tensor("q").shape.dims[-1].constant
    return repr(width**-0.5) if width else None


def _lower_attention(call: Call) -> Text:
    operands = f"{call['q']}, {call['k']}, {call['v']}"
    if call.standalone:
        return _attention_by_mlx(call, operands)
    given = {name: call[name].code for name in ("mask", "causal", "window", "soft_cap")}
    given = {"scale": _scale(call) or call["scale"].code, **given}
    named = [f", {name}={text}" for name, text in given.items() if text not in ("None", "False")]
    return Text(f"{call.names.runtime('attention')}({operands}{''.join(named)})")


def _attention_by_mlx(call: Call, operands: str) -> Text:
    causal, scale = call.types["causal"], _scale(call)
    known = isinstance(causal, BoolType) and causal.constant is not None and scale is not None
    more = _given(call, "window") or _given(call, "soft_cap")
    if not known or more or (causal == BoolType(True) and _given(call, "mask")):
        rest = ", ".join(call[name].code for name in ("scale", "mask", "causal", "window", "soft_cap"))
        return Text(f"{call.names.runtime('attention')}({operands}, {rest})")
    mask = '"causal"' if causal == BoolType(True) else call["mask"].code
    suffix = "" if mask == "None" else f", mask={mask}"
    return Text(f"mx.fast.scaled_dot_product_attention({operands}, scale={scale}{suffix})")


_ROPE = {"offset": "0", "base": "10000.0", "traditional": "False", "scale": "1.0", "dims": "None", "periods": "None"}
"""What rotary positions are where the program says nothing."""


def _lower_rope(call: Call) -> Text:
    if call.standalone:
        return _rope_by_mlx(call)
    given = [f", {name}={call[name]}" for name, default in _ROPE.items() if call[name].code != default]
    return Text(f"{call.names.runtime('rope')}({call['x']}{''.join(given)})")


def _rope_by_mlx(call: Call) -> Text:
    shape = call.tensor("x").shape
    width = call["dims"].code if _given(call, "dims") else str(shape.dims[-1].constant)
    if len(shape.dims) < 3 or width == "None" or _given(call, "periods"):
        names = ("x", *_ROPE)
        return Text(f"{call.names.runtime('rope')}({', '.join(call[name].code for name in names)})")
    named = ", ".join(f"{name}={call[name]}" for name in ("traditional", "base", "scale", "offset"))
    return Text(f"mx.fast.rope({call['x']}, {width}, {named})")


def _lower_dropout(call: Call) -> Text:
    rate = call.types["rate"]
    if isinstance(rate, FloatType) and rate.constant == 0:
        return call["x"]
    return Text(f"{call.names.runtime('dropout')}({call['x']}, {call['rate']}, {call['key']})")


_SAMPLE = {"temperature": "1.0", "top_k": "0", "top_p": "1.0", "min_p": "0.0"}


def _lower_sample(call: Call) -> Text:
    given = [f", {name}={call[name]}" for name, default in _SAMPLE.items() if call[name].code != default]
    return Text(f"{call.names.runtime('sample')}({call['logits']}, {call['key']}{''.join(given)})")


def _lower_softmax(call: Call) -> Text:
    axis, rank = call.constant_int("axis"), call.tensor("x").shape.rank
    if call.standalone or axis is None or axis not in (-1, (rank or 0) - 1):
        return Text(f"mx.softmax({call['x']}, {call['axis']}, precise=True)")
    return Text(f"{call.names.runtime('softmax')}({call['x']})")


def _lower_log_softmax(call: Call) -> Text:
    return Text(f"{call.names.runtime('log_softmax')}({call['x']}, {call['axis']})")


_WEIGHT = frozenset({"weight"})

OPS: tuple[Op, ...] = (
    Op("softmax", _lower_softmax, rule=same_shape_along_axis, coreml="softmax"),
    Op("log_softmax", _lower_log_softmax, rule=same_shape_along_axis),
    Op("layer_norm", lambda call: _lower_norm("layer_norm", call), coreml="layer_norm"),
    Op("rms_norm", lambda call: _lower_norm("rms_norm", call)),
    Op("batch_norm", _lower_batch_norm, coreml="batch_norm"),
    Op("linear", _lower_linear, packed=_WEIGHT, coreml="linear"),
    Op("embedding", _lower_embedding, packed=_WEIGHT, coreml="gather"),
    Op("conv1d", _lower_conv1d, rule=neural_rules.conv1d, coreml="conv"),
    Op("conv2d", _lower_conv2d, rule=neural_rules.conv2d, coreml="conv"),
    Op("max_pool2d", lambda call: _lower_pool("max_pool", call), rule=neural_rules.pool2d, coreml="max_pool"),
    Op("avg_pool2d", lambda call: _lower_pool("avg_pool", call), rule=neural_rules.pool2d, coreml="avg_pool"),
    Op("sample", _lower_sample),
    Op("dropout", _lower_dropout, rule=neural_rules.dropout),
    Op("attention", _lower_attention, rule=neural_rules.attention, coreml="scaled_dot_product_attention"),
    Op("update_cache", _lower_update, effect=True, sees=True, bounds=_bounds_of_update),
    Op("rope", _lower_rope, rule=neural_rules.rope),
)
