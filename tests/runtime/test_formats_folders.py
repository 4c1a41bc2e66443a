"""Folders of weights that MLX quantized, as mlx-lm writes them; links, shards and settings that lie are refused."""

from __future__ import annotations

import contextlib
import json
import os
import tracemalloc
from pathlib import Path
from typing import Any

import mlx.core as mx
import pytest

from tensorlogic.runtime.errors import ModelFileError
from tensorlogic.runtime.formats import read_header
from tensorlogic.runtime.models import load_model
from tensorlogic.runtime.packed import Packed, dense
from tests.runtime.grouped_folders import write_folder
from tests.runtime.model_files import gguf_bytes, gguf_entry, safetensors_bytes


def quantized(prefix: str, seed: int, shape: tuple[int, ...] = (64, 128), **how: Any) -> dict[str, mx.array]:
    """A weight's parts as MLX's own quantization makes and names them."""
    weight = mx.random.normal(shape, key=mx.random.key(seed)).astype(mx.bfloat16)
    words, scales, *biases = mx.quantize(weight, **how)
    parts = {f"{prefix}weight": words, f"{prefix}scales": scales}
    return parts | ({f"{prefix}biases": biases[0]} if biases else {})


def expected(parts: dict[str, mx.array], prefix: str, **how: Any) -> mx.array:
    biases = parts.get(f"{prefix}biases")
    scales = parts[f"{prefix}scales"]
    wide = scales if biases is None else scales.astype(mx.float32)
    return mx.dequantize(
        parts[f"{prefix}weight"],
        wide,
        None if biases is None else biases.astype(mx.float32),
        dtype=mx.float32,
        **how,
    )


def refusal(folder: Path, code: str = "TL4003") -> str:
    with pytest.raises(ModelFileError) as caught:
        read_header(folder)
    assert caught.value.code == code
    return str(caught.value)


AFFINE: dict[str, Any] = {"bits": 4, "group_size": 64}
MODES: list[dict[str, Any]] = [
    {"mode": "affine", "bits": 4, "group_size": 64},
    {"mode": "mxfp4", "bits": 4, "group_size": 32},
    {"mode": "mxfp8", "bits": 8, "group_size": 32},
    {"mode": "nvfp4", "bits": 4, "group_size": 16},
]


@pytest.mark.parametrize("key", ["quantization", "quantization_config"])
@pytest.mark.parametrize("how", MODES)
@pytest.mark.parametrize("shards", [1, 3])
def test_modes(tmp_path: Path, how: dict[str, Any], key: str, shards: int) -> None:
    parts = quantized("model.embed_tokens.", 1, **how) | quantized("lm_head.", 2, (2, 64, 128), **how)
    folder = write_folder(tmp_path, parts | {"norm.weight": mx.ones(128)}, {"model_type": "qwen3", key: how}, shards)
    model = load_model(folder)
    assert sorted(model.tensors) == ["lm_head.weight", "model.embed_tokens.weight", "norm.weight"]
    for prefix in ("model.embed_tokens.", "lm_head."):
        tensor = model.get_tensor(f"{prefix}weight")
        assert isinstance(tensor, Packed)
        assert tensor.layout.mode == how["mode"]
        assert len(model.header.tensors[f"{prefix}weight"].parts) == (2 if how["mode"] == "affine" else 1)
        assert mx.array_equal(dense(tensor, mx.float32), expected(parts, prefix, **how))
    called = "MLX_4BIT_G64" if how["mode"] == "affine" else f"MLX_{how['mode'].upper()}"
    assert (model.metadata.quantization, model.metadata.architecture) == (called, "qwen3")
    assert load_model(folder, dtype="native").get_tensor("lm_head.weight").dtype == mx.bfloat16


def test_mixed_bits(tmp_path: Path) -> None:
    settings = {
        "a": AFFINE,
        "b": {"group_size": 32, "bits": 6},
        "c": {"group_size": 128, "bits": 8},
        "d": {"mode": "mxfp4"},
        "e": {"bits": 3},
        "h": {"bits": 6, "group_size": None, "mode": "affine"},
    }
    whole: dict[str, dict[str, Any]] = {
        **settings,
        "d": {"mode": "mxfp4", "bits": 4, "group_size": 32},
        "e": {"bits": 3, "group_size": 64},
        "h": {"bits": 6, "group_size": 64, "mode": "affine"},
    }
    tensors: dict[str, mx.array] = {}
    for seed, (name, how) in enumerate(whole.items()):
        tensors |= quantized(f"layers.{name}.", seed, **how)
    dense_ones = {"layers.f.weight": mx.ones((4, 128), mx.float16), "layers.g.weight": mx.ones((4, 128), mx.float16)}
    own = {f"layers.{name}": how for name, how in settings.items() if name != "a"}
    quantization = {**AFFINE, **own, "layers.f": False, "layers.a": True}
    folder = write_folder(tmp_path, tensors | dense_ones, {"quantization": quantization})
    model = load_model(folder, dtype="bfloat16")
    for name, how in whole.items():
        tensor = model.get_tensor(f"layers.{name}.weight")
        assert isinstance(tensor, Packed)
        assert mx.array_equal(dense(tensor, mx.float32), expected(tensors, f"layers.{name}.", **how))
    for name in ("f", "g"):
        assert isinstance(model.get_tensor(f"layers.{name}.weight"), mx.array)


def test_a_global_scale_is_not_passed_over(tmp_path: Path) -> None:
    how: dict[str, Any] = {"mode": "nvfp4", "bits": 4, "group_size": 16}
    tensors = quantized("up.", 1, (2, 64, 128), **how) | {"up.global_scale": mx.ones(2)} | quantized("x.", 2, **how)
    model = load_model(write_folder(tmp_path, tensors, {"quantization": how}))
    assert isinstance(model.get_tensor("x.weight"), Packed)
    with pytest.raises(ModelFileError, match=r"`up\.weight` was packed by MLX with a global scale") as caught:
        model.get_tensor("up.weight")
    assert caught.value.code == "TL4004"


def test_names_that_do_not_end_in_weight(tmp_path: Path) -> None:
    parts = quantized("", 1, **AFFINE)
    renamed = {"experts": parts["weight"], "experts.scales": parts["scales"], "experts.biases": parts["biases"]}
    whole = quantized("", 2, **AFFINE)
    tensors = renamed | whole
    model = load_model(write_folder(tmp_path, tensors, {"quantization": {"bits": 8, "group_size": 32, **AFFINE}}))
    assert sorted(model.tensors) == ["experts", "weight"]
    assert mx.array_equal(dense(model.get_tensor("experts"), mx.float32), expected(parts, "", **AFFINE))
    assert mx.array_equal(dense(model.get_tensor("weight"), mx.float32), expected(whole, "", **AFFINE))


def test_settings_of_the_text_part_of_a_model(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, quantized("x.", 1, **AFFINE), {"text_config": {"quantization": AFFINE}})
    assert read_header(folder).tensors["x.weight"].storage == "MLX_4BIT_G64"


@pytest.mark.parametrize(
    ("quantization", "says"),
    [
        ({"bits": 8, "group_size": 64}, "do not fit 8 bits"),
        ({"bits": 4, "group_size": 32}, "do not fit 4 bits in groups of 32"),
        ({"bits": 4, "group_size": -64}, "groups of -64"),
        ({"bits": 4, "group_size": 10**40}, "which MLX does not pack"),
        ({"bits": 0, "group_size": 64}, "0 bits"),
        ({"bits": True, "group_size": 64}, "no whole numbers"),
        ({"bits": 4}, "no whole numbers"),
        ({**AFFINE, "mode": "mxfp5"}, "the mode `mxfp5`"),
        ({**AFFINE, "mode": ["affine"]}, "the mode"),
        ({**AFFINE, "mode": "mxfp4"}, "4 bits in groups of 64"),
        ({"mode": "mxfp4"}, "holds biases"),
        ({**AFFINE, "x": False}, "`x.weight` is not quantized, but it is"),
        ({**AFFINE, "x": {"bits": 8}}, "do not fit 8 bits"),
        ({**AFFINE, "x": {"bits": "8"}}, "no whole numbers"),
    ],
)
def test_settings_that_lie(tmp_path: Path, quantization: dict[str, Any], says: str) -> None:
    assert says in refusal(write_folder(tmp_path, quantized("x.", 1, **AFFINE), {"quantization": quantization}))


@pytest.mark.parametrize(
    ("part", "array"),
    [
        ("scales", mx.zeros((64, 4), mx.float16)),
        ("scales", mx.zeros((64, 3), mx.uint8)),
        ("weight", mx.zeros((32, 16), mx.uint32)),
    ],
)
def test_parts_of_small_floats_that_do_not_fit(tmp_path: Path, part: str, array: mx.array) -> None:
    parts = quantized("x.", 1, mode="mxfp4") | {f"x.{part}": array}
    if part == "scales" and array.dtype != mx.uint8:
        # Not two parts of one weight: its words stay, and cannot be read.
        model = load_model(write_folder(tmp_path, parts, {"quantization": {"mode": "mxfp4"}}))
        assert model.header.tensors["x.weight"].storage == "U32"
    else:
        assert "do not fit mxfp4" in refusal(write_folder(tmp_path, parts, {"quantization": {"mode": "mxfp4"}}))


@pytest.mark.parametrize(("mode", "bits"), [("mxfp4", 255), ("nvfp4", 127)])
def test_scales_of_small_floats_that_are_no_numbers(tmp_path: Path, mode: str, bits: int) -> None:
    parts = quantized("x.", 1, mode=mode)
    parts["x.scales"] = mx.full(parts["x.scales"].shape, bits, mx.uint8)
    model = load_model(write_folder(tmp_path, parts, {"quantization": {"mode": mode}}))
    with pytest.raises(ModelFileError, match="TL4009"):
        model.get_tensor("x.weight")


def test_small_floats_beyond_float16(tmp_path: Path) -> None:
    parts = quantized("x.", 1, mode="mxfp4")
    parts["x.scales"] = mx.full(parts["x.scales"].shape, 127 + 14, mx.uint8)
    folder = write_folder(tmp_path, parts, {"quantization": {"mode": "mxfp4"}})
    with pytest.raises(ModelFileError, match="the largest magnitude is 98304"):
        load_model(folder).get_tensor("x.weight")
    assert isinstance(load_model(folder, dtype="bfloat16").get_tensor("x.weight"), Packed)


def test_blocks_of_mxfp4_as_gpt_oss_keeps_them(tmp_path: Path) -> None:
    parts = quantized("x.", 1, (2, 64, 128), mode="mxfp4")
    blocks = parts["x.weight"].view(mx.uint8).reshape(2, 64, 4, 16)
    tensors = {"mlp.up_blocks": blocks, "mlp.up_scales": parts["x.scales"], "mlp.up_bias": mx.ones((2, 64))}
    config = {"model_type": "gpt_oss", "quantization_config": {"quant_method": "mxfp4"}}
    model = load_model(write_folder(tmp_path / "a", tensors, config, shards=2))
    assert sorted(model.tensors) == ["mlp.up", "mlp.up_bias"]
    tensor = model.get_tensor("mlp.up")
    assert isinstance(tensor, Packed)
    assert (tensor.shape, tensor.layout.mode) == ((2, 64, 128), "mxfp4")
    assert mx.array_equal(dense(tensor, mx.float32), expected(parts, "x.", mode="mxfp4"))
    for changed in ({"mlp.up_scales": mx.zeros((2, 64, 3), mx.uint8)}, {"mlp.up": mx.ones(3)}):
        folder = write_folder(tmp_path / "b", tensors | changed, config)
        assert "no blocks of MXFP4" in refusal(folder)


# --- links


def cached(folder: Path, revision: str = "0123abcd") -> Path:
    """A model as Hugging Face's cache keeps it: links into the folder `blobs` of the same model."""
    whole = write_folder(folder / "blobs", {"w": mx.ones(3)}, {"model_type": "bert"})
    snapshot = folder / "snapshots" / revision
    snapshot.mkdir(parents=True)
    for name, blob in (("model.safetensors", "ab12"), ("config.json", "cd34")):
        os.rename(whole / name, whole / blob)
        (snapshot / name).symlink_to(Path("../../blobs") / blob)
    return snapshot


def test_the_cache_of_hugging_face(tmp_path: Path) -> None:
    snapshot = cached(tmp_path / "models--org--name")
    assert load_model(snapshot).metadata.architecture == "bert"
    (tmp_path / "link").symlink_to(snapshot)
    assert load_model(tmp_path / "link").tensors == ("w",)
    inner = snapshot / "inner"
    inner.mkdir()
    (inner / "model.safetensors").symlink_to(Path("../../../blobs/ab12"))
    assert load_model(inner).tensors == ("w",)


def test_links_within_the_folder(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "a", {"w": mx.ones(3)}, {})
    os.rename(folder / "model.safetensors", folder / "weights")
    (folder / "model.safetensors").symlink_to("weights")
    assert load_model(folder).tensors == ("w",)


@pytest.mark.parametrize(
    "name", ["model.safetensors", "config.json", "model.safetensors.index.json", "shard.safetensors"]
)
def test_links_that_leave_the_folder(tmp_path: Path, name: str) -> None:
    secret = write_folder(tmp_path / "secret", {"w": mx.ones(3)}, {}, shards=1)
    folder = write_folder(tmp_path / "open", {"w": mx.ones(3)}, {})
    target = secret / ("config.json" if name.endswith(".json") else "model.safetensors")
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(target)
    if name == "shard.safetensors":
        (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"w": name}}))
    message = refusal(folder, "TL4065")
    assert f"`{folder / name}` is a symbolic link to `{target}`" in message
    # Whoever names a file by its own path has chosen it.
    if name == "model.safetensors":
        assert load_model(folder / name).tensors == ("w",)


def test_links_into_the_blobs_of_another_model(tmp_path: Path) -> None:
    one, two = cached(tmp_path / "models--org--one"), cached(tmp_path / "models--org--two")
    (one / "model.safetensors").unlink()
    (one / "model.safetensors").symlink_to((two / "model.safetensors").resolve())
    assert "outside" in refusal(one, "TL4065")
    (one / "model.safetensors").unlink()
    (one / "model.safetensors").symlink_to(tmp_path / "nowhere")
    assert "outside" in refusal(one, "TL4065")
    (one / "model.safetensors").unlink()
    (one / "model.safetensors").symlink_to("../../blobs/gone")
    refusal(one, "TL4001")


# --- JSON, and size


def test_opening_takes_no_more_than_the_header(tmp_path: Path) -> None:
    size = 1 << 36
    shape = [1 << 18, 1 << 17]
    header = safetensors_bytes({"w": {"dtype": "F16", "shape": shape, "data_offsets": [0, size]}})
    path = tmp_path / "model.safetensors"
    path.write_bytes(header)
    os.truncate(path, len(header) + size)
    tracemalloc.start()
    info = read_header(tmp_path).tensors["w"]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert info.nbytes == size
    assert peak < 1 << 20


def test_deep_and_long_settings(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, {"w": mx.ones(3)}, {})
    config = folder / "config.json"
    config.write_text('{"a":' * 100_000 + "1" + "}" * 100_000)
    assert "deeply" in refusal(folder)
    for depth in range(900, 1100, 7):
        config.write_text('{"a":' * depth + "1" + "}" * depth)
        with contextlib.suppress(ModelFileError):
            assert read_header(folder).metadata[".".join(["a"] * depth)] == 1
    key = "k" * 20_000
    config.write_text(f'{{"{key}":' * 500 + "1" + "}" * 500)
    assert "too long" in refusal(folder, "TL4004")
    config.write_text('{"quantization": [1], "text_config": 3, "quantization_config": "none", "n": 1e999}')
    assert read_header(folder).metadata["n"] == float("inf")


def test_a_shard_of_another_format(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(gguf_bytes([gguf_entry("w", [1])], data=bytes(4)))
    (tmp_path / "model.safetensors.index.json").write_text('{"weight_map": {"w": "a.safetensors"}}')
    assert "this is gguf" in refusal(tmp_path)
