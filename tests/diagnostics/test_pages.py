"""Every code has a page with all its parts."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import tensorlogic
from tensorlogic.compiler.diagnostics.pages import Page, all_pages, page

FIRST_CODES = [
    *(f"TL10{i:02}" for i in range(1, 17)),
    *(f"TL20{i:02}" for i in range(1, 20)),
    *(f"TL30{i:02}" for i in range(1, 18)),
    *(f"TL50{i:02}" for i in range(1, 7)),
    "TL9001",
]


@pytest.mark.parametrize("code", FIRST_CODES)
def test_every_code_has_a_page(code: str) -> None:
    assert page(code) is not None


def test_codes_are_in_order_and_well_formed() -> None:
    codes = list(all_pages())
    assert codes == sorted(codes)
    assert all(re.fullmatch(r"TL[0-59]\d{3}", code) for code in codes)


@pytest.mark.parametrize(("code", "found"), all_pages().items())
def test_every_page_has_all_its_parts(code: str, found: Page) -> None:
    assert found.title.strip() == found.title != ""
    assert not found.title.endswith(".")
    assert found.explanation.endswith(".")
    assert "\n" not in found.explanation
    assert found.example.strip() == found.example != ""


def test_an_unknown_code_has_no_page() -> None:
    assert page("TL0000") is None
    assert page("tl3001") is None


def test_titles_tell_codes_apart() -> None:
    titles = [found.title for found in all_pages().values()]
    assert len(set(titles)) == len(titles)


def test_every_code_that_is_reported_has_a_page() -> None:
    package = Path(tensorlogic.__file__).parent
    reported = {
        code
        for path in package.rglob("*.py")
        for code in re.findall(r"\"(TL[1-39]\d{3})\"", path.read_text(encoding="utf-8"))
    }
    assert reported <= all_pages().keys()
    assert "TL9001" in reported


def test_every_page_is_on_a_code_that_is_reported() -> None:
    package = Path(tensorlogic.__file__).parent
    reported = {
        code
        for path in package.rglob("*.py")
        if path.parent.name != "pages"
        for code in re.findall(r"\"(TL\d{4})\"", path.read_text(encoding="utf-8"))
    }
    assert all_pages().keys() <= reported
