"""Small random models of odd sizes, against the plain reference: in float32, to a few units of its rounding."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tensorlogic.runtime.errors import BoundaryError
from tests.reference import gemma3, llama, qwen
from tests.reference.files import Array, read_folder, read_gguf
from tests.reference.folders import in_gguf_names
from tests.runtime.model_files import write_gguf
from tests.runtime.small_models import Sizes, found, hold, ids_of, quantized, settings, weights, write_folder

LLAMAS = [
    Sizes("tied"),
    Sizes("untied", tied=False),
    Sizes("odd vocabulary", V=131),
    Sizes("one token", V=1),
    Sizes("odd heads", D=60, H=5, G=5),
    Sizes("three share one", D=36, H=3, G=1),
    Sizes("nine share three", D=72, H=9, G=3, K=8),
    Sizes("odd everything", V=77, D=42, H=7, G=1, K=6, F=37, layers=3, tied=False),
    Sizes("smallest planes", D=10, H=5, G=1, K=2),
]
GEMMAS = [
    Sizes("two periods", layers=13),
    Sizes("wide heads", D=20, H=3, G=1, K=32, layers=6),
    Sizes("odd everything", V=77, D=21, H=7, G=7, K=10, F=37, layers=7),
]
BOTH_KINDS = {
    "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 3000.0},
    "sliding_attention": {"rope_type": "default", "rope_theta": 70.0},
}
"""Bases and scaling of Gemma 3's layers."""
FULL, SLIDING = "full_attention", "sliding_attention"
CAPS = {"attn_logit_softcapping": 0.7, "final_logit_softcapping": 3.0}
"""Small enough to bend what small models have of scores and logits."""
QWENS = [
    Sizes("tied"),
    Sizes("untied", tied=False),
    Sizes("wide heads", D=20, H=3, G=1, K=32),
    Sizes("odd everything", V=77, D=42, H=7, G=1, K=6, F=37, layers=3, tied=False),
]


def llama_tensors(sizes: Sizes) -> dict[str, Array]:
    return weights(sizes, np.random.default_rng(1), {"attn_norm": sizes.D, "ffn_norm": sizes.D})


@pytest.mark.parametrize("sizes", LLAMAS, ids=lambda sizes: sizes.name)
def test_llamas(tmp_path: Path, sizes: Sizes) -> None:
    path, ids = write_gguf(tmp_path / "m.gguf", llama_tensors(sizes), settings("llama", sizes)), ids_of(sizes)
    hold(found(path, ids), llama.logits(read_gguf(path), ids))


@pytest.mark.parametrize("storage", ["Q4_0", "Q4_1", "Q5_0", "Q8_0"])
@pytest.mark.parametrize("tied", [True, False])
def test_packed_llamas(tmp_path: Path, storage: str, tied: bool) -> None:
    sizes = Sizes("packed", V=131, D=96, H=3, G=1, K=32, F=160, tied=tied)
    tensors = quantized(llama_tensors(sizes), storage)
    path, ids = write_gguf(tmp_path / "m.gguf", tensors, settings("llama", sizes)), ids_of(sizes)
    hold(found(path, ids), llama.logits(read_gguf(path), ids))


def test_a_projection_that_is_the_embedding_is_left_out(tmp_path: Path) -> None:
    sizes = Sizes("tied", V=131)
    tensors, ids = llama_tensors(sizes), ids_of(sizes)
    names = {"tied": {}, "same": {"output.weight": tensors["token_embd.weight"]}}
    names["other"] = {"output.weight": tensors["token_embd.weight"][::-1].copy()}
    tied, same, other = (
        found(write_gguf(tmp_path / f"{name}.gguf", tensors | more, settings("llama", sizes)), ids)
        for name, more in names.items()
    )
    np.testing.assert_array_equal(tied, same)
    np.testing.assert_allclose(other, tied[:, ::-1], rtol=0, atol=1e-4)


def test_rows_of_q_and_k_are_permuted(tmp_path: Path) -> None:
    """A file whose writer left them as Hugging Face has them says another model, by far."""
    sizes = Sizes("permuted")
    path = write_gguf(tmp_path / "right.gguf", llama_tensors(sizes), settings("llama", sizes))
    file, ids = read_gguf(path), ids_of(sizes)
    expected = llama.logits(file, ids)
    halves = llama.in_halves(file)
    hold(llama.logits(halves, ids, interleaved=False), expected)
    wrong = write_gguf(tmp_path / "wrong.gguf", dict(halves.tensors), settings("llama", sizes))
    differences = np.abs(found(wrong, ids) - expected).max(axis=-1)
    assert differences[4:].min() > np.abs(expected).max() / 20


@pytest.mark.parametrize("kind", ["llama", "mistral"])
@pytest.mark.parametrize("sizes", LLAMAS, ids=lambda sizes: sizes.name)
def test_folders_of_llamas(tmp_path: Path, kind: str, sizes: Sizes) -> None:
    """Rows of q and k are not permuted there, but turned in halves."""
    ids = ids_of(sizes)
    folder = write_folder(tmp_path / "m", llama_tensors(sizes), settings(kind, sizes), kind)
    file = in_gguf_names(read_folder(folder))
    hold(found(folder, ids), llama.logits(file, ids, interleaved=False))


@pytest.mark.parametrize("window", [None, 1, 5, 24])
def test_the_window_of_mistral(tmp_path: Path, window: int | None) -> None:
    sizes = LLAMAS[0]
    ids, said = ids_of(sizes), settings("mistral", sizes, **{"attention.sliding_window": window})
    folder = write_folder(tmp_path / "m", llama_tensors(sizes), said, "mistral")
    file = in_gguf_names(read_folder(folder))
    hold(found(folder, ids), llama.logits(file, ids, interleaved=False))


def gemma_tensors(sizes: Sizes) -> dict[str, Array]:
    wide = dict.fromkeys(("attn_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm"), sizes.D)
    return weights(sizes, np.random.default_rng(1), wide | {"attn_q_norm": sizes.K, "attn_k_norm": sizes.K})


@pytest.mark.parametrize("sizes", GEMMAS, ids=lambda sizes: sizes.name)
@pytest.mark.parametrize("window", [1, 4, 24, 100])
def test_gemmas(tmp_path: Path, sizes: Sizes, window: int) -> None:
    path, ids = tmp_path / "m.gguf", ids_of(sizes)
    widths = {"attention.key_length": sizes.K, "attention.sliding_window": window}
    write_gguf(path, gemma_tensors(sizes), settings("gemma3", sizes, **widths))
    hold(found(path, ids), gemma3.logits(read_gguf(path), ids))


@pytest.mark.parametrize("names", [["attn_logit_softcapping"], ["final_logit_softcapping"], list(CAPS)], ids=str)
def test_capped_gemmas(tmp_path: Path, names: list[str]) -> None:
    sizes, path, plain = GEMMAS[0], tmp_path / "m.gguf", tmp_path / "plain.gguf"
    said = settings("gemma3", sizes, **{"attention.sliding_window": 5})
    write_gguf(plain, gemma_tensors(sizes), said)
    write_gguf(path, gemma_tensors(sizes), said | {f"gemma3.{name}": CAPS[name] for name in names})
    ids = ids_of(sizes)
    expected = gemma3.logits(read_gguf(path), ids)
    hold(found(path, ids), expected)
    assert np.abs(expected - gemma3.logits(read_gguf(plain), ids)).max() > 0.1


def test_the_scale_of_the_largest_gemma(tmp_path: Path) -> None:
    """27B has 5,376 features in 32 heads of 128, and a scale of 1/sqrt(168) that GGUF files do not say."""
    sizes = Sizes("as many layers as 27B", D=12, H=2, G=1, K=4, F=16, layers=62)
    path, ids = tmp_path / "m.gguf", ids_of(sizes, 8)
    write_gguf(path, gemma_tensors(sizes), settings("gemma3", sizes, **{"attention.sliding_window": 5}))
    hold(found(path, ids), gemma3.logits(read_gguf(path), ids))


@pytest.mark.parametrize("sizes", GEMMAS, ids=lambda sizes: sizes.name)
@pytest.mark.parametrize(
    "others",
    [
        pytest.param({}, id="as GGUF has it"),
        pytest.param({"_sliding_window_pattern": 3, "rope_local_base_freq": 70.0}, id="of three layers one sees all"),
        pytest.param({"query_pre_attn_scalar": 40}, id="another scale"),
        pytest.param({"rope_parameters": BOTH_KINDS}, id="as transformers 5 writes it"),
        pytest.param({"layer_types": [SLIDING, FULL, FULL] * 5}, id="as layers say"),
        pytest.param({"layer_types": [SLIDING] * 13, "_sliding_window_pattern": 2}, id="all slide"),
        pytest.param({"layer_types": [FULL] * 13, "sliding_window_pattern": 2}, id="none slides"),
        pytest.param({"layer_types": None, "sliding_window_pattern": 2}, id="layers say nothing"),
        pytest.param(CAPS, id="capped"),
        pytest.param(dict.fromkeys(CAPS), id="caps that are null"),
    ],
)
def test_folders_of_gemmas(tmp_path: Path, sizes: Sizes, others: dict[str, Any]) -> None:
    """The weights of norms lack the 1 that the model adds."""
    ids, tensors = ids_of(sizes), gemma_tensors(sizes)
    said = settings("gemma3", sizes, **{"attention.key_length": sizes.K, "attention.sliding_window": 5, **others})
    if others.get("layer_types"):
        said["gemma3.layer_types"] = others["layer_types"][: sizes.layers]
    if "rope_parameters" in others:
        del said["gemma3.rope.freq_base"]
    folder = write_folder(tmp_path / "m", tensors, said, "gemma3_text")
    file = gemma3.with_ones(in_gguf_names(read_folder(folder)))
    hold(found(folder, ids), gemma3.logits(file, ids))


def test_a_gemma_is_the_same_in_both_formats(tmp_path: Path) -> None:
    """Which only holds for norms of which 1 can be taken without rounding."""
    sizes = GEMMAS[0]
    tensors, ids = gemma_tensors(sizes), ids_of(sizes)
    bits = np.random.default_rng(3)
    norms = {name: bits.integers(-8, 8, w.shape).astype(np.float32) / 16 for name, w in tensors.items() if w.ndim == 1}
    said = settings("gemma3", sizes, **{"attention.sliding_window": 5})
    folder = write_folder(tmp_path / "m", tensors | norms, said, "gemma3_text")
    path = write_gguf(tmp_path / "m.gguf", tensors | {name: w + 1 for name, w in norms.items()}, said)
    np.testing.assert_array_equal(found(folder, ids), found(path, ids))


def qwen_tensors(kind: str, sizes: Sizes) -> dict[str, Array]:
    random, s = np.random.default_rng(1), sizes
    norms = {"qwen2": {}, "qwen3": {"attn_q_norm": s.K, "attn_k_norm": s.K}}[kind]
    tensors = weights(s, random, {"attn_norm": s.D, "ffn_norm": s.D} | norms)
    if kind == "qwen2":
        rows = {"attn_q": s.H * s.K, "attn_k": s.G * s.K, "attn_v": s.G * s.K}
        for layer in range(s.layers):
            for name, size in rows.items():
                tensors[f"blk.{layer}.{name}.bias"] = random.normal(size=size).astype(np.float32)
    return tensors


@pytest.mark.parametrize("sizes", QWENS, ids=lambda sizes: sizes.name)
@pytest.mark.parametrize("kind", ["qwen2", "qwen3"])
def test_qwens(tmp_path: Path, kind: str, sizes: Sizes) -> None:
    tensors, said, ids = qwen_tensors(kind, sizes), settings(kind, sizes), ids_of(sizes)
    path = write_gguf(tmp_path / "m.gguf", tensors, said)
    logits = found(path, ids)
    hold(logits, qwen.logits(read_gguf(path), ids))
    # Qwen 3 says the size of a head, and it need not be that of a token by the heads.
    heads = {"qwen3.attention.key_length": sizes.K} if kind == "qwen3" else {}
    # As configurations of Qwen 2.5 do, which see all.
    unused = {f"{kind}.use_sliding_window": False, f"{kind}.sliding_window": 3}
    folder = write_folder(tmp_path / "m", tensors, said | heads | unused, kind)
    hold(found(folder, ids), qwen.logits(in_gguf_names(read_folder(folder)), ids))
    np.testing.assert_array_equal(found(folder, ids), logits)


@pytest.mark.parametrize(("uses", "full"), [(True, 0), (True, 1), (False, 0)])
@pytest.mark.parametrize("kind", ["qwen2", "qwen3"])
def test_the_windows_of_qwens(tmp_path: Path, kind: str, uses: bool, full: int) -> None:
    """Of the layers from `max_window_layers` on, where the configuration says that they are used."""
    sizes = Sizes("windowed", layers=3)
    windows = {"attention.sliding_window": 5, "max_window_layers": full, "use_sliding_window": uses}
    said, ids = settings(kind, sizes, **windows), ids_of(sizes)
    folder = write_folder(tmp_path / "m", qwen_tensors(kind, sizes), said, kind)
    expected = qwen.logits(in_gguf_names(read_folder(folder)), ids)
    hold(found(folder, ids), expected)
    if uses:
        plain = settings(kind, sizes)
        full_folder = write_folder(tmp_path / "full", qwen_tensors(kind, sizes), plain, kind)
        assert np.abs(found(full_folder, ids) - expected).max() > 0.01


KINDS = [[SLIDING, FULL, SLIDING], [FULL, SLIDING, FULL], [FULL, FULL, FULL], [SLIDING, SLIDING, SLIDING]]


@pytest.mark.parametrize("kinds", KINDS, ids=str)
@pytest.mark.parametrize("kind", ["mistral", "qwen2", "qwen3"])
def test_windows_of_the_layers_that_are_named(tmp_path: Path, kind: str, kinds: list[str]) -> None:
    """And of no others, whatever `max_window_layers` says."""
    sizes = Sizes("named", layers=3)
    ids, path = ids_of(sizes), tmp_path / "m"
    logits = folder_of_windows(path, kind, sizes, kinds)
    file = in_gguf_names(read_folder(path))
    expected = llama.logits(file, ids, interleaved=False) if kind == "mistral" else qwen.logits(file, ids)
    hold(logits, expected)
    others = [each for each in KINDS if each != kinds]
    for number, other in enumerate(others):
        assert np.abs(folder_of_windows(tmp_path / str(number), kind, sizes, other) - expected).max() > 0.01


def folder_of_windows(path: Path, kind: str, sizes: Sizes, kinds: list[str], window: int | None = 5) -> Array:
    """Logits of a model whose `layer_types` are `kinds`."""
    windows = {"attention.sliding_window": window, "use_sliding_window": True, "max_window_layers": 1}
    said = settings(kind, sizes, layer_types=kinds, **windows)
    of_kind = {"llama": llama_tensors, "mistral": llama_tensors, "gemma3_text": gemma_tensors}.get(kind)
    tensors = of_kind(sizes) if of_kind else qwen_tensors(kind, sizes)
    return found(write_folder(path, tensors, said, kind), ids_of(sizes))


REFUSED_KINDS = {
    "too few": ([SLIDING, FULL], "`layer_types` names 2 layers of this model, which has 3"),
    "too many": ([SLIDING] * 4, "`layer_types` names 4 layers of this model, which has 3"),
    "nothing": ([], "`layer_types` names 0 layers of this model, which has 3"),
    "chunks": (
        [FULL, "chunked_attention", FULL],
        "`layer_types` names the kind `chunked_attention`, which",
    ),
    "no attention": (["linear_attention"] * 3, "`layer_types` names the kind `linear_attention`, which"),
}


@pytest.mark.parametrize(("kinds", "message"), REFUSED_KINDS.values(), ids=REFUSED_KINDS)
@pytest.mark.parametrize("kind", ["llama", "mistral", "qwen2", "qwen3", "gemma3_text"])
def test_layers_of_other_kinds_are_refused(tmp_path: Path, kind: str, kinds: list[str], message: str) -> None:
    with pytest.raises(BoundaryError, match=message):
        folder_of_windows(tmp_path / "m", kind, Sizes("named", layers=3), kinds)


@pytest.mark.parametrize("kind", ["mistral", "qwen2", "qwen3"])
def test_windows_without_a_size_are_refused(tmp_path: Path, kind: str) -> None:
    with pytest.raises(BoundaryError, match="names layers with a sliding window, and the file says no window"):
        folder_of_windows(tmp_path / "m", kind, Sizes("named", layers=3), KINDS[0], window=None)


@pytest.mark.parametrize("name", ["attn_q", "ffn_gate"])
@pytest.mark.parametrize("kind", ["llama", "qwen3"])
def test_biases_that_a_program_does_not_add_are_refused(tmp_path: Path, kind: str, name: str) -> None:
    sizes = Sizes("biased")
    tensors = llama_tensors(sizes) if kind == "llama" else qwen_tensors(kind, sizes)
    biased = tensors | {f"blk.0.{name}.bias": np.ones(len(tensors[f"blk.0.{name}.weight"]), np.float32)}
    said = settings(kind, sizes)
    for path in (
        write_gguf(tmp_path / "m.gguf", biased, said),
        write_folder(tmp_path / "m", biased, said, kind),
    ):
        with pytest.raises(BoundaryError, match="the projections of this model have biases, and this program none"):
            found(path, ids_of(sizes))
