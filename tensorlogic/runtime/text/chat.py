"""Chats: messages written as one text by the template of a model's file.

Takes messages as (role, content) pairs, or as dicts with the members that templates know (`role`, `content`,
`tool_calls`, ...). Promises that what spells a special token in a message is text, in the role too: the template alone
writes special tokens. (A token that a user defined, such as `<think>`, is found in every text, as `encode` finds it.)

Refuses messages that are none (TL5403) and texts that are not Unicode (TL5402), before the template sees them; and what
`template.py` refuses (TL4407).
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from tensorlogic.runtime.errors import BoundaryError
from tensorlogic.runtime.text.look_alikes import LookAlikes, choose_mark, each_text, texts_of
from tensorlogic.runtime.text.template import Template

Message = Mapping[str, Any] | tuple[str, str]

_DEFAULTS = {"tools": None, "documents": None}
"""Variables that templates ask for without looking whether they are there."""


class Chat:
    """One template with the tokens that it may write. It is compiled when it is first used."""

    def __init__(self, source: str, tokens: Mapping[str, str], special: Iterable[str], path: Path) -> None:
        self._source = source
        self._tokens = tokens
        self._special = tuple(special)
        self._path = path

    def text(self, messages: Iterable[Message], add_generation_prompt: bool, variables: Mapping[str, Any]) -> str:
        """The text of a chat."""
        return self._written(read_messages(messages), add_generation_prompt, _checked(variables))

    def marked_text(
        self, messages: Iterable[Message], add_generation_prompt: bool, variables: Mapping[str, Any]
    ) -> tuple[str, str]:
        """The same with marks in what looks like special tokens in messages and variables, and the mark."""
        found, others = read_messages(messages), _checked(variables)
        mark = choose_mark([self._source, *self._special, *self._tokens.values(), *texts_of([found, others])])
        change = functools.partial(self._look_alikes.marked, mark=mark)
        return self._written(each_text(found, change), add_generation_prompt, each_text(others, change)), mark

    def _written(self, messages: list[dict[str, Any]], prompt: bool, variables: Mapping[str, Any]) -> str:
        given = {**_DEFAULTS, **self._tokens, **variables, "messages": messages, "add_generation_prompt": prompt}
        return self._template.render(given)

    @functools.cached_property
    def _template(self) -> Template:
        return Template(self._source, self._path)

    @functools.cached_property
    def _look_alikes(self) -> LookAlikes:
        return LookAlikes(self._special)


def read_messages(messages: Iterable[Message]) -> list[dict[str, Any]]:
    """Messages as templates know them. Raises `BoundaryError` for anything else (TL5402, TL5403)."""
    if isinstance(messages, str | Mapping) or not isinstance(messages, Iterable):
        _refuse(f"messages are a list, not {type(messages).__name__}")
    found: list[dict[str, Any]] = []
    for position, message in enumerate(messages):
        if isinstance(message, Mapping):
            found.append(dict(message))
        elif isinstance(message, tuple | list) and len(message) == 2:
            found.append({"role": message[0], "content": message[1]})
        else:
            _refuse(f"messages[{position}] is neither a (role, content) pair nor a dict")
        if not isinstance(found[-1].get("role"), str):
            _refuse(f"messages[{position}] has no `role` that is a string")
    _check(found, "messages")
    return found


def _checked(variables: Mapping[str, Any]) -> Mapping[str, Any]:
    _check(variables, "the variables of a chat")
    return variables


def _check(value: Any, what: str) -> None:
    """Everything is of JSON's kinds, so that a template gets no objects with a life of their own."""
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError) as fault:
        _refuse(f"{what} hold what JSON has no form for: {fault}")
    try:
        text.encode()
    except UnicodeEncodeError as fault:
        raise BoundaryError("TL5402", f"a text in {what} is not Unicode: {fault.reason}") from None


def _refuse(message: str) -> NoReturn:
    helps = ['messages are written `[("user", "Hello")]` or `[{"role": "user", "content": "Hello"}]`']
    raise BoundaryError("TL5403", message, helps=helps)
