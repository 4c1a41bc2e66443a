"""The weights of a Core ML neural network (`neuralNetwork` and its kin): `layer.weights`, `layer.bias` and the like.

Takes the network's message, gives a table of tensors. Weights stand inside of the file as float32, as float16, or as
bits that a table or a scale and a bias for each output channel expand. Their shapes are those that the format gives
them: `[out, in]` for a dense layer, `[out, in, height, width]` for a convolution, `[width, vocabulary]` for an
embedding. A layer whose weights have no shape (`custom`) gives vectors. The messages:
https://github.com/apple/coremltools/blob/main/mlmodel/format/NeuralNetwork.proto.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from tensorlogic.runtime.formats.coreml.protobuf import Message, Place
from tensorlogic.runtime.formats.coreml.recipes import PACKED, Misfit, Node, Source, blocks, computed_info, lookup
from tensorlogic.runtime.formats.header import (
    MAX_RANK,
    MAX_TENSORS,
    TensorInfo,
    check_shape,
    damaged,
    shown,
    unsupported,
)

Shape = tuple[int, ...]
Shapes = Callable[[Message], tuple[Shape | None, ...]]


@dataclass(frozen=True, slots=True)
class _Kind:
    """The weights of one kind of layer: their fields and names, and their shapes in that order."""

    fields: Mapping[int, str]
    shapes: Shapes


def _fixed(*shape: int) -> Shapes:
    """One shape for all weights, made of the numbers in these fields."""
    return lambda m: (tuple(m.integer(number) for number in shape),) * 32


def _matrix(out: int, inner: int) -> Shapes:
    """A matrix [out, inner] and a bias [out]."""
    return lambda m: ((m.integer(out), m.integer(inner)), (m.integer(out),))


def _listed(*numbers: int) -> Shapes:
    """The shapes that the layer lists, one for each weight."""
    return lambda m: tuple(m.signed_items(number, MAX_RANK) for number in numbers)


def _convolution(m: Message) -> tuple[Shape, ...]:
    out, inner, groups = m.integer(1), m.integer(2), m.integer(10) or 1
    kernel = m.signed_items(20, 2) or (3, 3)
    return ((inner, out // groups, *kernel) if m.integer(60) else (out, inner, *kernel)), (out,)


def _convolution3d(m: Message) -> tuple[Shape, ...]:
    out, inner, groups = m.integer(1), m.integer(2), m.integer(10) or 1
    kernel = (m.integer(20), m.integer(21), m.integer(22))
    return ((inner, out // groups, *kernel) if m.integer(86) else (out, inner // groups, *kernel)), (out,)


def _recurrent(gates: int) -> Shapes:
    """Matrices [out, in] and [out, out] and vectors [out], as many of each as there are gates."""

    def shapes(m: Message) -> tuple[Shape, ...]:
        inner, out = m.integer(1), m.integer(2)
        return ((out, inner),) * gates + ((out, out),) * gates + ((out,),) * gates

    return shapes


_KINDS = {
    100: _Kind({90: "weights", 91: "bias"}, _convolution),
    140: _Kind({20: "weights", 21: "bias"}, _matrix(2, 1)),
    150: _Kind({20: "weights", 21: "bias"}, _matrix(2, 1)),
    160: _Kind({15: "gamma", 16: "beta", 17: "mean", 18: "variance"}, _fixed(1)),
    245: _Kind({2: "scale", 5: "bias"}, _listed(1, 4)),
    250: _Kind({2: "bias"}, _listed(1)),
    290: _Kind({2: "data"}, _listed(1)),
    400: _Kind({30: "weightMatrix", 31: "recursionMatrix", 32: "biasVector"}, _recurrent(1)),
    410: _Kind(
        {
            30: "updateGateWeightMatrix",
            31: "resetGateWeightMatrix",
            32: "outputGateWeightMatrix",
            50: "updateGateRecursionMatrix",
            51: "resetGateRecursionMatrix",
            52: "outputGateRecursionMatrix",
            70: "updateGateBiasVector",
            71: "resetGateBiasVector",
            72: "outputGateBiasVector",
        },
        _recurrent(3),
    ),
    1040: _Kind({20: "weights", 21: "bias"}, _matrix(2, 1)),
    1045: _Kind({8: "weights", 9: "bias"}, _matrix(6, 5)),
    1070: _Kind({2: "data"}, _listed(1)),
    1350: _Kind({3: "gamma", 4: "beta"}, lambda m: (m.signed_items(1, MAX_RANK),) * 2),
    1471: _Kind({60: "weights", 61: "bias"}, _convolution3d),
}
_ACTIVATION, _ONE_LSTM, _TWO_LSTMS, _CUSTOM, _BRANCH, _LOOP = 130, 420, 430, 500, 605, 615
_ACTIVATIONS = {25: ("alpha",), 71: ("alpha", "beta")}
_NETWORKS = {_BRANCH: {1: "if", 2: "else"}, _LOOP: {3: "condition", 4: "body"}}
_LSTM = {
    1: "inputGateWeightMatrix",
    2: "forgetGateWeightMatrix",
    3: "blockInputWeightMatrix",
    4: "outputGateWeightMatrix",
    20: "inputGateRecursionMatrix",
    21: "forgetGateRecursionMatrix",
    22: "blockInputRecursionMatrix",
    23: "outputGateRecursionMatrix",
    40: "inputGateBiasVector",
    41: "forgetGateBiasVector",
    42: "blockInputBiasVector",
    43: "outputGateBiasVector",
    60: "inputGatePeepholeVector",
    61: "forgetGatePeepholeVector",
    62: "outputGatePeepholeVector",
}


def read_network(network: Message, prefix: str = "") -> dict[str, TensorInfo]:
    """The weights of every layer that has some, and of the networks nested in branches and loops."""
    tensors: dict[str, TensorInfo] = {}
    path = network.buffer.path
    for layer in network.messages(1):
        for info in _layer(layer, prefix + layer.text(1)):
            if info.name in tensors:
                damaged(path, f"two weights are called `{shown(info.name)}`")
            if len(tensors) == MAX_TENSORS:
                unsupported(path, f"it has more than {MAX_TENSORS} tensors")
            tensors[info.name] = info
    return tensors


def _layer(layer: Message, name: str) -> Iterator[TensorInfo]:
    found = layer.find(*_KINDS, _ACTIVATION, _ONE_LSTM, _TWO_LSTMS, _CUSTOM, *_NETWORKS)
    if found is None:
        return
    number, m = found
    if number in _KINDS:
        kind = _KINDS[number]
        channels = 1 if number == 100 and m.integer(60) else 0
        for (field, word), shape in zip(kind.fields.items(), kind.shapes(m), strict=False):
            yield from _weight(m.message(field), f"{name}.{word}", shape, channels)
    elif number == _ACTIVATION:
        for field, words in _ACTIVATIONS.items():
            activation = m.message(field)
            for place, word in enumerate(words, start=1):
                yield from _weight(activation and activation.message(place), f"{name}.{word}", None)
    elif number in (_ONE_LSTM, _TWO_LSTMS):
        for place, weights in enumerate(m.messages(20)):
            own = f"{name}.{('forward', 'backward')[place]}" if number == _TWO_LSTMS and place < 2 else name
            shapes = (*_recurrent(4)(m), *((m.integer(2),),) * 3)
            for (field, word), shape in zip(_LSTM.items(), shapes, strict=True):
                yield from _weight(weights.message(field), f"{own}.{word}", shape)
    elif number == _CUSTOM:
        for place, weights in enumerate(m.messages(20)):
            yield from _weight(weights, f"{name}.weights.{place}", None)
    else:
        for field, word in _NETWORKS[number].items():
            nested = m.message(field)
            if nested is not None:
                yield from read_network(nested, f"{name}.{word}.").values()


def _weight(weights: Message | None, name: str, shape: Shape | None, channels: int = 0) -> Iterator[TensorInfo]:
    """One weight, or nothing where the message is empty. `channels` is the axis that scales belong to."""
    if weights is None:
        return
    path = weights.buffer.path
    for number, kind, width in ((1, "F32", 4), (2, "F16", 2)):
        place = weights.place(number)
        if place is not None and place.nbytes:
            own = (place.nbytes // width,) if shape is None else shape
            _check(weights, name, own)
            if place.nbytes != math.prod(own) * width:
                damaged(path, f"weight `{shown(name)}` has {place.nbytes} bytes, and its shape is {list(own)}")
            yield TensorInfo(name, kind, own, "float16", place.start, place.nbytes, path)
            return
    raw = weights.place(30) or weights.place(31)
    quantization = weights.message(40)
    if raw is None or not raw.nbytes or quantization is None:
        return
    if shape is not None:
        _check(weights, name, shape)
    try:
        node = _expanded(raw, quantization, shape, channels, signed=weights.place(30) is None)
    except Misfit as misfit:
        damaged(path, f"weight `{shown(name)}`: {misfit}")
    if node is None:
        yield TensorInfo(name, "QUANTIZED", shape or (), "float16", raw.start, raw.nbytes, path, readable=False)
    else:
        yield computed_info(name, node, "float16", path)


def _check(weights: Message, name: str, shape: Shape) -> None:
    check_shape(weights.buffer.path, name, shape)


def _expanded(raw: Place, quantization: Message, shape: Shape | None, channels: int, *, signed: bool) -> Node | None:
    """The recipe of quantized weights; None for bits that have no name here. Raises `Misfit`."""
    bits = quantization.integer(1)
    kind = "I8" if signed else f"U{bits}"
    if bits != 8 if signed else kind not in PACKED:
        return None
    shape = (raw.nbytes * 8 // bits,) if shape is None else shape
    data = Source(kind, shape, raw.start, raw.nbytes, high_first=True)
    linear, table = quantization.message(101), quantization.message(102)
    if table is not None:
        return lookup(data, _floats(table.place(1), (*[1] * len(shape), 2**bits, 1)), None)
    if linear is None:
        return None
    scale, bias = linear.place(1), linear.place(2)
    added = None if bias is None else _by_channel(bias, shape, channels)
    return blocks(data, _by_channel(scale, shape, channels), None, added)


def _by_channel(place: Place | None, shape: Shape, channels: int) -> Source:
    """One number for all elements, or one for each channel."""
    count = 0 if place is None else place.nbytes // 4
    return _floats(place, tuple(count if axis == channels else 1 for axis in range(len(shape))))


def _floats(place: Place | None, shape: Shape) -> Source:
    if place is None:
        raise Misfit("it has no scales and no table")
    return Source("F32", shape, place.start, place.nbytes)
