"""A headless Chromium and pages in it, for the tests that `make test-browser` runs.

Playwright is imported in here alone, since `make test` collects these tests without having it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from examples.app.engine import Engine
from tests.examples.app.script import Script, serving
from tools.setup_browser import HELP, find_chromium

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    path = find_chromium()
    if path is None:
        pytest.fail(f"found no Chromium: {HELP}")
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=path)
        yield found
        found.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens a page of a server's port, in a window of its own. No page may complain, or load from elsewhere."""
    complaints: list[str] = []
    with ExitStack() as stack:

        def opened(port: int, **settings: Any) -> Page:
            context = browser.new_context(**settings)
            stack.callback(context.close)
            context.set_default_timeout(20_000)
            page = context.new_page()
            page.on("pageerror", lambda fault: complaints.append(str(fault)))
            page.on("console", lambda said: complaints.append(said.text) if "Failed to load" not in said.text else None)
            home = f"http://127.0.0.1:{port}/"
            page.on(
                "request",
                lambda asked: complaints.append(asked.url) if not asked.url.startswith((home, "data:")) else None,
            )
            page.goto(home)
            return page

        yield opened
    assert complaints == []


@pytest.fixture
def serve() -> Iterator[Callable[..., tuple[int, Engine]]]:
    """Serves a script; gives the port and the engine."""
    with ExitStack() as stack:

        def begin(script: Script, **settings: Any) -> tuple[int, Engine]:
            engine = Engine(script.model, **settings)
            stack.callback(lambda: script.steps.release(10_000))
            return stack.enter_context(serving(engine, name="a <b>model</b>")), engine

        yield begin
