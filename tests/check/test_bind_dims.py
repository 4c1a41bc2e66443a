"""Dims that are given by name: to a struct that is made, and to one that is bound."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import pytest

import tensorlogic
from tensorlogic.compiler import driver
from tensorlogic.runtime.errors import BoundaryError
from tensorlogic.runtime.script import run

STRUCTS = """
struct Att[D, H, K] { q: float16[H*K, D] }
struct Two[H, K] { q: float16[H*K]
    r: float16[H+K] }
struct Plain[D] { w: float16[D] }
struct Maybe[D] { w: float16[D]?
    v: float16[2*D]? }
fn plain(w: float16[?], k: int) -> int where 1 <= k { return Plain(w: w, D: k).D }
fn solved(w: float16[?], k: int) -> int where 1 <= k { return Two(q: w, r: ones([5]), H: k).K }
fn present(w: float16[3]?) -> int { if w != none { return Maybe(w: w).D }
    return Maybe(w: w, D: 3).D }
"""


def test_what_follows_from_what_is_given(capsys: pytest.CaptureFixture[str]) -> None:
    text = """
    let a = Att(q: ones([6, 4]), H: 2)
    let b: Att[4, 3, 2] = Att(q: ones([6, 4]), K: 2)
    print(a.H, a.K, a.D, b.H, Att(q: ones([6, 4]), K: 2, H: 3, D: 4).H, Two(q: ones([6]), r: ones([5]), K: 3).H)
    print(Maybe(w: ones([3])).D, Maybe(v: ones([4])).D, Maybe(D: 7).D, Maybe(w: ones([3]), v: none, D: 3).D)
    print(plain(ones([3]), 3), solved(ones([6]), 2), present(ones([3])), present(none))
    """
    run(driver.compile_text(STRUCTS + text, options=driver.Options(verify=True)).python, "program.tl", [])
    assert capsys.readouterr().out == "2 3 4 3 3 2\n3 2 7 3\n3 3 3 3\n"


@pytest.mark.parametrize(
    ("made", "code", "message"),
    [
        ("Att(q: ones([6, 4]), H: 4)", "TL3003", "`H*K` of `Att` cannot be 6: `6` is not divisible by `4`"),
        ("Att(q: ones([6, 4]), H: 3, K: 3)", "TL3003", "`H*K` of `Att` is 9 by `H` and 6 by `q`"),
        ("Att(q: ones([6, 4]), D: 3, H: 2)", "TL3003", "`D` of `Att` is 4 by `q` and 3 by `D`"),
        ("Att(q: ones([6, 4]), H: 0)", "TL3016", "`H` of `Att` would be 0"),
        ("Att(q: ones([6, 4]))", "TL2014", "`Att` needs `H`"),
        ("Att(q: ones([6, 4]), H: 2, L: 3)", "TL2014", "`Att` has no field `L`"),
        ("Att(H: 2)", "TL2014", "`Att` needs `q`"),
        ("Two(q: ones([6]), r: ones([6]), H: 2)", "TL3003", "`H + K` of `Two` is 5 by `H` and 6 by `r`"),
        ("Maybe(w: none)", "TL2014", "`Maybe` needs `D`"),
        ("Maybe(w: ones([3]), v: ones([4]))", "TL3003", "`2*D` of `Maybe` is 6 by `w` and 4 by `v`"),
    ],
)
def test_what_does_not_agree(made: str, code: str, message: str) -> None:
    (wrong,) = tensorlogic.check(f"{STRUCTS}let made = {made}")
    assert (wrong.code, wrong.message) == (code, message)


def test_what_only_run_time_knows_is_compared_then() -> None:
    module: Any = tensorlogic.compile(STRUCTS, "made")
    assert module.plain(mx.ones((3,), mx.float16), 3) == 3
    with pytest.raises(BoundaryError, match="`D` of `Plain` is 3 by `w` and 2 by `D`"):
        module.plain(mx.ones((3,), mx.float16), 2)
    with pytest.raises(BoundaryError, match=r"`H\*K` of `Two` cannot be 6: 6 is not divisible by 4"):
        module.solved(mx.ones((6,), mx.float16), 4)


def test_a_class_asks_for_what_it_cannot_find() -> None:
    module: Any = tensorlogic.compile(STRUCTS, "made")
    heads = module.Att(q=mx.ones((6, 4), mx.float16), H=2)
    assert (heads.D, heads.H, heads.K) == (4, 2, 3)
    for wrong, said in ((0, "`H` is 0: a dimension variable is at least 1"), (4, "6 is not divisible by 4")):
        with pytest.raises(BoundaryError, match=said):
            module.Att(q=mx.ones((6, 4), mx.float16), H=wrong)
    with pytest.raises(BoundaryError, match=r"dim 0 of `r` is 6, not `H \+ K` = 5"):
        module.Two(q=mx.ones((6,), mx.float16), r=mx.ones((6,), mx.float16), H=2)


NESTED = """
struct In[D, H, P] { q: float16[H*P, D] }
struct Mid[D, H, P] { i: In[D, 2*H, P] }
struct Net[D, H, P] { b: [Mid[D, H, P]] = "blk.{i}" }
struct Two[D, P] { b: [In[D, 2, P]] = "blk.{i}" }
struct Open[D, P] { b: [In[D, ?, P]] = "blk.{i}" }
struct Both[D] { b: [In[D, ?, ?]] = "blk.{i}" }
struct Far[D, H, P, K] { b: [In[D, H*P, K]] = "blk.{i}" }
struct Told[D, H, P] { heads: float16[H, D]
    i: In[D, H, P]?
    b: In[D, H, P] }
struct Square[N, H] { w: float16[N, H*H] }
struct Maybe[N] { w: float16[N]? }
let m = load_model("m" + ".safetensors")
"""


@pytest.mark.parametrize(
    ("call", "message", "help"),
    [
        ("bind<Net>(m)", "the tensors of `Net` do not tell `H` and `P`", "`bind<Net>(model, H: ...)` gives it by name"),
        (
            "bind<Square>(m)",
            "the tensors of `Square` do not tell `H`",
            "`bind<Square>(model, H: ...)` gives it by name",
        ),
        ("bind<Maybe>(m)", "the tensors of `Maybe` do not tell `N`", "`bind<Maybe>(model, N: ...)` gives it by name"),
        ("bind<Open>(m)", "the tensors of `Open` do not tell `P`", "`bind<Open>(model, P: ...)` gives it by name"),
        ("bind<Both>(m)", "the tensors of `In` do not tell `H`, which is `?` in `In[D, ?, ?]`", None),
        (
            "bind<Far>(m, D: 4)",
            "the tensors of `Far` do not tell `H` and `P` and `K`",
            "`bind<Far>(model, H: ..., P: ...)` gives them by name",
        ),
    ],
)
def test_a_dim_that_nothing_tells_is_refused_while_checking(call: str, message: str, help: str | None) -> None:
    (wrong,) = tensorlogic.check(f"{NESTED}let net = {call}")
    assert (wrong.code, wrong.message) == ("TL1010", message)
    assert wrong.helps == ((help,) if help else ())


@pytest.mark.parametrize(
    "call",
    [
        "bind<Net>(m, H: 2)",
        "bind<Net>(m, P: 2)",
        "bind<Net>(m, D: 1, H: 2, P: 3)",
        "bind<Two>(m)",
        "bind<Told>(m)",
        "bind<Open>(m, P: 3)",
        "bind<Far>(m, H: 3, P: 2)",
        "bind<Far>(m, P: 2, K: 2)",
    ],
)
def test_what_is_given_is_enough(call: str) -> None:
    assert not tensorlogic.check(f"{NESTED}let net = {call}")
