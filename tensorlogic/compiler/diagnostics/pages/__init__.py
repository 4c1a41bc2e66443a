"""The page on each code that `tlc explain` prints, gathered from the topic modules beside this one.

A topic module holds a dictionary `PAGES` from codes to pages. A module that is put into this package is found; there
is no list to add it to.
"""

from __future__ import annotations

import pkgutil
from functools import cache
from importlib import import_module

from tensorlogic.compiler.records import dataclass


@dataclass(frozen=True, slots=True)
class Page:
    """What a code means: a title in lower case, one paragraph that helps to mend a program, and a smallest example.

    For the families TL0 to TL3 the example is a program, saved as `example.tl`, for which the compiler gives this code
    and no other (TL2021: compiled with `--standalone`). For the others, and for TL0201, it is what a user runs.
    """

    title: str
    explanation: str
    example: str


@cache
def all_pages() -> dict[str, Page]:
    """Every page by its code, in the order of the codes."""
    pages: dict[str, Page] = {}
    for module in pkgutil.iter_modules(__path__):
        topic: dict[str, Page] = import_module(f"{__name__}.{module.name}").PAGES
        twice = pages.keys() & topic.keys()
        assert not twice, f"two pages for {sorted(twice)}"
        pages.update(topic)
    return dict(sorted(pages.items()))


def page(code: str) -> Page | None:
    """The page on a code written as in `TL3001`; None where there is no such code."""
    return all_pages().get(code)
