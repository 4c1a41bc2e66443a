"""The op table's entries on shapes, and how they become MLX.

A lowering writes each operand once. What would need an operand's sizes a second time, or has indices that MLX does not
look after, is a function of the runtime. A pack has any number of dims, so with one an axis is counted from the right,
and a permutation is a sequence of swaps.
"""

from __future__ import annotations

from itertools import accumulate

from tensorlogic.compiler.ops import gather_rules, shape_patterns, shape_rules
from tensorlogic.compiler.ops.growth import growing
from tensorlogic.compiler.ops.lowering import Call, Text
from tensorlogic.compiler.ops.reduce import surely_has_items
from tensorlogic.compiler.ops.shape_patterns import Group, Side, names_of, rearrange_sides, tensors_of
from tensorlogic.compiler.ops.table import Op
from tensorlogic.compiler.types import (
    BFLOAT16,
    FLOAT16,
    ElementVariable,
    IntType,
    NoneType,
    StringType,
    TensorType,
    TupleType,
)

# --- axes


def swaps(order: list[int]) -> list[tuple[int, int]]:
    """Swaps of two places, in turn, that bring 0...n-1 into an order."""
    now, result = list(range(len(order))), []
    for place, wanted in enumerate(order):
        other = now.index(wanted)
        if other != place:
            now[place], now[other] = now[other], now[place]
            result.append((place, other))
    return result


def permuted(x: Text, order: list[int], packed: bool) -> Text:
    """The last dims of `x` in another order, all of its dims where it has no pack."""
    count = len(order)
    if order == list(range(count)):
        return x
    if not packed:
        return Text(f"{x:atom}.T" if order == [1, 0] else f"{x:atom}.transpose({', '.join(map(str, order))})")
    code = f"{x:atom}"
    for a, b in swaps(order):
        code += f".swapaxes({a - count}, {b - count})"
    return Text(code)


def _lower_permute(call: Call) -> Text:
    shape = call.tensor("x").shape
    axes = call.constants("axes")
    count = len(shape.dims)
    if isinstance(call.types["axes"], NoneType):
        axes = tuple(reversed(range(count)))
    order = [axis % count for axis in axes or ()]
    return permuted(call["x"], order, shape.pack is not None)


def _lower_transpose_last(call: Call) -> Text:
    flat = call.tensor("x").shape.rank == 2
    return Text(f"{call['x']:atom}.T" if flat else f"{call['x']:atom}.swapaxes(-1, -2)")


def _lower_roll(call: Call) -> Text:
    """MLX takes shifts of 32 bits."""
    shift = call.constant_int("shift")
    function = "mx.roll" if shift is not None and abs(shift) < 2**31 else call.names.runtime("roll")
    return Text(f"{function}({call['x']}, {call['shift']}, {call['axis']})")


def _lower_flip(call: Call) -> Text:
    if isinstance(call.types["axis"], NoneType):
        return Text(f"mx.flip({call['x']})")
    return Text(f"mx.flip({call['x']}, {call['axis']})")


# --- sizes


def _lower_pad(call: Call) -> Text:
    given = not isinstance(call.types["value"], NoneType)
    if call.tensor("x").shape.pack is not None:
        value = call["value"].code if given else "0"
        return Text(f"{call.names.runtime('pad_last')}({call['x']}, {call['widths']}, {value})")
    value = f", constant_values={call['value']}" if given else ""
    return Text(f"mx.pad({call['x']}, {call['widths']:list}{value})")


def _lower_split(call: Call) -> Text:
    sizes = call.types["sizes"]
    if isinstance(sizes, IntType):
        return Text(f"tuple(mx.split({call['x']}, {call['sizes']}, {call['axis']}))")
    constants = call.constants("sizes")
    assert isinstance(call.result, TupleType)
    if constants is not None and len(constants) == len(call.result.items):
        ends = list(accumulate(constants))[:-1]
        return Text(f"tuple(mx.split({call['x']}, {ends}, {call['axis']}))")
    return Text(f"{call.names.runtime('split')}({call['x']}, {call['sizes']}, {call['axis']})")


def _lower_astype(call: Call) -> Text:
    """Half precision is rounded to where it can be seen, whatever carries it."""
    assert isinstance(call.result, TensorType)
    source, target = call.tensor("x").element, call.result.element
    x = f"{call['x']:atom}"
    carried = call.names.dtype(target)
    if (target in (FLOAT16, BFLOAT16) or isinstance(target, ElementVariable)) and source.kind != "bool":
        seen = call.names.visible_dtype(target)
        return Text(f"{x}.astype({seen})" + (f".astype({carried})" if carried != seen else ""))
    return call["x"] if source == target else Text(f"{x}.astype({carried})")


# --- indices


def indexed(call: Call, function: str, *arguments: str) -> Text:
    """A function of the runtime that clamps indices, or its sibling that reports them."""
    if call.checked:
        return Text(f"{call.names.runtime(f'{function}_checked')}({', '.join(arguments)}, {call.where!r})")
    return Text(f"{call.names.runtime(function)}({', '.join(arguments)})")


def _lower_take(call: Call) -> Text:
    return indexed(call, "take", call["x"].code, call["ids"].code, call["axis"].code)


def _lower_gather(call: Call) -> Text:
    return indexed(call, "take_along", call["x"].code, call["ids"].code, call["axis"].code)


def _lower_scatter(call: Call) -> Text:
    return indexed(call, "put_along", call["x"].code, call["ids"].code, call["values"].code, call["axis"].code)


def _lower_slice_update(call: Call) -> Text:
    axes = tuple(range(-len(call.tensor("x").shape.dims), 0))
    starts = f"mx.array({call['starts']}, dtype=mx.int32)"
    return Text(f"mx.slice_update({call['x']}, {call['update']}, {starts}, {axes})")


# --- patterns


def _text_pattern(call: Call) -> shape_patterns.Pattern:
    type = call.types["pattern"]
    assert isinstance(type, StringType)
    assert type.constant is not None
    return shape_patterns.parse(type.constant)


def _lower_rearrange(call: Call) -> Text:
    """Dims of 1 dropped, groups of the left taken apart, names in their new order, groups of the right joined."""
    shape = call.tensor("operand").shape
    packed = shape.pack is not None
    before, after = rearrange_sides(_text_pattern(call), len(shape.dims))
    x = _without_ones(call["operand"], before, packed)
    kept = tuple(group for group in before if group)
    x = _taken_apart(call, x, kept, packed)
    old, new = names_of(kept), names_of(after)
    x = permuted(x, [old.index(name) for name in new], packed)
    x = _joined(x, tuple(group for group in after if group), packed)
    return _with_ones(x, after, packed)


def _axis(place: int, count: int, packed: bool) -> int:
    return place - count if packed else place


def _without_ones(x: Text, side: Side, packed: bool) -> Text:
    places = [_axis(i, len(side), packed) for i, group in enumerate(side) if not group]
    return Text(f"mx.squeeze({x}, {_one_or_all(places)})") if places else x


def _with_ones(x: Text, side: Side, packed: bool) -> Text:
    places = [_axis(i, len(side), packed) for i, group in enumerate(side) if not group]
    return Text(f"mx.expand_dims({x}, {_one_or_all(places)})") if places else x


def _one_or_all(places: list[int]) -> str:
    return str(places[0]) if len(places) == 1 else str(tuple(places))


def _taken_apart(call: Call, x: Text, side: Side, packed: bool) -> Text:
    """From the right, so that the places of what is still to come stay as they are; from the left with a pack."""
    groups = list(enumerate(side))
    count = len(side)
    for place, group in groups if packed else reversed(groups):
        if len(group) > 1:
            x = Text(f"mx.unflatten({x}, {_axis(place, count, packed)}, ({', '.join(_sizes(call, group))}))")
    return x


def _sizes(call: Call, group: Group) -> list[str]:
    return [call[name].code if name in call.operands else "-1" for name in group]


def _joined(x: Text, side: Side, packed: bool) -> Text:
    """Each group's dims flattened, the first group first: with a pack the last one."""
    starts = [0, *accumulate(len(group) for group in side)]
    count = starts[-1]
    groups = list(zip(starts, side, strict=False))
    for start, group in groups if packed else reversed(groups):
        if len(group) > 1:
            first, last = (_axis(i, count, packed) for i in (start, start + len(group) - 1))
            x = Text(f"mx.flatten({x}, {first}, {last})")
    return x


def _lower_einsum(call: Call) -> Text:
    names = tensors_of(call.operands)
    letters = shape_patterns.einsum_letters(_text_pattern(call))
    operands = ", ".join(call[name].code for name in names)
    # A sum over a dim of 0 is MLX's to get wrong: see the runtime's function.
    plain = all(surely_has_items(call.tensor(name).shape) for name in names)
    function = "mx.einsum" if plain else call.names.runtime("einsum")
    return Text(f'{function}("{letters}", {operands})')


OPS: tuple[Op, ...] = (
    Op("reshape", "mx.reshape({x}, {shape})", rule=shape_rules.reshape, coreml="reshape"),
    Op("transpose", _lower_permute, rule=shape_rules.permute, coreml="transpose"),
    Op("permute", _lower_permute, rule=shape_rules.permute, coreml="transpose"),
    Op("transpose_last", _lower_transpose_last, rule=shape_rules.transpose_last, parameters=("x",), coreml="transpose"),
    Op("squeeze", "mx.squeeze({x}, {axis})", rule=shape_rules.squeeze, coreml="squeeze"),
    Op("unsqueeze", "mx.expand_dims({x}, {axis})", rule=shape_rules.unsqueeze, coreml="expand_dims"),
    Op("concat", "mx.concatenate({tensors:list}, {axis})", rule=gather_rules.concat, coreml="concat"),
    Op("stack", "mx.stack({tensors:list}, {axis})", rule=gather_rules.stack, coreml="stack"),
    Op("split", _lower_split, rule=gather_rules.split, coreml="split"),
    Op("broadcast_to", growing("mx.broadcast_to({x}, {shape})"), rule=shape_rules.broadcast_to),
    Op("flip", _lower_flip, rule=shape_rules.flip, coreml="reverse"),
    Op("roll", _lower_roll, rule=shape_rules.same_shape_along_axis),
    Op("repeat", growing("mx.repeat({x}, {n}, {axis})"), rule=shape_rules.repeat),
    Op("tile", growing("mx.tile({x}, {reps})"), rule=shape_rules.tile, coreml="tile"),
    Op("pad", growing(_lower_pad), rule=shape_rules.pad, coreml="pad"),
    Op("take", _lower_take, rule=gather_rules.take, coreml="gather"),
    Op("gather", _lower_gather, rule=gather_rules.gather, coreml="gather_along_axis"),
    Op("scatter", _lower_scatter, rule=gather_rules.scatter, coreml="scatter_along_axis"),
    Op("slice_update", _lower_slice_update, rule=gather_rules.slice_update, coreml="slice_update"),
    Op("rearrange", _lower_rearrange, rule=shape_patterns.rearrange, keywords=True),
    Op("einsum", growing(_lower_einsum), rule=shape_patterns.einsum, variadic=True),
    Op("astype", _lower_astype, rule=shape_rules.astype, sees=True, coreml="cast"),
)
