"""Which fields of a struct share their left side, and are joined when they are bound."""

from __future__ import annotations

from pathlib import Path

import pytest

from tensorlogic.compiler import driver

LAYER = """struct Layer[D, F] { norm: float16[D]; q: float16[F, D]; k: float16[F, D]; v: float16[F, D]; o: float16[D, F]
    bias: float16[F] }
"""
X = "x: float16[N, D], l: Layer[D, F]"


def joined(text: str, folder: Path, options: driver.Options | None = None) -> list[str]:
    """What is printed of the structs after the pass."""
    file = folder / "program.tl"
    file.write_text(LAYER + text, encoding="utf-8")
    options = options or driver.Options(verify=True)
    printed = driver.compile_file(file, options, print_after="join").printed
    return [line for line in printed.splitlines() if line.startswith("join ")]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("return (x @ l.q.T + x @ l.k.T) @ l.o.T", ["join Layer: q k"]),
        ("let h = rms_norm(x, l.norm); return (h @ l.v.T + h @ l.q.T + h @ l.k.T) @ l.o.T", ["join Layer: v q k"]),
        ("return (silu(x @ l.k.T) * (x @ l.q.T)) @ l.o.T", ["join Layer: k q"]),
        # Their sums with a bias are no part of the products.
        ("return (x @ l.q.T + l.bias) @ l.o.T + (x @ l.k.T + l.bias) @ l.o.T", ["join Layer: q k"]),
        ("return (x @ l.q.T) @ l.o.T", []),
        # Of two left sides.
        ("return (x @ l.q.T + exp(x) @ l.k.T) @ l.o.T", []),
        # One weight twice is one product.
        ("return (x @ l.q.T + x @ l.q.T) @ l.o.T", []),
        # Not as it lies in memory.
        ("return (x @ l.q.T) @ l.o.T + x @ (l.k * 2).T @ l.o.T", []),
    ],
)
def test_fields_of_one_left_side(body: str, expected: list[str], tmp_path: Path) -> None:
    assert joined(f"fn f({X}) -> float16[N, D] {{ {body} }}", tmp_path) == expected


def test_weights_that_are_no_fields_of_one_struct(tmp_path: Path) -> None:
    other = "w: float16[F, D], m: Layer[D, F]"
    for products in ("x @ l.q.T + x @ w.T", "x @ l.q.T + x @ m.k.T"):
        assert joined(f"fn f({X}, {other}) -> float16[N, F] {{ return {products} }}", tmp_path) == []


def test_a_field_is_in_the_first_group_that_is_found(tmp_path: Path) -> None:
    text = f"""
fn f({X}) -> float16[N, F] {{ return x @ l.q.T + x @ l.k.T }}
fn g({X}) -> float16[N, F] {{ return x @ l.k.T + x @ l.v.T }}
fn h({X}) -> float16[N, F] {{ return x @ l.q.T + x @ l.k.T }}
"""
    assert joined(text, tmp_path) == ["join Layer: q k"]


def test_in_loops_and_scripts(tmp_path: Path) -> None:
    text = """
struct Net[D, F] { layers: [Layer[D, F]]; head: Layer[D, F] }
fn f(x: float16[N, D], net: Net[D, F]) -> float16[N, D] {
    for (i, l) in enumerate(net.layers) { x = x + (x @ l.v.T * (x @ l.q.T)) @ l.o.T }
    return x
}
let file = load_model("m.gguf")
let net = bind<Net>(file)
let row = ones([1, net.D], dtype: float16)
print(row @ net.head.q.T + row @ net.head.k.T)
"""
    assert joined(text, tmp_path) == ["join Layer: v q"]
    # What the script does counts as much.
    assert joined(text.replace("x @ l.v.T * (x @ l.q.T)", "x @ l.v.T"), tmp_path) == ["join Layer: q k"]


def test_the_emitted_class_names_them_as_python_does(tmp_path: Path) -> None:
    file = tmp_path / "names.tl"
    file.write_text(
        "struct S[D, F] { def: float16[F, D]; b: float16[F, D] }\n"
        "fn f(x: float16[N, D], s: S[D, F]) -> float16[N, F] { return x @ s.def.T + x @ s.b.T }\n",
        encoding="utf-8",
    )
    assert '    _joined = (("def_", "b"),)' in driver.compile_file(file).python


def test_nothing_is_joined_where_products_are_not_fused(tmp_path: Path) -> None:
    text = f"fn f({X}) -> float16[N, F] {{ return x @ l.q.T + x @ l.k.T }}"
    for options in (driver.Options(strict=True), driver.Options(standalone=True)):
        assert joined(text, tmp_path, options) == []
