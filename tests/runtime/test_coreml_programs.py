"""Weights of Core ML programs: equal to what was put in, bit for bit, however the package compressed them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest

from tensorlogic.compiler import driver
from tensorlogic.runtime.errors import ModelFileError
from tensorlogic.runtime.formats import read_header
from tensorlogic.runtime.models import Model, load_model, save_model
from tensorlogic.runtime.script import run
from tests.runtime.core_ml_files import Array, sub_byte, tools, write_functions, write_program

RANDOM = np.random.default_rng(3)
Constexpr = tuple[str, dict[str, Any]]


def elements(model: Model, name: str) -> Array:
    tensor = model.get_tensor(name)
    assert isinstance(tensor, mx.array)
    return np.array(tensor)


def same_bits(found: Array, wanted: Array) -> bool:
    return found.shape == wanted.shape and found.dtype == wanted.dtype and found.tobytes() == wanted.tobytes()


def test_constants_of_every_kind(tmp_path: Path) -> None:
    weights = {
        "half": RANDOM.normal(size=(5, 7)).astype(np.float16),
        "wide": RANDOM.normal(size=(3, 4, 2)).astype(np.float32),
        "short": np.array([1.5, -0.0, 3e-8], np.float16),
        "single": np.array([1e-30, np.inf, 7.25], np.float32),
        "ids": np.arange(-10, 10, dtype=np.int32),
        "few": np.array([1, -2, 70000], np.int32),
        "flags": np.array([True, False, True]),
        "signed": np.arange(-15, 15, dtype=np.int8),
        "bytes": np.arange(226, 256, dtype=np.uint8),
        "scale": np.float16(2.5),
    }
    model = load_model(write_program(tmp_path / "m.mlpackage", weights), dtype="native")
    assert model.tensors == tuple(weights)
    for name, weight in weights.items():
        wanted = np.asarray(weight)
        if wanted.dtype.kind in "iu":
            wanted = wanted.astype(np.int32)
        assert same_bits(elements(model, name), wanted), name
    # Numbers of more than ten elements lie in the file of weights, fewer in the program itself.
    files = {name: info.file.name for name, info in model.header.tensors.items()}
    assert (files["half"], files["short"]) == ("weight.bin", "model.mlmodel")


def test_what_a_package_says_of_itself(tmp_path: Path) -> None:
    model = load_model(write_program(tmp_path / "m.mlpackage", {"w": np.ones((4, 4), np.float16)}))
    assert (model.metadata.format, model.metadata.architecture, model.metadata.quantization) == (
        "coreml",
        "mlProgram",
        None,
    )
    assert [str(feature) for feature in model.inputs] == ["x: float32[1]"]
    assert [feature.kind for feature in model.outputs] == ["array"]
    assert model.string("coreml.author") == "the tests"
    assert model.string("coreml.description") == "weights of every kind"
    assert model.int("layers") == 12
    assert model.int("coreml.specificationVersion") == 9
    assert model.shape("w") == (4, 4)
    assert model.has("w")
    assert not model.has("x")


def test_floats_are_float16_unless_the_program_says_otherwise(tmp_path: Path) -> None:
    wide = RANDOM.normal(size=(6, 6)).astype(np.float32)
    path = write_program(tmp_path / "m.mlpackage", {"w": wide})
    assert same_bits(elements(load_model(path), "w"), wide.astype(np.float16))
    assert same_bits(elements(load_model(path, dtype="float32"), "w"), wide)
    assert load_model(path).get_tensor("w").dtype == mx.float16


def test_a_value_that_float16_cannot_hold_is_refused(tmp_path: Path) -> None:
    path = write_program(tmp_path / "m.mlpackage", {"w": np.full((4, 4), 7e4, np.float32)})
    with pytest.raises(ModelFileError, match="16 finite values") as caught:
        load_model(path).get_tensor("w")
    assert caught.value.code == "TL4006"


def integers(low: int, high: int, shape: tuple[int, ...], kind: str) -> Array:
    values: Array = RANDOM.integers(low, high, shape).astype(sub_byte(kind))
    return values


def halves(*shape: int) -> Array:
    return RANDOM.normal(size=shape).astype(np.float16)


def singles(*shape: int) -> Array:
    return RANDOM.normal(size=shape).astype(np.float32)


def packed(bits: int, shape: tuple[int, ...]) -> Array:
    tools()
    from coremltools.optimize import _utils

    values: Array = _utils.pack_elements_into_bits(RANDOM.integers(0, 2**bits, shape).astype(np.uint8), bits)
    return values


def sparse(shape: tuple[int, ...]) -> Array:
    return RANDOM.random(shape) < 0.4


def affine(kind: type, scale: Any, zero_point: Any, axis: int) -> Constexpr:
    data: Array = RANDOM.integers(0, 256, (6, 4, 3)).astype(kind)
    return "constexpr_affine_dequantize", {
        "quantized_data": data,
        "scale": scale,
        "zero_point": zero_point,
        "axis": np.int32(axis),
    }


def blockwise(data: Array, scale: Array, offset: Array | None = None) -> Constexpr:
    parts = {"data": data, "scale": scale}
    return "constexpr_blockwise_shift_scale", parts if offset is None else parts | {"offset": offset}


def table(indices: Array, lut: Array, axis: int | None = None) -> Constexpr:
    parts = {"indices": indices, "lut": lut}
    return "constexpr_lut_to_dense", parts if axis is None else parts | {"vector_axis": np.int32(axis)}


def table_of(bits: int) -> Constexpr:
    return table(integers(0, 2**bits, (6, 10), f"uint{bits}"), halves(1, 1, 2**bits, 1))


def packed_table(bits: int) -> Constexpr:
    parts = {"indices": packed(bits, (7, 5)), "lut": halves(2**bits), "shape": np.array([7, 5], np.uint32)}
    return "constexpr_lut_to_dense", parts


IOS16: dict[str, Callable[[], Constexpr]] = {
    "int8_by_channel": lambda: affine(np.int8, halves(6), RANDOM.integers(-9, 9, 6).astype(np.int8), 0),
    "int8_from_the_end": lambda: affine(np.int8, singles(3), RANDOM.integers(-9, 9, 3).astype(np.int8), -1),
    "uint8_by_tensor": lambda: affine(np.uint8, np.float16(0.013), np.uint8(131), 1),
    **{f"table_of_{bits}_bits": partial(packed_table, bits) for bits in (1, 2, 4, 6, 8)},
    "table_of_float32": lambda: (
        "constexpr_lut_to_dense",
        {"indices": packed(4, (2, 3, 5)), "lut": singles(16), "shape": np.array([2, 3, 5], np.uint32)},
    ),
    "sparse": lambda: (
        "constexpr_sparse_to_dense",
        {
            "nonzero_data": halves(int((mask := sparse((9, 5))).sum())),
            "mask": np.packbits(mask, bitorder="little"),
            "shape": np.array([9, 5], np.uint32),
        },
    ),
    "cast": lambda: ("constexpr_cast", {"source_val": halves(6, 6), "output_dtype": "fp32"}),
}
IOS18: dict[str, Callable[[], Constexpr]] = {
    "int4_in_blocks": lambda: blockwise(integers(-8, 8, (8, 64), "int4"), halves(8, 2)),
    "uint4_with_offsets": lambda: blockwise(
        integers(0, 16, (8, 12), "uint4"), halves(4, 3), integers(0, 16, (4, 3), "uint4")
    ),
    "int8_with_float32_scales": lambda: blockwise(integers(-128, 128, (6, 4, 2), "int8"), singles(6, 1, 1)),
    "an_odd_number_of_int4": lambda: blockwise(integers(-8, 8, (5, 7), "int4"), halves(5, 1)),
    **{f"table_of_uint{bits}": partial(table_of, bits) for bits in (1, 2, 3, 4, 6, 8)},
    "a_table_for_each_group": lambda: table(integers(0, 8, (6, 4, 2), "uint3"), halves(3, 2, 1, 8, 1)),
    "vectors_along_axis_0": lambda: table(integers(0, 4, (6, 4), "uint2"), halves(2, 2, 4, 3), 0),
    "vectors_along_the_last_axis": lambda: table(integers(0, 16, (6, 4), "uint4"), halves(3, 1, 16, 4), -1),
    "sparse": lambda: (
        "constexpr_sparse_to_dense",
        {"nonzero_data": halves(int((mask := sparse((9, 5))).sum())), "mask": mask.astype(sub_byte("uint1"))},
    ),
}


Compressed = tuple[Path, dict[str, Array]]


@pytest.fixture(scope="module")
def compressed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Compressed]:
    """A package for each target with all of its cases, and what coremltools itself expands them to."""

    def packaged(target: str, cases: dict[str, Callable[[], Constexpr]]) -> Compressed:
        expanded: dict[str, Array] = {}

        def weight(mb: Any, name: str) -> Any:
            operation, parts = cases[name]()
            value = getattr(mb, operation)(**parts, name=name)
            expanded[name] = value.op.materialized_val_inference()
            return value

        path = tmp_path_factory.mktemp(target) / "m.mlpackage"
        return write_program(path, dict.fromkeys(cases, weight), target), expanded

    return {"iOS16": packaged("iOS16", IOS16), "iOS18": packaged("iOS18", IOS18)}


@pytest.mark.parametrize(("target", "name"), [("iOS16", name) for name in IOS16] + [("iOS18", name) for name in IOS18])
def test_compressed_constants_are_expanded_as_their_definition_says(
    compressed: dict[str, Compressed], target: str, name: str
) -> None:
    path, expanded = compressed[target]
    definition = expanded[name]
    found = elements(load_model(path, dtype="native"), name)
    # A cast gives float32 only where it is asked for: the file holds float16.
    assert same_bits(found, definition.astype(found.dtype))
    assert found.dtype == definition.dtype or name == "cast"
    assert same_bits(elements(load_model(path), name), definition.astype(np.float16))


@pytest.mark.parametrize(("target", "cases"), [("iOS16", IOS16), ("iOS18", IOS18)])
def test_the_parts_of_compressed_constants_are_no_tensors(
    compressed: dict[str, Compressed], target: str, cases: dict[str, object]
) -> None:
    assert load_model(compressed[target][0]).tensors == tuple(cases)


def test_weights_that_were_compressed_twice(tmp_path: Path) -> None:
    mask = sparse((8, 6)).astype(sub_byte("uint1"))
    count = int(np.count_nonzero(mask))
    wanted: dict[str, Array] = {}

    def remember(name: str, value: Any) -> Any:
        wanted[name] = value.op.materialized_val_inference()
        return value

    def table_in_sparse(mb: Any, name: str) -> Any:
        wide, values = mb.constexpr_lut_to_sparse(
            indices_mask=mask,
            indices_nonzero_data=integers(0, 4, (count,), "uint2"),
            lut=halves(2, 1, 4, 1),
        )
        wanted[name] = _dense(mask, values.op.materialized_val_inference()[1])
        return mb.constexpr_sparse_to_dense(nonzero_data=values, mask=wide, name=name)

    def vectors_in_sparse(mb: Any, name: str) -> Any:
        wide, values = mb.constexpr_lut_to_sparse(
            indices_mask=mask,
            indices_nonzero_data=integers(0, 4, (count,), "uint2"),
            lut=halves(1, 1, 4, 3),
            vector_axis=np.int32(1),
        )
        wanted[name] = _dense(*values.op.materialized_val_inference())
        return mb.constexpr_sparse_to_dense(nonzero_data=values, mask=wide, name=name)

    def scales_in_sparse(mb: Any, name: str) -> Any:
        same, values = mb.constexpr_sparse_blockwise_shift_scale(
            data_mask=mask,
            nonzero_data=integers(-128, 128, (count,), "int8"),
            scale=halves(8, 1),
            offset=integers(-9, 9, (8, 1), "int8"),
        )
        wanted[name] = _dense(mask, values.op.materialized_val_inference()[1])
        return mb.constexpr_sparse_to_dense(nonzero_data=values, mask=same, name=name)

    def scaled_table(mb: Any, name: str) -> Any:
        values = mb.constexpr_lut_to_dense(
            indices=integers(0, 16, (8, 6), "uint4"), lut=integers(-128, 128, (1, 1, 16, 1), "int8")
        )
        return remember(name, mb.constexpr_blockwise_shift_scale(data=values, scale=halves(8, 1), name=name))

    weights = {f.__name__: f for f in (table_in_sparse, vectors_in_sparse, scales_in_sparse, scaled_table)}
    model = load_model(write_program(tmp_path / "m.mlpackage", weights))
    assert model.tensors == tuple(weights)
    assert [model.header.tensors[name].storage for name in weights] == [
        "SPARSE_LUT_U2",
        "SPARSE_LUT_U2",
        "SPARSE_AFFINE_I8",
        "AFFINE_LUT_U4",
    ]
    for name in weights:
        assert same_bits(elements(model, name), wanted[name]), name


def _dense(mask: Array, values: Array) -> Array:
    dense = np.zeros(mask.shape, values.dtype)
    dense[mask != 0] = values
    return dense


def test_a_product_that_float16_cannot_hold_is_refused(tmp_path: Path) -> None:
    def weight(mb: Any, name: str) -> Any:
        data = np.full((4, 32), 100, np.int8)
        return mb.constexpr_blockwise_shift_scale(data=data, scale=np.full((4, 1), 1000, np.float16), name=name)

    path = write_program(tmp_path / "m.mlpackage", {"w": weight})
    with pytest.raises(ModelFileError, match="128 finite values") as caught:
        load_model(path).get_tensor("w")
    assert caught.value.code == "TL4006"
    assert elements(load_model(path, dtype="float32"), "w").max() == 1e5


def test_a_model_goes_to_safetensors(tmp_path: Path) -> None:
    def weight(mb: Any, name: str) -> Any:
        return mb.constexpr_blockwise_shift_scale(**blockwise(integers(-8, 8, (8, 64), "int4"), halves(8, 2))[1])

    weights = {"half": halves(5, 7), "few": np.array([1, -2, 3], np.int32), "flags": np.array([True, False])}
    model = load_model(write_program(tmp_path / "m.mlpackage", weights | {"packed": weight}))
    save_model(model, tmp_path / "m.safetensors")
    saved = load_model(tmp_path / "m.safetensors")
    assert set(saved.tensors) == set(model.tensors)
    for name in model.tensors:
        assert same_bits(elements(saved, name), elements(model, name)), name
    assert saved.string("coreml.author") == "the tests"


def test_every_function_of_a_program_has_its_weights(tmp_path: Path) -> None:
    shared = halves(6, 6)
    functions = {name: {"w": shared, name: halves(4, 4)} for name in ("one", "two")}
    write_functions(tmp_path / "both.mlpackage", functions, "two")
    model = load_model(tmp_path / "both.mlpackage")
    names = set(model.tensors)
    assert {"two", "one/one"} <= names
    assert [str(feature) for feature in model.inputs] == ["x: float32[1]"]
    for name in names:
        if name.rpartition("/")[2].startswith("w"):
            assert same_bits(elements(model, name), shared)


def test_a_script_sees_what_a_model_takes_and_uses_its_weights(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def weight(mb: Any, name: str) -> Any:
        data, scale = np.full((4, 32), 3, sub_byte("int4")), np.full((4, 1), 0.5, np.float16)
        return mb.constexpr_blockwise_shift_scale(data=data, scale=scale, name=name)

    write_program(tmp_path / "m.mlpackage", {"w": weight})
    text = """
    let model = load_model("m.mlpackage")
    print(model.inputs, model.metadata.format, model.metadata.quantization)
    print(model.outputs)
    let w: float16[4, 32] = model.get_tensor("w")
    print(ones([32]) @ w.T)
    """
    monkeypatch.chdir(tmp_path)
    run(driver.compile_text(text, options=driver.Options(verify=True)).python, "program.tl", [])
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == '["x: float32[1]"] coreml AFFINE_I4'
    assert "[4, 32]" in shown[1]
    assert shown[2] == "[48.0, 48.0, 48.0, 48.0]"


def test_headers_are_read_without_numpy_and_coremltools(tmp_path: Path) -> None:
    path = write_program(tmp_path / "m.mlpackage", {"w": halves(5, 7)})
    code = (
        "import sys; from tensorlogic.runtime.formats import read_header; read_header(sys.argv[1])\n"
        "print([name for name in ('numpy', 'mlx', 'coremltools', 'google') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
    assert read_header(path).tensors["w"].shape == (5, 7)
