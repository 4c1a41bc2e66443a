"""`bind`: where fields are found in a model, word by word of language.md, section 9.2, and what is said of the rest."""

from __future__ import annotations

import gc
import logging
import sys
from pathlib import Path
from typing import Any

import mlx.core as mx
import pytest
from click.testing import CliRunner

import tensorlogic
from tensorlogic.cli import main
from tensorlogic.runtime.errors import BoundaryError, ModelFileError
from tensorlogic.runtime.formats.header import PackedLayout
from tensorlogic.runtime.models import Model, load_model
from tensorlogic.runtime.packed import Packed
from tensorlogic.runtime.saving import save_model

PROGRAM = """
struct Linear[I, O] { weight: float16[O, I]
    bias: float16[O]? }
struct Expert[D, F] { up: Linear[D, F]
    down: Linear[F, D] = "down" | "dense" }
struct Block[D, F] { experts: [Expert[D, F]] = "mlp.{i}" | "mixture.{i}"
    scales: [float16[D]]? = "scales.{i}.value"
    gate: Linear[D, D]? }
struct Net[V, D, F] { embed: float16[V, D] = "output.weight" | "embed.weight"
    blocks: [Block[D, F]] = "blk.{i}"
    head: Linear[D, V]? = "" }
struct Pair<T: float>[N] { a: T[N]
    b: T[N] }
struct Any { x: float16[...] }
"""
D, F, V = 8, 16, 5


@pytest.fixture(scope="module")
def program() -> Any:
    return tensorlogic.compile(PROGRAM, "net")


def block(prefix: str, experts: int = 1) -> dict[str, tuple[int, ...]]:
    up: dict[str, tuple[int, ...]] = {f"{prefix}.mlp.{i}.up.weight": (F, D) for i in range(experts)}
    return up | {f"{prefix}.mlp.{i}.down.weight": (D, F) for i in range(experts)}


def saved(folder: Path, shapes: dict[str, tuple[int, ...]]) -> Model:
    save_model({name: mx.zeros(shape, mx.float16) for name, shape in shapes.items()}, folder / "m.safetensors")
    return load_model(folder / "m.safetensors")


def notes_of(cls: Any, model: Model, prefix: str = "") -> tuple[str, ...]:
    with pytest.raises(ModelFileError) as raised:
        cls.bind(model, prefix=prefix)
    assert raised.value.code == "TL4020"
    return raised.value.notes


def test_lists_in_lists_have_the_file_s_lengths(program: Any, tmp_path: Path) -> None:
    net = program.Net.bind(saved(tmp_path, {"embed.weight": (V, D)} | block("blk.0", 2) | block("blk.1", 12)))
    assert [len(each.experts) for each in net.blocks] == [2, 12]
    assert (net.D, net.blocks[1].F, net.blocks[1].experts[11].down.O) == (D, F, D)


def test_the_first_alternative_that_is_there(program: Any, tmp_path: Path) -> None:
    shapes = {"blk.0.mixture.0.up.weight": (F, D), "blk.0.mixture.0.dense.weight": (D, F)}
    both = {"embed.weight": (4, D), "output.weight": (V, D)} | shapes | block("blk.1")
    net = program.Net.bind(saved(tmp_path, both))
    assert net.V == V
    assert [each.experts[0].down.weight.shape for each in net.blocks] == [(D, F), (D, F)]


def test_an_optional_struct_is_none_when_all_its_keys_are_absent(program: Any, tmp_path: Path) -> None:
    shapes = {"embed.weight": (V, D)} | block("blk.0")
    net = program.Net.bind(saved(tmp_path, shapes | {"blk.0.gate.other": (3,)}))
    assert (net.head, net.blocks[0].gate, net.blocks[0].scales) == (None, None, None)
    net = program.Net.bind(saved(tmp_path, shapes | {"weight": (V, D)}))
    assert net.head.O == V
    assert net.head.bias is None


def test_an_optional_struct_that_is_there_in_part(program: Any, tmp_path: Path) -> None:
    shapes = {"embed.weight": (V, D), "blk.0.gate.bias": (D,)} | block("blk.0")
    (listed,) = notes_of(program.Net, saved(tmp_path, shapes))
    assert listed.splitlines()[1:] == ["blk.0.gate.weight  float16[D, D] = [8, 8]  missing"]


def test_a_key_that_is_an_index_alone(tmp_path: Path) -> None:
    rows: Any = tensorlogic.compile('struct Rows[N] { every: [float16[N]] = "{i}" }', "rows").Rows
    assert len(rows.bind(saved(tmp_path, {f"below.{i}": (D,) for i in range(3)}), prefix="below").every) == 3
    (listed,) = notes_of(rows, saved(tmp_path, {"0": (D,), "2": (D,)}))
    assert listed.splitlines()[1:] == ["1    float16[N] = [8]  missing, next: 2"]


def test_an_optional_list_with_a_gap(program: Any, tmp_path: Path) -> None:
    shapes = {"embed.weight": (V, D), "blk.0.scales.1.value": (D,)} | block("blk.0")
    (listed,) = notes_of(program.Net, saved(tmp_path, shapes))
    row = "blk.0.scales.0.value  float16[D] = [8]  missing, next:"
    assert listed.splitlines()[1:] == [row, " " * 40 + "blk.0.scales.1.value"]


def test_a_list_that_is_not_there_is_told_by_its_first_item(program: Any, tmp_path: Path) -> None:
    (listed,) = notes_of(program.Net, saved(tmp_path, {"embed.weight": (V, D), "blk.0.gate.weight": (D, D)}))
    assert [line.split("  ")[0] for line in listed.splitlines()[1:]] == [
        "blk.0.mlp.0.up.weight",
        "blk.0.mlp.0.down.weight",
    ]


def test_the_nearest_name_is_one_that_no_field_took(program: Any, tmp_path: Path) -> None:
    shapes = {"embed.weight": (V, D)} | block("blk.0") | block("blk.1")
    shapes["blk.1.mlp.0.uup.weight"] = shapes.pop("blk.1.mlp.0.up.weight")
    listed, *_ = notes_of(program.Net, saved(tmp_path, shapes))
    assert listed.splitlines()[2:] == [
        "blk.1.mlp.0.up.weight",
        "  float16[F, D] = [16, 8]  missing, nearest:",
        "                           blk.1.mlp.0.uup.weight",
    ]


def test_a_prefix(program: Any, tmp_path: Path) -> None:
    opened = saved(tmp_path, block("model.blk.10") | block("model.blk.11", 2))
    assert len(program.Block.bind(opened, prefix="model.blk.11").experts) == 2
    for wrong, near in (("model.blk.12", "model.blk.11"), ("modle.blk.10", "model.blk.10"), ("blk", None)):
        with pytest.raises(ModelFileError) as raised:
            program.Block.bind(opened, prefix=wrong)
        assert raised.value.code == "TL4020"
        assert raised.value.message.endswith(f"begins with `{wrong}.`")
        assert raised.value.helps == ((f"did you mean `{near}`?",) if near else ())
    with pytest.raises(BoundaryError, match=r"`prefix` of `Block.bind` is a Python int, not a string"):
        program.Block.bind(opened, prefix=3)


def test_a_long_table_is_read_in_80_columns(program: Any, tmp_path: Path) -> None:
    prefix = "transformer.text_model.layers.3"
    shapes = block(prefix) | {f"{prefix}.gate.weight": (D, 9), f"{prefix}.gate.bias": (D + 1,)}
    shapes[f"{prefix}.mlp.0.upp.weight"] = shapes.pop(f"{prefix}.mlp.0.up.weight")
    listed, *told = notes_of(program.Block, saved(tmp_path, shapes), prefix)
    assert told == [f"`D` is 8 by `{prefix}.mlp.0.down.weight` of [8, 16]"]
    assert max(map(len, listed.splitlines())) <= 66
    assert listed == (
        "key\n"
        "  wanted         found\n"
        f"{prefix}.mlp.0.up.weight\n"
        "  float16[F, D]  missing, nearest:\n"
        f"  = [16, 8]      {prefix}.mlp.0.upp.weight\n"
        f"{prefix}.gate.weight\n"
        "  float16[D, D]  float16[8, 9]\n"
        "  = [8, 8]\n"
        f"{prefix}.gate.bias\n"
        "  float16[D]     float16[9]\n"
        "  = [8]"
    )


def test_a_type_parameter_is_one_type(program: Any, tmp_path: Path) -> None:
    save_model({"a": mx.ones((2,), mx.float16), "b": mx.ones((2,))}, tmp_path / "m.safetensors")
    listed, *told = notes_of(program.Pair, load_model(tmp_path / "m.safetensors", dtype="native"))
    assert listed.splitlines()[1:] == ["b    float16[N] = [2]  float32[2]"]
    assert told == ["`T` is float16 by `a`"]


def test_floats_of_another_type_can_be_read_as_they_are_wanted(program: Any, tmp_path: Path) -> None:
    save_model({"weight": mx.ones((2, 3))}, tmp_path / "m.safetensors")
    with pytest.raises(ModelFileError) as raised:
        program.Linear.bind(load_model(tmp_path / "m.safetensors", dtype="float32"))
    assert raised.value.helps == ("`load_model(path, dtype: float16)` reads floats so",)
    assert str(raised.value).endswith(
        "`Linear`: 1 conflict [TL4020]\n"
        "  note: key     wanted                  found\n"
        "        weight  float16[O, I] = [2, 3]  float32[2, 3]\n"
        "  help: `load_model(path, dtype: float16)` reads floats so"
    )


def test_a_shape_that_begins_with_a_pack(program: Any, tmp_path: Path) -> None:
    (listed,) = notes_of(program.Any, saved(tmp_path, {"y": (2,)}))
    assert listed.splitlines()[1:] == ["x    float16[...]  missing"]


@pytest.mark.parametrize(("mode", "bits", "group"), [("affine", 4, 32), ("affine", 8, 64), ("mxfp4", 4, 32)])
def test_packed_weights_of_every_mode(
    program: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, mode: str, bits: int, group: int
) -> None:
    layout = PackedLayout(bits, group, mode)
    words, scales, *biases = mx.quantize(mx.random.normal((64, 128)), group, bits, mode)
    packed = Packed(words, scales, biases[0] if biases else None, layout, (64, 128), mx.float16)
    opened = saved(tmp_path, {"weight": (64, 128)})
    monkeypatch.setattr(Model, "read_all", lambda _, names: [(name, packed) for name in names])
    linear = program.Linear.bind(opened)
    assert linear.weight is packed
    assert (linear.I, linear.O, linear.weight.layout.mode) == (128, 64, mode)


def test_structs_of_one_model_share_its_tensors(program: Any, tmp_path: Path) -> None:
    opened = saved(tmp_path, {"embed.weight": (V, D), "weight": (V, D)} | block("blk.0"))
    first, second = program.Net.bind(opened), program.Net.bind(opened)
    alone = program.Block.bind(opened, prefix="blk.0")
    assert first.embed is second.embed
    assert first.blocks[0].experts[0].up.weight is alone.experts[0].up.weight


def test_binding_takes_time_in_proportion_to_the_model(program: Any, tmp_path: Path) -> None:
    """Counted in calls, which are the same on every machine."""

    def calls(blocks: int) -> int:
        shapes: dict[str, tuple[int, ...]] = {"embed.weight": (V, D)}
        for i in range(blocks):
            shapes |= block(f"blk.{i}", 2)
        opened, count = saved(tmp_path, shapes), 0

        def note(*_: object) -> None:
            nonlocal count
            count += 1

        sys.setprofile(note)
        try:
            program.Net.bind(opened)
        finally:
            sys.setprofile(None)
        return count

    assert calls(80) < 2.2 * calls(40)


def test_dims_are_numbers_of_a_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved(tmp_path, {"embed.weight": (V, D)} | block("blk.0", 2))
    text = PROGRAM + (
        'let net = bind<Net>(load_model("m" + ".safetensors"))\n'
        "print(net.D * 2, net.blocks[0].F + 1, net.blocks[0].experts[1].down.O, zeros([net.V]).shape)\n"
    )
    (tmp_path / "net.tl").write_text(text)
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["run", "net.tl"])
    assert (result.exit_code, result.stdout) == (0, "16 17 8 [5]\n")


def test_a_program_s_error_is_read_in_80_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prefix = "model.language_model.layers"
    shapes = {f"{prefix}.{i}.gate.weight": (D, 9) for i in range(32)}
    saved(tmp_path, shapes | {name: shape for i in range(32) for name, shape in block(f"{prefix}.{i}").items()})
    text = PROGRAM.replace('"blk.{i}"', f'"{prefix}.{{i}}"') + "let net = bind<Net>(load_model(args[0]))\n"
    (tmp_path / "net.tl").write_text(text)
    (tmp_path / "literal.tl").write_text(text.replace("args[0]", '"m.safetensors"'))
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["run", "net.tl", "--", "m.safetensors"])
    told = (
        "`m.safetensors` does not fit `Net`: 1 missing tensor and 32 conflicts\n",
        "   = note: key\n"
        "             wanted                  found\n"
        "           output.weight or embed.weight\n"
        "             float16[V, D] = [V, 8]  missing\n"
        f"           {prefix}.{{0..31}}.gate.weight\n"
        "             float16[D, D] = [8, 8]  float16[8, 9]\n"
        f"   = note: `D` is 8 by `{prefix}.0.mlp.0.up.weight` of [16, 8]\n",
    )
    assert (result.exit_code, result.stderr) == (1, f"error[TL4020]: {told[0]}  --> net.tl:15\n{told[1]}")
    checked = CliRunner().invoke(main, ["check", "literal.tl"])
    assert checked.exit_code == 1
    assert checked.stderr.startswith(f"error[TL4025]: {told[0]}")
    assert told[1].replace("\n", "\n ").rstrip() in checked.stderr


def test_what_no_field_took_is_told_to_who_listens(
    program: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    others: dict[str, tuple[int, ...]] = {f"other.{i}": (1,) for i in range(30)}
    with caplog.at_level(logging.INFO, "tensorlogic"):
        opened = saved(tmp_path, {"weight": (V, D), "one": (1,)})
        opened.get_tensor("weight")
        assert opened.unused == ("one",)
        del opened
        assert caplog.messages == []
        opened = saved(tmp_path, {"one": (1,)} | block("blk.0") | block("blk.1"))
        for i in range(2):
            program.Block.bind(opened, prefix=f"blk.{i}")
        del opened
        assert caplog.messages == [f"1 tensor of `{tmp_path / 'm.safetensors'}` was not used: `one`"]
        opened = saved(tmp_path, block("blk.0") | others)
        program.Block.bind(opened, prefix="blk.0")
        assert sorted(opened.unused) == sorted(others)
        del opened
    assert "30 tensors" in caplog.messages[1]
    assert caplog.messages[1].endswith(" and 10 more")


def test_verbose_lists_unused_tensors_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved(tmp_path, {"blk.0.gate.weight": (D, D), "more": (1,)} | block("blk.0"))
    program = 'let m = load_model("m" + ".safetensors")\nlet b = bind<Block>(m, prefix: "blk.0")\nprint(b.D)\n'
    (tmp_path / "net.tl").write_text(PROGRAM + program)
    monkeypatch.chdir(tmp_path)
    # Models of tests before this one, which errors still refer to, are closed now and not below.
    gc.collect()
    quiet, verbose = (CliRunner().invoke(main, ["run", "net.tl", *options]) for options in ([], ["--verbose"]))
    assert (quiet.exit_code, quiet.stdout, quiet.stderr) == (0, "8\n", "")
    assert (verbose.exit_code, verbose.stdout) == (0, "8\n")
    assert verbose.stderr == "tlc: 1 tensor of `m.safetensors` was not used: `more`\n"
