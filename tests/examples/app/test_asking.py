"""What the example application takes for a question, and in what words it refuses the rest."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples.app.asking import MEMBERS, MOST_MESSAGES, Refused, parse_question
from examples.app.engine import Question

MESSAGE = {"role": "user", "content": "Hello"}


def test_a_question_is_read() -> None:
    body = {
        "messages": [{"role": "system", "content": "Be brief."}, MESSAGE],
        "max_tokens": 7,
        "temperature": 1,
        "top_p": 0.5,
        "seed": 2**63 - 1,
    }
    expected = Question([("system", "Be brief."), ("user", "Hello")], 7, 1.0, 0.5, 2**63 - 1)
    assert parse_question(json.dumps(body).encode()) == expected
    assert parse_question(json.dumps({"messages": [MESSAGE]}).encode()) == Question([("user", "Hello")])


WRONG: list[tuple[Any, str]] = [
    ([], "the body is a JSON object"),
    ({}, "`messages` is a list of at least one message"),
    ({"messages": []}, "`messages` is a list of at least one message"),
    ({"messages": "Hello"}, "`messages` is a list of at least one message"),
    ({"messages": [MESSAGE] * (MOST_MESSAGES + 1)}, f"at most {MOST_MESSAGES} messages, not {MOST_MESSAGES + 1}"),
    ({"messages": [MESSAGE, "Hello"]}, "`messages[1]` is an object with `role` and `content`"),
    ({"messages": [{"role": "user"}]}, "`messages[0]` is an object with `role` and `content`"),
    ({"messages": [{**MESSAGE, "name": "x"}]}, "and nothing else"),
    ({"messages": [{"role": "tool", "content": ""}]}, "the role of `messages[0]` is one of system, user, assistant"),
    ({"messages": [{"role": ["user"], "content": ""}]}, "the role of `messages[0]`"),
    ({"messages": [{"role": "user", "content": 3}]}, "the content of `messages[0]` is a text"),
    ({"messages": [MESSAGE], "max_token": 3}, "there is no `max_token`; there are `messages`, `max_tokens`"),
    ({"messages": [MESSAGE], "max_tokens": 0}, "`max_tokens` is a whole number from 1 to 4096"),
    ({"messages": [MESSAGE], "max_tokens": 10**9}, "`max_tokens` is a whole number from 1 to 4096"),
    ({"messages": [MESSAGE], "max_tokens": True}, "`max_tokens` is a whole number"),
    ({"messages": [MESSAGE], "max_tokens": 1.5}, "`max_tokens` is a whole number"),
    ({"messages": [MESSAGE], "temperature": -1}, "`temperature` is a number from 0 to 5"),
    ({"messages": [MESSAGE], "temperature": float("nan")}, "`temperature` is a number from 0 to 5"),
    ({"messages": [MESSAGE], "temperature": 10**400}, "`temperature` is a number from 0 to 5"),
    ({"messages": [MESSAGE], "top_p": 0}, "`top_p` is a number from 0.001 to 1"),
    ({"messages": [MESSAGE], "top_p": None}, "`top_p` is a number from 0.001 to 1"),
    ({"messages": [MESSAGE], "seed": -1}, "`seed` is a whole number from 0"),
]


@pytest.mark.parametrize(("body", "words"), WRONG, ids=range(len(WRONG)))
def test_what_is_wrong_is_told(body: Any, words: str) -> None:
    with pytest.raises(Refused) as refused:
        parse_question(json.dumps(body).encode())
    assert refused.value.status == 400
    assert words in refused.value.message


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b'{"seed": ' + b"9" * 5000 + b"}"])
def test_what_is_no_json_is_told(body: bytes) -> None:
    with pytest.raises(Refused, match="the body is no JSON") as refused:
        parse_question(body)
    assert refused.value.status == 400


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*MEMBERS, "role", "content"]), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(MEMBERS), JSON) | JSON)
def test_any_json_is_a_question_or_is_refused(body: Any) -> None:
    try:
        question = parse_question(json.dumps(body).encode())
    except Refused:
        return
    assert question.messages
