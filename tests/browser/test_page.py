"""The page of the example application in a real browser: what a user sees and does. The model is a script."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from examples.app.engine import Engine, load
from tests.examples.app.script import Script, by_hand, eventually, serving, while_it_goes_on
from tests.models import SMOLLM2, model_path

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

Serve = Callable[..., tuple[int, Engine]]
Open = Callable[..., "Page"]


def see(page: Page, selector: str, text: str) -> None:
    """Waits until an element has exactly this text."""
    from playwright.sync_api import expect

    expect(page.locator(selector)).to_have_text(text, timeout=20_000)


def say(page: Page, text: str) -> None:
    page.fill("#text", text)
    page.keyboard.press("Enter")


def test_a_real_model_answers(open_page: Open) -> None:
    engine = Engine(lambda: load(model_path(SMOLLM2)))
    with serving(engine) as port:
        page = open_page(port)
        say(page, "What is the capital of France? Answer in one sentence.")
        see(page, ".assistant", "The capital of France is Paris.")
        page.wait_for_selector(".note")
        assert "tokens/s" in page.inner_text(".note")


def test_the_answer_is_seen_as_it_is_computed(serve: Serve, open_page: Open) -> None:
    script = Script(steps=by_hand())
    port, _ = serve(script)
    page = open_page(port)
    see(page, "h1", "a <b>model</b>")
    say(page, "Hello")
    see(page, ".user", "Hello")
    see(page, "#status", "Reading your message …")
    script.steps.release(2)
    see(page, ".assistant", "w0 ")
    see(page, "#status", "Answering …")
    script.steps.release(1)
    see(page, ".assistant", "w0 w1 ")
    script.steps.release(100)
    page.wait_for_selector(".note")
    see(page, ".assistant", "w0 w1 w2 w3 w4 ")
    assert page.inner_text(".note").startswith("5 tokens, ")
    assert page.inner_text("#status") == ""


def test_the_next_question_comes_with_all_that_was_said(serve: Serve, open_page: Open) -> None:
    port, _ = serve(Script(count=2))
    page = open_page(port)
    bodies: list[Any] = []
    page.on("request", lambda asked: bodies.append(asked.post_data_json) if asked.method == "POST" else None)
    say(page, "One")
    page.wait_for_selector(".note")
    say(page, "Two")
    page.wait_for_selector(".note >> nth=1")
    roles = [(message["role"], message["content"]) for message in bodies[1]["messages"]]
    assert roles == [("user", "One"), ("assistant", "w0 w1 "), ("user", "Two")]
    page.click("#new")
    assert page.locator(".message").count() == 0
    say(page, "Three")
    page.wait_for_selector(".note")
    assert [message["content"] for message in bodies[2]["messages"]] == ["Three"]


def test_text_is_shown_as_text(serve: Serve, open_page: Open) -> None:
    port, _ = serve(Script(count=1, piece=lambda id: "<img src=x onerror=alert(1)>\n\n<b>é\U0001f600"))
    page = open_page(port)
    say(page, "<i>Hello</i>")
    page.wait_for_selector(".note")
    assert page.text_content(".user") == "<i>Hello</i>"
    assert page.text_content(".assistant") == "<img src=x onerror=alert(1)>\n\n<b>é\U0001f600"
    assert page.locator("#log img, #log b, #log i").count() == 0


@pytest.mark.parametrize("by", ["button", "Escape"])
def test_an_answer_is_stopped(serve: Serve, open_page: Open, by: str) -> None:
    script = Script(count=1000, steps=by_hand())
    port, engine = serve(script)
    page = open_page(port)
    say(page, "Hello")
    script.steps.release(2)
    see(page, ".assistant", "w0 ")
    assert not page.is_visible("#send")
    if by == "button":
        page.click("#stop")
    else:
        page.keyboard.press("Escape")
    see(page, ".note", "Stopped.")
    while_it_goes_on(script, lambda: engine.taken() == 0)
    assert page.is_visible("#send")
    assert not page.is_visible("#stop")


def are_taken(engine: Engine, places: int) -> bool:
    return engine.taken() == places


def test_who_waits_is_told_how_many_come_first(serve: Serve, open_page: Open) -> None:
    script = Script(steps=by_hand())
    port, engine = serve(script)
    pages = []
    for number in range(3):
        pages.append(open_page(port))
        say(pages[-1], "Hello")
        eventually(partial(are_taken, engine, number + 1))
    see(pages[1], "#status", "Waiting: one answer comes before yours.")
    see(pages[2], "#status", "Waiting: 2 answers come before yours.")
    script.steps.release(7)
    see(pages[2], "#status", "Waiting: one answer comes before yours.")
    script.steps.release(100)
    for page in pages:
        see(page, ".assistant", "w0 w1 w2 w3 w4 ")


def test_a_closed_tab_frees_its_place(serve: Serve, open_page: Open) -> None:
    script = Script(count=1000, steps=by_hand())
    port, engine = serve(script, places=1)
    page = open_page(port)
    say(page, "Hello")
    script.steps.release(2)
    see(page, ".assistant", "w0 ")
    page.close()
    while_it_goes_on(script, lambda: engine.taken() == 0)


def test_a_full_queue_is_told_and_tried_again(serve: Serve, open_page: Open) -> None:
    script = Script(steps=by_hand())
    port, engine = serve(script, places=1)
    first, second = open_page(port), open_page(port)
    say(first, "Hello")
    eventually(lambda: engine.taken() == 1)
    say(second, "Hello")
    second.wait_for_selector("[role=alert]")
    words = "The server is busy: all 1 places are taken: try again in 1 s."
    assert words in second.inner_text(".failure")
    script.steps.release(100)
    first.wait_for_selector(".note")
    second.get_by_role("button", name="Try again").click()
    see(second, ".assistant", "w0 w1 w2 w3 w4 ")
    assert second.locator(".failure").count() == 0


def test_a_chat_that_is_too_long_is_told(serve: Serve, open_page: Open) -> None:
    port, _ = serve(Script(context=10))
    page = open_page(port)
    say(page, "word " * 11)
    page.wait_for_selector(".failure")
    assert "the prompt has 11 tokens; the model's context has room for 10" in page.inner_text(".failure")
    # The next question does not carry it along.
    say(page, "Hello")
    see(page, ".assistant", "w0 w1 w2 w3 w4 ")


def test_a_server_that_is_gone_is_told(open_page: Open) -> None:
    script = Script(steps=by_hand())
    engine = Engine(script.model)
    with serving(engine) as port:
        page = open_page(port)
        say(page, "Hello")
        script.steps.release(2)
        see(page, ".assistant", "w0 ")
    page.wait_for_selector(".failure")
    assert "the server is being stopped" in page.inner_text(".failure")
    say(page, "Are you there?")
    page.wait_for_selector(".failure >> nth=1")
    assert "The connection to the server was lost. Is it still running?" in page.inner_text(".failure >> nth=1")
    script.steps.release(1)


def test_the_keyboard_is_enough(serve: Serve, open_page: Open) -> None:
    port, _ = serve(Script(count=2))
    page = open_page(port)
    page.wait_for_function("document.activeElement.id == 'text'")
    page.keyboard.type("one")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("two")
    assert page.input_value("#text") == "one\ntwo"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "send"
    page.keyboard.press("Enter")
    page.wait_for_selector(".note")
    assert page.text_content(".user") == "one\ntwo"
    # Nothing is not sent.
    page.focus("#text")
    page.keyboard.press("Enter")
    assert page.locator(".user").count() == 1


def test_settings_are_sent_and_wrong_ones_shown(serve: Serve, open_page: Open) -> None:
    port, _ = serve(Script())
    page = open_page(port)
    page.click("summary")
    page.fill("#tokens", "2")
    page.fill("#temperature", "9")
    page.click("summary")
    say(page, "Hello")
    page.wait_for_selector("details[open]")
    assert page.locator(".user").count() == 0
    page.fill("#temperature", "0")
    page.click("#send")
    see(page, ".assistant", "w0 w1 ")
    page.wait_for_selector(".note")
    assert "Cut off" in page.inner_text(".note")


def test_the_page_fits_a_phone(serve: Serve, open_page: Open) -> None:
    port, _ = serve(Script(piece=lambda id: "x" * 200))
    page = open_page(port, viewport={"width": 320, "height": 568})
    say(page, "y" * 200)
    page.wait_for_selector(".note")
    assert page.evaluate("document.documentElement.scrollWidth") == 320
    assert page.evaluate("document.querySelector('main').scrollWidth") == 320
    for button in ("#send", "#new"):
        box = page.locator(button).bounding_box()
        assert box is not None
        assert 0 <= box["x"] <= box["x"] + box["width"] <= 320


def test_a_reader_who_scrolls_back_is_left_there(serve: Serve, open_page: Open) -> None:
    script = Script(count=4, piece=lambda id: "line\n" * 100, steps=by_hand())
    port, _ = serve(script)
    page = open_page(port)
    say(page, "Hello")
    script.steps.release(2)
    page.wait_for_selector(".assistant")
    # It has followed the text.
    eventually(lambda: page.evaluate("document.querySelector('main').scrollTop") > 0 and hidden_below(page) < 2)
    page.hover("main")
    page.mouse.wheel(0, -500)
    eventually(lambda: hidden_below(page) >= 499)
    script.steps.release(100)
    page.wait_for_selector(".note")
    assert hidden_below(page) > 3 * 100 * 20


def hidden_below(page: Page) -> float:
    """How much of the chat lies below what is seen, in pixels."""
    code = "(m) => m.scrollHeight - m.scrollTop - m.clientHeight"
    found = page.locator("main").evaluate(code)
    assert isinstance(found, int | float)
    return found


def test_colours_are_those_that_the_system_prefers(serve: Serve, open_page: Open) -> None:
    port, _ = serve(Script())
    colours = [
        open_page(port, color_scheme=scheme).evaluate("getComputedStyle(document.body).backgroundColor")
        for scheme in ("light", "dark")
    ]
    assert colours == ["rgb(255, 255, 255)", "rgb(23, 24, 27)"]
