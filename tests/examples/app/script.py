"""A model that says w0 w1 w2 ... at the pace of the test, and a real server around it.

Its tokenizer makes a token of each word of a chat. A step waits for `steps`, of which a test releases as many as it
wants to be done: the first token takes two, since one is computed ahead.
"""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import mlx.core as mx
import numpy as np

from examples.app.engine import Engine
from examples.app.server import Server
from tensorlogic.runtime import KVCache
from tensorlogic.runtime.generation import LanguageModel

END = 4000
BEGIN = 4001
VOCABULARY = 4002
PLENTY = 1_000_000


def word(id: int) -> str:
    return f"w{id} "


@dataclass
class Script:
    """What the model says: `count` words, as `piece` spells them; `fault` is raised by the step after so many."""

    count: int = 5
    piece: Callable[[int], str] = word
    context: int | None = 600
    fault: Exception | None = None
    steps: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(PLENTY))
    done: int = 0

    def model(self) -> LanguageModel:
        tokenizer: Any = cast(Any, _Tokenizer(self.piece))
        return LanguageModel(None, self._step, tokenizer, self.context)

    def _step(self, net: None, ids: mx.array, cache: KVCache) -> tuple[mx.array, KVCache]:
        while not self.steps.acquire(timeout=20):
            raise AssertionError("a test has left its model waiting")
        if self.fault is not None and self.done == 2:
            raise self.fault
        self.done += 1
        last = int(np.asarray(ids)[0, -1])
        following = 0 if last >= END else last + 1
        if following >= self.count:
            following = END
        return (mx.arange(VOCABULARY) == following).astype(mx.float32)[None], cache


@dataclass(frozen=True)
class _Tokenizer:
    piece: Callable[[int], str]
    eos_ids: tuple[int, ...] = (END,)
    chat_template: str = "words"

    def apply_chat_template(self, messages: Iterable[tuple[str, str]]) -> list[int]:
        return [BEGIN for _, content in messages for _ in content.split()]

    def stream(self) -> _Stream:
        return _Stream(self.piece)


@dataclass(frozen=True)
class _Stream:
    piece: Callable[[int], str]

    def push(self, id: int) -> str:
        return self.piece(id)

    def end(self) -> str:
        return ""


def by_hand() -> threading.Semaphore:
    """Steps that the test releases."""
    return threading.Semaphore(0)


def eventually(holds: Callable[[], bool]) -> None:
    """Waits until something holds, which has twenty seconds for it."""
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.005)


def while_it_goes_on(script: Script, holds: Callable[[], bool]) -> None:
    """Waits until something holds, and lets the model do a step now and then."""

    def step() -> bool:
        script.steps.release()
        return holds()

    eventually(step)


@contextmanager
def serving(engine: Engine, *, patience: float = 10.0, name: str = "a model") -> Iterator[int]:
    """A server in a thread; gives its port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        server = Server(engine, name, patience=patience)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            eventually(lambda: server.started)
            yield port
        finally:
            close_all()
            server.should_exit = True
            thread.join(20)
    assert not thread.is_alive()


def post(port: int, body: Any, **headers: str) -> Connection:
    """Asks; `body` is JSON, or bytes as they are."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    connection.request("POST", "/api/chat", data, {"Content-Type": "application/json", **headers})
    made = Connection(connection, connection.getresponse())
    _open.append(made)
    return made


def close_all() -> None:
    """Closes what `post` has opened."""
    while _open:
        _open.pop().close()


def chat(*contents: str, **more: Any) -> dict[str, Any]:
    """A body with these messages of a user."""
    return {"messages": [{"role": "user", "content": content} for content in contents], **more}


_open: list[Connection] = []


@dataclass
class Connection:
    """A request and its answer."""

    _connection: http.client.HTTPConnection
    response: http.client.HTTPResponse

    @property
    def status(self) -> int:
        return self.response.status

    def error(self) -> str:
        """What a refusal says."""
        told = json.loads(self.response.read())
        assert list(told) == ["error"]
        return str(told["error"])

    def events(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Each event of the stream when it comes."""
        name = ""
        for line in self.response:
            kind, _, value = line.decode().rstrip("\n").partition(": ")
            if kind == "event":
                name = value
            elif kind == "data":
                yield name, json.loads(value)

    def text(self) -> str:
        """All of an answer."""
        return "".join(data["text"] for name, data in self.events() if name == "piece")

    def close(self) -> None:
        """As a tab that is closed."""
        self.response.close()
        self._connection.close()
