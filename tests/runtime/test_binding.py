"""`bind`: structs filled from a model, and everything that is wrong with it told in one error."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import mlx.core as mx
import pytest

import tensorlogic
from tensorlogic.runtime.errors import BoundaryError, ModelFileError
from tensorlogic.runtime.models import Model, load_model
from tensorlogic.runtime.saving import save_model

PROGRAM = """
struct Block[D, F] { up: float16[F, D] = "up.weight"
    down: float16[D, F] = "down.weight"
    bias: float16[D]? }
struct Net[V, D, F] { embed: float16[V, D] = "output.weight" | "embed.weight"
    blocks: [Block[D, F]] = "blk.{i}"
    norm: float16[D]
    last: Block[D, F]? }
struct Table[N] { ids: int32[N] }
struct Heads[H, K] { w: float16[H*K] }
struct Stack[H, K] { layers: [Heads[K, H]] = "layers.{i}"
    last: Heads[H, 2]? }
fn size(net: Net[V, D, F]) -> int { return D }
"""
SHAPES = {"embed.weight": (7, 4), "norm": (4,)} | {
    f"blk.{i}.{name}.weight": shape for i in range(3) for name, shape in (("up", (6, 4)), ("down", (4, 6)))
}


@pytest.fixture(scope="module")
def program() -> Any:
    return tensorlogic.compile(PROGRAM, "net")


def model(folder: Path, changed: dict[str, tuple[int, ...] | None]) -> Model:
    """A model of the right tensors, but for those that have other shapes or, with None, are missing."""
    tensors = {name: mx.zeros(shape) for name, shape in (SHAPES | changed).items() if shape is not None}
    save_model(tensors, folder / "net.safetensors")
    return load_model(folder / "net.safetensors")


def refusal(program: Any, opened: Model, struct: str = "Net", **dims: int) -> tuple[str, tuple[str, ...]]:
    with pytest.raises(ModelFileError) as raised:
        getattr(program, struct).bind(opened, **dims)
    assert raised.value.code == "TL4020"
    return raised.value.message.partition("does not fit ")[2], raised.value.notes


def rows(note: str) -> list[tuple[str, ...]]:
    """The cells of a table below its head, whether keys stand beside the other cells or above them."""
    head, *lines = note.replace("\n  ", "  ").splitlines()
    assert head.split() == ["key", "wanted", "found"]
    return [tuple(re.split("  +", line)) for line in lines]


def test_a_model_that_fits(program: Any, tmp_path: Path) -> None:
    net = program.Net.bind(model(tmp_path, {"blk.1.bias": (4,)}))
    assert (net.V, net.D, net.F, len(net.blocks), net.last) == (7, 4, 6, 3, None)
    assert [block.bias is None for block in net.blocks] == [True, False, True]
    assert program.size(net) == 4


def test_all_that_is_missing_and_wrong_is_one_error(program: Any, tmp_path: Path) -> None:
    changed: dict[str, tuple[int, ...] | None] = {
        "embed.weight": None,
        "blk.0.down.weight": (4, 5),
        "blk.1.up.weight": None,
        "blk.2.up.weight": (5, 4),
    }
    message, notes = refusal(program, model(tmp_path, changed))
    assert message == "`Net`: 2 missing tensors and 2 conflicts"
    assert notes == (
        "key\n"
        "  wanted                  found\n"
        "output.weight or embed.weight\n"
        "  float16[V, D] = [V, 4]  missing\n"
        "blk.0.down.weight\n"
        "  float16[D, F] = [4, 6]  float16[4, 5]\n"
        "blk.1.up.weight\n"
        "  float16[F, D] = [6, 4]  missing\n"
        "blk.2.up.weight\n"
        "  float16[F, D] = [6, 4]  float16[5, 4]",
        "`F` is 6 by `blk.0.up.weight` of [6, 4]",
    )


def test_a_conflict_is_told_beside_what_is_missing(program: Any, tmp_path: Path) -> None:
    message, notes = refusal(program, model(tmp_path, {"blk.0.up.weight": None, "blk.2.bias": (3,), "norm": (4, 1)}))
    assert message == "`Net`: 1 missing tensor and 2 conflicts"
    assert rows(notes[0]) == [
        ("blk.0.up.weight", "float16[F, D] = [6, 4]", "missing"),
        ("blk.2.bias", "float16[D] = [4]", "float16[3]"),
        ("norm", "float16[D] = [4]", "float16[4, 1]"),
    ]
    assert notes[1:] == ("`D` is 4 by `embed.weight` of [7, 4]",)


def test_each_dim_that_is_wrong_is_told(program: Any, tmp_path: Path) -> None:
    save_model({"up.weight": mx.ones((8, 3)), "down.weight": mx.ones((4, 7))}, tmp_path / "b.safetensors")
    _, notes = refusal(program, load_model(tmp_path / "b.safetensors"), "Block")
    by = "by `up.weight` of [8, 3]"
    assert rows(notes[0]) == [("down.weight", "float16[D, F] = [3, 8]", "float16[4, 7]")]
    assert notes[1:] == (f"`D` is 3 {by}", f"`F` is 8 {by}")


def test_a_conflict_between_structs(program: Any, tmp_path: Path) -> None:
    message, notes = refusal(program, model(tmp_path, {"norm": (3,)}))
    assert message == "`Net`: 1 conflict"
    assert rows(notes[0]) == [("norm", "float16[D] = [4]", "float16[3]")]
    assert notes[1:] == ("`D` is 4 by `embed.weight` of [7, 4]",)


def test_a_list_has_no_gap(program: Any, tmp_path: Path) -> None:
    opened = model(tmp_path, {"blk.1.up.weight": None, "blk.1.down.weight": None})
    message, notes = refusal(program, opened)
    assert message == "`Net`: 1 missing tensor"
    assert rows(notes[0]) == [("blk.1", "Block", "missing, next: blk.2")]


def test_an_element_type_that_conflicts(program: Any, tmp_path: Path) -> None:
    save_model({"ids": mx.ones((2,))}, tmp_path / "ids.safetensors")
    message, notes = refusal(program, load_model(tmp_path / "ids.safetensors"), "Table")
    assert message == "`Table`: 1 conflict"
    assert rows(notes[0]) == [("ids", "int32[N] = [2]", "float16[2]")]
    assert notes[1:] == ()


def test_what_differs_in_an_index_alone_is_one_row(program: Any, tmp_path: Path) -> None:
    names: dict[str, tuple[int, ...] | None] = {f"blk.{i}.up.weight": (6, 4) for i in range(30)}
    names |= {f"blk.{i}.down.weight": None if i % 20 else (4, 7) for i in range(30)}
    message, notes = refusal(program, model(tmp_path, names))
    assert message == "`Net`: 28 missing tensors and 2 conflicts"
    assert rows(notes[0]) == [
        ("blk.{0,20}.down.weight", "float16[D, F] = [4, 6]", "float16[4, 7]"),
        ("blk.{1..19,21..29}.down.weight", "float16[D, F] = [4, 6]", "missing"),
    ]


def test_many_are_counted(tmp_path: Path) -> None:
    letters = [f"w{chr(ord('a') + i)}" for i in range(26)]
    fields = "".join(f"{name}: float16[N]\n" for name in letters)
    wide: Any = tensorlogic.compile(f"struct Wide[N] {{ {fields} many: [float16[N]] }}", "wide").Wide
    opened = model(tmp_path, {f"many.{i}": (i + 1,) for i in range(3)})
    with pytest.raises(ModelFileError) as raised:
        wide.bind(opened)
    assert raised.value.message.endswith("`Wide`: 26 missing tensors and 2 conflicts")
    listed, origin = raised.value.notes
    assert [line.split()[0] for line in listed.splitlines()] == ["key", *letters[:20], "and"]
    assert listed.endswith("\nwt   float16[N] = [1]  missing\nand 8 more")
    assert origin == "`N` is 1 by `many.0` of [1]"


def test_dims_by_name(program: Any, tmp_path: Path) -> None:
    save_model({"w": mx.ones((6,))}, tmp_path / "heads.safetensors")
    opened = load_model(tmp_path / "heads.safetensors")
    assert program.Heads.bind(opened, H=2, K=3).K == 3
    assert program.Heads.bind(opened, H=2).K == 3
    assert program.Heads.bind(opened, K=3).H == 2
    assert refusal(program, opened, "Heads")[1] == ("`H` of `Heads`: no tensor tells it, and `bind` was not given it",)
    notes = refusal(program, opened, "Heads", H=4)[1]
    assert rows(notes[0]) == [("w", "float16[H*K] = [4*K]", "float16[6]")]
    assert notes[1:] == ("`H` is 4 as given",)
    notes = refusal(program, opened, "Heads", H=2, K=4)[1]
    assert rows(notes[0]) == [("w", "float16[H*K] = [8]", "float16[6]")]
    assert notes[1:] == ("`H` is 2 as given", "`K` is 4 as given")
    assert program.Net.bind(model(tmp_path, {}), D=4, V=7).D == 4
    message, notes = refusal(program, model(tmp_path, {}), D=5)
    assert message == "`Net`: 8 conflicts"
    assert rows(notes[0])[:2] == [
        ("embed.weight", "float16[V, D] = [7, 5]", "float16[7, 4]"),
        ("blk.{0..2}.up.weight", "float16[F, D] = [6, 5]", "float16[6, 4]"),
    ]
    assert notes[1:] == ("`D` is 5 as given",)
    with pytest.raises(TypeError, match="`Net` has no dim `Q`"):
        program.Net.bind(model(tmp_path, {}), Q=1)


def test_what_is_no_model(program: Any, tmp_path: Path) -> None:
    for wrong, dims, said in (
        ("net.safetensors", {}, "`model` of `Net.bind` is a str, not a Model"),
        (model(tmp_path, {}), {"D": "4"}, "`D` of `Net.bind` is a Python str, not an int"),
    ):
        with pytest.raises(BoundaryError, match=said) as raised:
            program.Net.bind(wrong, **dims)
        assert raised.value.code == "TL5002"


def test_dims_by_name_reach_the_structs_inside(program: Any, tmp_path: Path) -> None:
    save_model({f"layers.{i}.w": mx.ones((6,)) for i in range(2)}, tmp_path / "stack.safetensors")
    opened = load_model(tmp_path / "stack.safetensors")
    stack = program.Stack.bind(opened, H=2, K=3)
    assert [(layer.H, layer.K) for layer in stack.layers] == [(3, 2), (3, 2)]
    message, notes = refusal(program, opened, "Stack", H=2, K=4)
    assert message == "`Stack`: 2 conflicts"
    assert rows(notes[0]) == [("layers.{0..1}.w", "float16[H*K] = [8]", "float16[6]")]
    assert notes[1:] == ("`H` is 2 as given", "`K` is 4 as given")


LAYERS = """
struct Attention[D, H, K] { q: float16[H*K, D] = "weight" }
struct Block[D, H, K] { attention: Attention[D, 2*H, K] = "up" }
struct Deep[D, H, K] { blocks: [Block[D, H, K]] = "blk.{i}"
    first: Attention[D, H+2, K-1] = "blk.0.up" }
"""


def test_dims_by_name_reach_every_level(tmp_path: Path) -> None:
    deep: Any = tensorlogic.compile(LAYERS, "deep").Deep
    opened = model(tmp_path, {"blk.1.up.weight": (6, 4)})
    net = deep.bind(opened, H=1, K=3)
    assert [(block.attention.H, block.attention.K, block.attention.D) for block in net.blocks] == [(2, 3, 4)] * 3
    assert (net.first.H, net.first.K) == (3, 2)


def test_a_dim_that_is_not_given_is_told_once(tmp_path: Path) -> None:
    module: Any = tensorlogic.compile(LAYERS, "deep")
    with pytest.raises(ModelFileError) as raised:
        module.Deep.bind(model(tmp_path, {}))
    assert raised.value.notes == ("`H` of `Attention`: no tensor tells it, and `bind` was not given it",)


FURTHER = """
struct Triangle[N] { w: float16[N*(N+1)/2]
    side: float16[N] }
struct Heads[D, H, K] { q: float16[H*K, D] = "up.weight" }
struct Layers[D] { blocks: [Heads[D, ?, 3]] = "blk.{i}"
    scale: float16[]?
    empty: float16[0, D]? }
struct Square[N] { n: float16[N] = "half"
    w: float16[N, N]
    one: float16[3] = "side" }
"""


@pytest.fixture(scope="module")
def further() -> Any:
    return tensorlogic.compile(FURTHER, "further")


def test_a_size_of_each_item_is_its_own(further: Any, tmp_path: Path) -> None:
    layers = further.Layers.bind(model(tmp_path, {"blk.1.up.weight": (9, 4), "empty": (0, 4), "scale": ()}))
    assert [heads.H for heads in layers.blocks] == [2, 3, 2]
    _, notes = refusal(further, model(tmp_path, {"blk.1.up.weight": (8, 4), "empty": (1, 5)}), "Layers")
    assert rows(notes[0]) == [
        ("blk.1.up.weight", "float16[3*H, D] = [3*H, 4]", "float16[8, 4]"),
        ("empty", "float16[0, D] = [0, 4]", "float16[1, 5]"),
    ]
    assert notes[1:] == ("`D` is 4 by `blk.0.up.weight` of [6, 4]",)


def test_sizes_that_only_the_constructor_compares(further: Any, tmp_path: Path) -> None:
    save_model({"w": mx.ones((6,)), "side": mx.ones((3,))}, tmp_path / "t.safetensors")
    assert further.Triangle.bind(load_model(tmp_path / "t.safetensors")).N == 3
    save_model({"w": mx.ones((7,)), "side": mx.ones((3,))}, tmp_path / "u.safetensors")
    _, notes = refusal(further, load_model(tmp_path / "u.safetensors"), "Triangle")
    told = "further.tl:2: dim 0 of `w` is 7, not `(N*N + N)/2` = 6 (`N` by dim 0 of `side`)"
    assert notes == (f"{told} (`w` is [7], `side` is [3])",)


def test_a_reason_is_told_once(further: Any, tmp_path: Path) -> None:
    save_model({"w": mx.ones((5, 5)), "side": mx.ones((2,)), "half": mx.ones((2,))}, tmp_path / "s.safetensors")
    _, notes = refusal(further, load_model(tmp_path / "s.safetensors"), "Square")
    assert rows(notes[0]) == [
        ("w", "float16[N, N] = [2, 2]", "float16[5, 5]"),
        ("side", "float16[3]", "float16[2]"),
    ]
    assert notes[1:] == ("`N` is 2 by `half` of [2]",)
