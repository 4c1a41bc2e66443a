"""What a client sends, read and checked: the body of a request becomes a `Question`.

The body is a JSON object: `messages`, a list of objects with `role` and `content`, and at will `max_tokens`,
`temperature`, `top_p` and `seed`. Refuses, with an HTTP status and words for whoever wrote the client: a body that is
too large (413), comes too slowly (408), is no JSON by its own words (415) or in truth (400), and any member that is
missing, unknown, or of the wrong kind or size (400). Nothing is asked of the model.
"""

from __future__ import annotations

import asyncio
import json
import math
from typing import Any, NoReturn

from starlette.requests import Request

from examples.app.engine import Question

MOST_BYTES = 256 * 1024
MOST_MESSAGES = 1000
MOST_TOKENS = 4096
MOST_SECONDS = 10.0
"""In which a body has arrived."""
ROLES = ("system", "user", "assistant")
MEMBERS = ("messages", "max_tokens", "temperature", "top_p", "seed")


class Refused(Exception):
    """The request is not served: an HTTP status, and why."""

    def __init__(self, status: int, message: str) -> None:
        self.status, self.message = status, message
        super().__init__(message)


async def read_question(request: Request) -> Question:
    """Raises Refused, as the module says."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    # A page of another site cannot send this type without asking first.
    if kind != "application/json":
        raise Refused(415, "the content type is application/json")
    try:
        async with asyncio.timeout(MOST_SECONDS):
            body = await _read(request)
    except TimeoutError:
        raise Refused(408, f"the body did not arrive in {MOST_SECONDS:g} s") from None
    return parse_question(body)


async def _read(request: Request) -> bytes:
    # As told, and as it is: the length may be missing.
    told = request.headers.get("content-length", "")
    if told.isdecimal() and int(told) > MOST_BYTES:
        _too_large()
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > MOST_BYTES:
            _too_large()
        parts.append(part)
    return b"".join(parts)


def parse_question(body: bytes) -> Question:
    """The question in a body. Raises Refused with status 400."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        _wrong("the body is no JSON")
    if not isinstance(found, dict):
        _wrong("the body is a JSON object with `messages`")
    unknown = next((name for name in found if name not in MEMBERS), None)
    if unknown is not None:
        _wrong(f"there is no `{unknown[:40]}`; there are {', '.join(f'`{name}`' for name in MEMBERS)}")
    return Question(
        messages=_messages(found.get("messages")),
        max_tokens=_whole(found, "max_tokens", 512, 1, MOST_TOKENS),
        temperature=_number(found, "temperature", 0.0, 0.0, 5.0),
        top_p=_number(found, "top_p", 1.0, 0.001, 1.0),
        seed=_whole(found, "seed", 0, 0, 2**63 - 1),
    )


def _messages(found: Any) -> list[tuple[str, str]]:
    if not isinstance(found, list) or not found:
        _wrong("`messages` is a list of at least one message")
    if len(found) > MOST_MESSAGES:
        _wrong(f"`messages` has at most {MOST_MESSAGES} messages, not {len(found)}")
    return [_message(message, f"`messages[{position}]`") for position, message in enumerate(found)]


def _message(found: Any, what: str) -> tuple[str, str]:
    if not isinstance(found, dict) or set(found) != {"role", "content"}:
        _wrong(f"{what} is an object with `role` and `content`, and nothing else")
    role, content = found["role"], found["content"]
    if role not in ROLES:
        _wrong(f"the role of {what} is one of {', '.join(ROLES)}")
    if not isinstance(content, str):
        _wrong(f"the content of {what} is a text")
    return role, content


def _whole(found: dict[str, Any], name: str, default: int, least: int, most: int) -> int:
    value = found.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        _wrong(f"`{name}` is a whole number from {least} to {most}")
    return value


def _number(found: dict[str, Any], name: str, default: float, least: float, most: float) -> float:
    value = found.get(name, default)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    # Not a number in Python's JSON: NaN and Infinity.
    if not is_number or not least <= value <= most or not math.isfinite(value):
        _wrong(f"`{name}` is a number from {least:g} to {most:g}")
    return float(value)


def _too_large() -> NoReturn:
    raise Refused(413, f"the body has at most {MOST_BYTES} bytes: begin a new chat, or shorten it")


def _wrong(message: str) -> NoReturn:
    raise Refused(400, message)
