"""A cache is used once, whichever way a program takes."""

from __future__ import annotations

import pytest

import tensorlogic

PARAMETERS = "cache: KVCache, k: float16[B, G, L, K], c: bool"
UPDATE = "let (ks, vs, next) = cache.update(0, k, k)"


def codes(body: str, result: str = "KVCache") -> list[str]:
    text = f"fn f({PARAMETERS}) -> {result} {{\n{body}\n}}"
    return [d.code for d in tensorlogic.check(text)]


@pytest.mark.parametrize(
    "body",
    [
        f"{UPDATE}\nreturn next",
        f"let n = cache.length(0)\nlet other = cache.copy()\n{UPDATE}\nreturn other",
        f"if c {{\n{UPDATE}\nreturn next\n}}\nreturn cache",
        f"for i in 0..3 {{\n{UPDATE}\ncache = next\n}}\nreturn cache",
        f"while cache.length() < 3 {{\n{UPDATE}\ncache = next\n}}\nreturn cache",
        f"if c {{\n{UPDATE}\ncache = next\n}} else {{\ncache = cache.copy()\n}}\nreturn cache",
        "let pair = (cache, 1)\nlet (a, b) = pair\nreturn a",
        f"{UPDATE}\nreturn next.copy()",
    ],
)
def test_fine(body: str) -> None:
    assert codes(body) == []


@pytest.mark.parametrize(
    "body",
    [
        f"{UPDATE}\nlet (a, b, d) = cache.update(1, k, k)\nreturn next",
        f"{UPDATE}\nreturn cache",
        f"{UPDATE}\nlet n = cache.length(0)\nreturn next",
        f"{UPDATE}\nreturn cache.copy()",
        f"for i in 0..3 {{\n{UPDATE}\n}}\nreturn cache",
        f"while c {{\n{UPDATE}\n}}\nreturn cache",
        f"if c {{\n{UPDATE}\n}}\nreturn cache",
        f"if c {{\n{UPDATE}\n}} else {{\nlet (x, y, z) = cache.update(1, k, k)\n}}\nreturn cache",
        "let pair = (cache, 1)\nlet (a, b) = pair\nlet (d, e) = pair\nreturn a",
        "let pair = (cache, cache)\nlet (a, b) = pair\nreturn a",
    ],
)
def test_used_once_more(body: str) -> None:
    assert codes(body) == ["TL2022"]
