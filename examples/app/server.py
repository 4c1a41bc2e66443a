"""The web side of the application: the page, and an answer as a stream of server-sent events.

    GET  /            the page, with /page.css and /page.js
    GET  /api/status  {"model", "context", "places", "taken"}
    POST /api/chat    a question (`asking.py`); the answer is a stream of the events

        waiting  {"before": 2}        how many answers come before this one
        piece    {"text": "Paris"}    more of the text
        end      {"finish", "prompt_tokens", "tokens", "tokens_per_second", "prompt_seconds"}
        failure  {"error": "..."}     nothing more comes

What is refused is one JSON object {"error": "..."} with status 400, 404, 405, 408, 413, 415, or 503 with Retry-After
where all places are taken. A client that closes its connection, or does not read, frees its place.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from socket import socket

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from examples.app.answer import Answer, End, Event, Failure, Piece, Waiting
from examples.app.asking import Refused, read_question
from examples.app.engine import Engine, Full
from tensorlogic.runtime.errors import TensorLogicError

FOLDER = Path(__file__).parent
FILES = {"/": "page.html", "/page.css": "page.css", "/page.js": "page.js"}
HEADERS = {
    "Cache-Control": "no-store",
    # The page loads from here alone, and runs no script that stands in a text.
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}

_log = logging.getLogger("examples.app")


def make_app(engine: Engine, name: str, *, patience: float = 10.0) -> Starlette:
    """The application; `name` is what users see of the model, `patience` the seconds in which a client reads a part."""

    async def file(request: Request) -> Response:
        return FileResponse(FOLDER / FILES[request.url.path], headers=HEADERS)

    async def status(request: Request) -> Response:
        context = engine.model.context
        found = {"model": name, "context": context, "places": engine.places, "taken": engine.taken()}
        return JSONResponse(found, headers={"Cache-Control": "no-store"})

    async def chat(request: Request) -> Response:
        question = await read_question(request)
        # Of a long chat this takes a while.
        prompt = await run_in_threadpool(engine.prompt, question)
        loop, changed = asyncio.get_running_loop(), asyncio.Event()

        def notify() -> None:
            # The loop may have ended before the thread that calls this.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(changed.set)

        return _Streamed(engine, engine.ask(prompt, question, notify), changed, patience)

    return Starlette(
        routes=[
            *(Route(path, file) for path in FILES),
            Route("/api/status", status),
            Route("/api/chat", chat, methods=["POST"]),
        ],
        exception_handlers={
            Refused: _refused,
            Full: _full,
            TensorLogicError: _not_taken,
            HTTPException: _no_such,
            ClientDisconnect: _left,
        },
    )


class _Streamed(StreamingResponse):
    """An answer's events. However it ends, the answer's place is free afterwards."""

    def __init__(self, engine: Engine, answer: Answer, changed: asyncio.Event, patience: float) -> None:
        self._engine, self._answer, self._patience = engine, answer, patience
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(_parts(answer, changed), media_type="text/event-stream", headers=headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def in_time(message: Message) -> None:
            async with asyncio.timeout(self._patience):
                await send(message)

        try:
            await super().__call__(scope, receive, in_time)
        except (TimeoutError, ClientDisconnect):
            _log.warning("a client that did not read was dropped")
        finally:
            self._engine.leave(self._answer)


async def _parts(answer: Answer, changed: asyncio.Event) -> AsyncIterator[bytes]:
    while True:
        await changed.wait()
        changed.clear()
        for event in answer.take():
            yield encoded(event)
            if isinstance(event, End | Failure):
                return


def encoded(event: Event) -> bytes:
    """An event as it stands in the stream."""
    data: dict[str, object]
    match event:
        case Waiting():
            name, data = "waiting", {"before": event.before}
        case Piece():
            name, data = "piece", {"text": event.text}
        case Failure():
            name, data = "failure", {"error": event.message}
        case End():
            name, data = "end", _told(event)
    return f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()


def _told(end: End) -> dict[str, object]:
    return {
        "finish": end.finish,
        "prompt_tokens": end.prompt_tokens,
        "tokens": end.tokens,
        # Of one token there is none.
        "tokens_per_second": round(end.tokens_per_second, 1) or None,
        "prompt_seconds": round(end.prompt_seconds, 3),
    }


# --- what is refused


def _error(status: int, message: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"error": message}, status, headers={"Cache-Control": "no-store", **(headers or {})})


async def _refused(request: Request, fault: Exception) -> Response:
    assert isinstance(fault, Refused)
    # The rest of a body that was not read would be taken for the next request.
    return _error(fault.status, fault.message, {"Connection": "close"} if fault.status in (408, 413) else None)


async def _full(request: Request, fault: Exception) -> Response:
    assert isinstance(fault, Full)
    return _error(503, str(fault), {"Retry-After": str(fault.seconds)})


async def _not_taken(request: Request, fault: Exception) -> Response:
    assert isinstance(fault, TensorLogicError)
    return _error(400, fault.message)


async def _no_such(request: Request, fault: Exception) -> Response:
    assert isinstance(fault, HTTPException)
    words = {404: "there is no such page", 405: "this address does not take that method"}
    return _error(fault.status_code, words.get(fault.status_code, fault.detail), dict(fault.headers or {}))


async def _left(request: Request, fault: Exception) -> Response:
    # To nobody: the client closed its connection before it had sent its question.
    return Response(status_code=400)


class Server(uvicorn.Server):
    """A server that ends its answers before it ends itself, so that a stop is not held up by them."""

    def __init__(self, engine: Engine, name: str, *, patience: float = 10.0) -> None:
        self._engine = engine
        app = make_app(engine, name, patience=patience)
        super().__init__(
            uvicorn.Config(app, lifespan="off", log_level="warning", access_log=False, timeout_graceful_shutdown=1)
        )

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        """Called once a signal has come."""
        self._engine.stop()
        await super().shutdown(sockets)
