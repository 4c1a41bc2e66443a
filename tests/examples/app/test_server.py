"""The example application over HTTP: streams, refusals, clients that leave or do not read. The model is a script."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from examples.app.asking import MOST_BYTES
from examples.app.engine import STOPPING, Engine
from tests.examples.app.script import Script, by_hand, chat, eventually, post, serving, while_it_goes_on

WHOLE = "w0 w1 w2 w3 w4 "
Serve = Callable[..., tuple[int, Engine]]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serves a script; gives the port and the engine. All is stopped after the test."""
    with ExitStack() as stack:

        def begin(script: Script, *, patience: float = 10.0, **settings: Any) -> tuple[int, Engine]:
            engine = Engine(script.model, patience=patience, **settings)
            # The callbacks run from the last one to the first.
            stack.callback(lambda: script.steps.release(10_000))
            port = stack.enter_context(serving(engine, patience=patience))
            return port, engine

        yield begin


def get(port: int, path: str, method: str = "GET") -> tuple[http.client.HTTPResponse, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request(method, path)
    response = connection.getresponse()
    with response:
        body = response.read()
    connection.close()
    return response, body


def test_an_answer_is_a_stream_of_events(serve: Serve) -> None:
    port, _ = serve(Script())
    asked = post(port, chat("one two three"))
    assert asked.status == 200
    assert asked.response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    events = list(asked.events())
    assert events[0] == ("waiting", {"before": 0})
    assert "".join(data["text"] for name, data in events if name == "piece") == WHOLE
    name, end = events[-1]
    assert (name, end["finish"], end["prompt_tokens"], end["tokens"]) == ("end", "end", 3, 5)
    assert end["tokens_per_second"] > 0


def test_pieces_come_when_they_are_computed(serve: Serve) -> None:
    script = Script(steps=by_hand())
    port, _ = serve(script)
    asked = post(port, chat("Hello"))
    events = asked.events()
    assert next(events) == ("waiting", {"before": 0})
    for number in range(3):
        # One step more before the first.
        script.steps.release(1 if number else 2)
        assert next(events) == ("piece", {"text": f"w{number} "})
    asked.close()


def test_text_is_what_it_is(serve: Serve) -> None:
    odd = '\n\ndata: x\r\u2028<b>"é\U0001f600'
    port, _ = serve(Script(count=3, piece=lambda id: odd))
    assert post(port, chat("Hello")).text() == odd * 3


def test_many_clients_share_one_model(serve: Serve) -> None:
    port, engine = serve(Script(), places=20)
    texts: list[str] = []
    clients = [threading.Thread(target=lambda: texts.append(post(port, chat("Hello")).text())) for _ in range(20)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    assert texts == [WHOLE] * 20
    assert engine.taken() == 0


def test_two_clients_are_answered_one_after_the_other(serve: Serve) -> None:
    script = Script(steps=by_hand())
    port, _ = serve(script)
    first = post(port, chat("Hello")).events()
    assert next(first) == ("waiting", {"before": 0})
    second = post(port, chat("Hello")).events()
    assert next(second) == ("waiting", {"before": 1})
    script.steps.release(7)
    assert [name for name, _ in first][-1] == "end"
    assert next(second) == ("waiting", {"before": 0})
    script.steps.release(7)
    assert "".join(data["text"] for name, data in second if name == "piece") == WHOLE


def test_a_full_queue_answers_503(serve: Serve) -> None:
    script = Script(steps=by_hand())
    port, _ = serve(script, places=2)
    taken = [post(port, chat("Hello")) for _ in range(2)]
    refused = post(port, chat("Hello"))
    assert refused.status == 503
    assert refused.response.headers["Retry-After"] == "1"
    assert refused.error() == "all 2 places are taken: try again in 1 s"
    script.steps.release(100)
    assert [each.text() for each in taken] == [WHOLE] * 2
    assert post(port, chat("Hello")).text() == WHOLE


@pytest.mark.parametrize("which", [0, 1], ids=["the one that is answered", "one that waits"])
def test_a_closed_connection_frees_its_place(serve: Serve, which: int) -> None:
    script = Script(count=1000, steps=by_hand())
    port, engine = serve(script, places=2)
    asked = [post(port, chat("Hello")) for _ in range(2)]
    for each in asked:
        assert next(each.events())[0] == "waiting"
    script.steps.release(3)
    asked[which].close()
    # One step is begun already when the connection is found closed.
    while_it_goes_on(script, lambda: engine.taken() == 1)
    third = post(port, chat("Hello"))
    assert third.status == 200
    third.close()


def test_a_client_that_does_not_read_is_dropped(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    # More than what lies between the two can hold.
    script = Script(count=1000, piece=lambda id: "x" * 200_000)
    port, engine = serve(script, patience=1.0, buffer=4, places=1)
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect(("127.0.0.1", port))
        body = json.dumps(chat("Hello")).encode()
        head = f"POST /api/chat HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
        slow.sendall(head.encode() + b"\r\n\r\n" + body)
        eventually(lambda: script.done > 0 and engine.taken() == 0)
        assert script.done < 1000
        eventually(lambda: "a client that did not read was dropped" in caplog.text)
        other = post(port, chat("Hello", max_tokens=2))
        assert other.status == 200
        assert len(other.text()) == 400_000


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"{", 400, "the body is no JSON"),
        ({"messages": []}, 400, "`messages` is a list of at least one message"),
        (b" " * (MOST_BYTES + 1), 413, f"the body has at most {MOST_BYTES} bytes"),
    ],
    ids=["no json", "no messages", "too large"],
)
def test_wrong_input_is_refused(serve: Serve, body: object, status: int, words: str) -> None:
    port, engine = serve(Script())
    refused = post(port, body)
    assert refused.status == status
    assert words in refused.error()
    assert engine.taken() == 0


def test_a_large_body_is_refused_without_its_length(serve: Serve) -> None:
    port, _ = serve(Script())
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    parts = (b" " * 10_000 for _ in range(MOST_BYTES // 10_000 + 1))
    connection.request("POST", "/api/chat", parts, {"Content-Type": "application/json"}, encode_chunked=True)
    response = connection.getresponse()
    assert response.status == 413
    response.close()
    connection.close()


def test_a_form_of_another_site_is_refused(serve: Serve) -> None:
    port, _ = serve(Script())
    refused = post(port, chat("Hello"), **{"Content-Type": "text/plain"})
    assert refused.status == 415
    assert refused.error() == "the content type is application/json"


def test_a_prompt_that_is_too_long_is_refused_with_both_numbers(serve: Serve) -> None:
    port, engine = serve(Script(context=10))
    refused = post(port, chat("word " * 11))
    assert refused.status == 400
    assert refused.error() == "the prompt has 11 tokens; the model's context has room for 10"
    assert engine.taken() == 0


def test_a_failure_ends_the_stream_in_words(serve: Serve) -> None:
    port, _ = serve(Script(fault=ZeroDivisionError()))
    name, data = list(post(port, chat("Hello")).events())[-1]
    assert name == "failure"
    assert data == {"error": "the server could not compute this answer; its log says why"}


def test_a_stop_ends_what_is_being_answered(serve: Serve) -> None:
    script = Script(steps=by_hand())
    port, engine = serve(script)
    asked = [post(port, chat("Hello")) for _ in range(2)]
    engine.stop()
    for each in asked:
        assert list(each.events())[-1] == ("failure", {"error": STOPPING})


def test_the_page_and_the_status(serve: Serve) -> None:
    port, _ = serve(Script(), places=3)
    for path, kind in (("/", "text/html"), ("/page.css", "text/css"), ("/page.js", "text/javascript")):
        response, body = get(port, path)
        assert response.status == 200
        assert response.headers["Content-Type"] == f"{kind}; charset=utf-8"
        assert "default-src 'none'" in response.headers["Content-Security-Policy"]
        # Nothing is loaded from elsewhere, and no text becomes markup.
        assert b"://" not in body
        assert b"innerHTML" not in body
    response, body = get(port, "/api/status")
    assert json.loads(body) == {"model": "a model", "context": 600, "places": 3, "taken": 0}


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/etc/passwd", 404), ("GET", "/api/chat", 405), ("POST", "/", 405)]
)
def test_other_addresses_are_refused_as_json(serve: Serve, method: str, path: str, status: int) -> None:
    port, _ = serve(Script())
    response, body = get(port, path, method)
    assert response.status == status
    assert list(json.loads(body)) == ["error"]
