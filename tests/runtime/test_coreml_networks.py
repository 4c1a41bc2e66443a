"""Weights of Core ML neural networks (`.mlmodel`), pipelines, and models without weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest

from tensorlogic.runtime.errors import ModelFileError
from tensorlogic.runtime.models import Model, load_model, save_model
from tests.runtime.core_ml_files import Array, tools, write_network

RANDOM = np.random.default_rng(4)
LINEAR, TABLE = "_QUANTIZATION_MODE_LINEAR_QUANTIZATION", "_QUANTIZATION_MODE_LOOKUP_TABLE_LINEAR"


def singles(*shape: int) -> Array:
    return RANDOM.normal(size=shape).astype(np.float32)


def elements(path: Path, name: str) -> Array:
    tensor = load_model(path, dtype="float32").get_tensor(name)
    assert isinstance(tensor, mx.array)
    return np.array(tensor)


def same(path: Path, name: str, wanted: Array) -> bool:
    found = elements(path, name)
    return found.shape == wanted.shape and found.tobytes() == wanted.astype(np.float32).tobytes()


def test_layers_of_every_kind(tmp_path: Path) -> None:
    kernel, transposed = singles(3, 3, 3, 4), singles(3, 3, 4, 5)
    dense, vector = singles(6, 8), singles(6)
    norm = [singles(3), singles(3), singles(3), np.abs(singles(3))]
    words, lstm = singles(5, 11), [singles(2, 8) for _ in range(4)]
    recursion, constant, slopes = [singles(2, 2) for _ in range(4)], singles(2, 3, 4), singles(3)

    def build(b: Any) -> None:
        b.add_convolution("conv", 3, 4, 3, 3, 1, 1, "same", 1, kernel, singles(4) * 0 + 1, True, False, None, "x", "a")
        b.add_convolution("up", 4, 5, 3, 3, 1, 1, "same", 1, transposed, None, False, True, None, "a", "b")
        b.add_batchnorm("norm", 3, *norm, "x", "c")
        b.add_inner_product("dense", dense, vector, 8, 6, True, "x", "d")
        b.add_embedding("words", words, None, 11, 5, False, "x", "e")
        b.add_embedding_nd("more_words", "x", "f", 11, 5, words)
        b.add_unilstm("lstm", recursion, lstm, [singles(2)] * 4, 2, 8, ["x", "h", "c0"], ["g", "h1", "c1"])
        b.add_bidirlstm(
            "both", recursion, lstm, None, recursion[::-1], lstm[::-1], None, 2, 8,
            ["x", "h", "c0", "h2", "c2"], ["i", "h3", "c3", "h4", "c4"],
        )  # fmt: skip
        b.add_gru("gru", recursion[:3], lstm[:3], None, 2, 8, ["x", "h"], ["j", "h5"])
        b.add_simple_rnn("rnn", recursion[0], lstm[0], None, 2, 8, "TANH", ["x", "h"], ["k", "h6"])
        b.add_load_constant_nd("constant", "l", constant, constant.shape)
        b.add_activation("slopes", "PRELU", "x", "m", slopes)
        b.add_scale("scale", singles(3, 1, 1) * 0 + 2, np.array([4.0], np.float32), True, "x", "n", [3, 1, 1], [1])
        b.add_bias("bias", slopes, "x", "o", [3])
        b.add_layer_normalization("layer_norm", "x", "p", [3, 8], singles(3, 8) * 0 + 3, singles(3, 8) * 0 + 4)
        b.add_batched_mat_mul("product", ["x"], "y", False, False, 8, 6, dense.T.copy(), vector)

    path = write_network(tmp_path / "m.mlmodel", build)
    model = load_model(path)
    assert (model.metadata.format, model.metadata.architecture) == ("coreml", "neuralNetwork")
    assert [str(feature) for feature in model.inputs] == ["x: float64[3, 8, 8]"]
    # The builder takes [height, width, in, out]; the file has [out, in, height, width].
    assert same(path, "conv.weights", kernel.transpose(3, 2, 0, 1))
    assert same(path, "conv.bias", np.ones(4))
    assert same(path, "up.weights", transposed.transpose(2, 3, 0, 1))
    assert not model.has("up.bias")
    for word, values in zip(("gamma", "beta", "mean", "variance"), norm, strict=True):
        assert same(path, f"norm.{word}", values)
    assert same(path, "dense.weights", dense)
    assert same(path, "dense.bias", vector)
    assert same(path, "words.weights", words)
    assert same(path, "more_words.weights", words)
    assert same(path, "lstm.inputGateWeightMatrix", lstm[0])
    assert same(path, "lstm.outputGateRecursionMatrix", recursion[2])
    assert model.shape("lstm.blockInputBiasVector") == (2,)
    assert same(path, "both.forward.inputGateWeightMatrix", lstm[0])
    assert same(path, "both.backward.inputGateWeightMatrix", lstm[3])
    assert same(path, "gru.resetGateRecursionMatrix", recursion[1])
    assert same(path, "rnn.weightMatrix", lstm[0])
    assert same(path, "constant.data", constant)
    assert same(path, "slopes.alpha", slopes)
    assert same(path, "scale.scale", np.full((3, 1, 1), 2))
    assert same(path, "scale.bias", np.array([4]))
    assert same(path, "bias.bias", slopes)
    assert same(path, "layer_norm.gamma", np.full((3, 8), 3))
    assert same(path, "product.weights", dense)
    assert same(path, "product.bias", vector)


def quantized(bits: int, mode: str) -> Callable[[Any], None]:
    """Adds layers whose weights coremltools quantizes."""

    def build(b: Any) -> None:
        b.add_convolution("conv", 3, 4, 3, 3, 1, 1, "same", 1, singles(3, 3, 3, 4), None, False, False, None, "x", "a")
        b.add_convolution("up", 4, 5, 3, 3, 1, 1, "same", 1, singles(3, 3, 4, 5), None, False, True, None, "a", "b")
        b.add_inner_product("dense", singles(6, 8), singles(6), 8, 6, True, "x", "y")
        from coremltools.models.neural_network import quantization_utils

        quantization_utils._quantize_nn_spec(b.spec.neuralNetwork, bits, getattr(tools().models, mode))

    return build


@pytest.mark.parametrize("bits", range(1, 9))
@pytest.mark.parametrize("mode", [LINEAR, TABLE])
def test_quantized_weights_are_expanded(tmp_path: Path, bits: int, mode: str) -> None:
    path = write_network(tmp_path / "m.mlmodel", quantized(bits, mode))
    model = load_model(path)
    assert model.metadata.quantization == f"{'AFFINE' if mode == LINEAR else 'LUT'}_U{bits}"
    from coremltools.models.neural_network import quantization_utils

    spec = tools().utils.load_spec(str(path))
    layers = {layer.name: layer for layer in spec.neuralNetwork.layers}
    for name, weights, axis in (
        ("conv", layers["conv"].convolution.weights, 0),
        ("up", layers["up"].convolution.weights, 1),
        ("dense", layers["dense"].innerProduct.weights, 0),
    ):
        shape = model.shape(f"{name}.weights")
        quantization_utils._dequantize_wp(weights, shape, axis)
        wanted = np.array(weights.floatValue, np.float32).reshape(shape)
        # The library's own arithmetic is in float64, ours in float32: at most one step apart.
        np.testing.assert_allclose(elements(path, f"{name}.weights"), wanted, rtol=2e-7, atol=2e-7)


def test_half_precision_weights(tmp_path: Path) -> None:
    path = write_network(tmp_path / "m.mlmodel", quantized(16, LINEAR))
    assert {info.storage for info in load_model(path).header.tensors.values()} == {"F16"}
    spec = tools().utils.load_spec(str(path))
    dense = np.frombuffer(spec.neuralNetwork.layers[2].innerProduct.weights.float16Value, np.float16).reshape(6, 8)
    assert same(path, "dense.weights", dense)


def test_bits_without_a_name_are_shown_and_not_read(tmp_path: Path) -> None:
    def build(b: Any) -> None:
        b.add_inner_product("dense", singles(6, 8), singles(6), 8, 6, True, "x", "y")
        weights = b.spec.neuralNetwork.layers[0].innerProduct.weights
        weights.floatValue[:] = []
        weights.rawValue = bytes(54)
        weights.quantization.numberOfBits = 9

    model = load_model(write_network(tmp_path / "m.mlmodel", build))
    assert model.shape("dense.weights") == (6, 8)
    with pytest.raises(ModelFileError, match=r"tensor `dense.weights` is stored as QUANTIZED") as caught:
        model.get_tensor("dense.weights")
    assert caught.value.code == "TL4004"
    assert model.get_tensor("dense.bias").shape == (6,)


def test_custom_layers_and_nested_networks(tmp_path: Path) -> None:
    def build(b: Any) -> None:
        b.add_inner_product("dense", singles(6, 8), None, 8, 6, False, "x", "y")
        layers = b.spec.neuralNetwork.layers
        own = layers.add(name="own", input=["x"], output=["z"])
        own.custom.weights.add().floatValue.extend([1.0, 2.0, 3.0])
        branch = layers.add(name="branch", input=["x"], output=["w"])
        branch.branch.elseBranch.layers.add().CopyFrom(layers[0])

    path = write_network(tmp_path / "m.mlmodel", build)
    assert load_model(path).tensors == ("dense.weights", "own.weights.0", "branch.else.dense.weights")
    assert same(path, "own.weights.0", np.array([1, 2, 3]))
    assert same(path, "branch.else.dense.weights", elements(path, "dense.weights"))


def test_a_pipeline_has_the_weights_of_its_models(tmp_path: Path) -> None:
    ct = tools()
    dense = singles(6, 8)
    part = write_network(
        tmp_path / "part.mlmodel", lambda b: b.add_inner_product("dense", dense, None, 8, 6, False, "x", "y")
    )
    spec = ct.proto.Model_pb2.Model(specificationVersion=1)
    for _ in range(2):
        spec.pipelineClassifier.pipeline.models.add().CopyFrom(ct.utils.load_spec(str(part)))
    spec.pipelineClassifier.pipeline.names.append("first")
    path = tmp_path / "m.mlmodel"
    path.write_bytes(spec.SerializeToString())
    assert load_model(path).tensors == ("first.dense.weights", "1.dense.weights")
    assert same(path, "1.dense.weights", dense)
    spec.pipelineClassifier.pipeline.names.extend(["first"])
    path.write_bytes(spec.SerializeToString())
    with pytest.raises(ModelFileError, match=r"two weights are called `first\.dense\.weights`"):
        load_model(path)


def test_inputs_of_every_type(tmp_path: Path) -> None:
    spec = tools().proto.Model_pb2.Model(specificationVersion=5)
    spec.identity.SetInParent()
    array, image, text, listed, state = (
        spec.description.input.add(name=name) for name in ("array", "image", "text", "listed", "state")
    )
    array.type.multiArrayType.dataType = 65552
    array.type.multiArrayType.shape.extend([1, 5])
    array.type.isOptional = True
    array.shortDescription = "any text"
    for low, high in ((1, 1), (2, 64), (3, -1)):
        array.type.multiArrayType.shapeRange.sizeRanges.add(lowerBound=low, upperBound=high)
    image.type.imageType.width, image.type.imageType.height, image.type.imageType.colorSpace = 20, 10, 20
    text.type.stringType.SetInParent()
    listed.type.multiArrayType.dataType = 131104
    listed.type.multiArrayType.shape.append(4)
    for size in (4, 8):
        listed.type.multiArrayType.enumeratedShapes.shapes.add(shape=[size])
    state.type.stateType.arrayType.dataType = 65568
    state.type.stateType.arrayType.shape.extend([2, 3])
    spec.description.output.add(name="out").type.dictionaryType.stringKeyType.SetInParent()
    path = tmp_path / "m.mlmodel"
    path.write_bytes(spec.SerializeToString())
    model = load_model(path)
    assert [str(feature) for feature in model.inputs] == [
        "array: float16[1, 2..64, 3..]?",
        "image: image rgb[10, 20]",
        "text: string",
        "listed: int32[4] or [4], [8]",
        "state: state float32[2, 3]",
    ]
    assert model.inputs[0].description == "any text"
    assert [str(feature) for feature in model.outputs] == ["out: dictionary"]
    assert (model.tensors, model.metadata.architecture) == ((), "identity")


def test_a_network_goes_to_safetensors(tmp_path: Path) -> None:
    path = write_network(tmp_path / "m.mlmodel", quantized(4, LINEAR))
    model = load_model(path)
    save_model(model, tmp_path / "m.safetensors")
    saved = load_model(tmp_path / "m.safetensors")

    def bits(from_model: Model, name: str) -> bytes:
        return np.array(from_model.get_tensor(name)).tobytes()

    assert set(saved.tensors) == set(model.tensors)
    assert all(bits(saved, name) == bits(model, name) for name in model.tensors)
