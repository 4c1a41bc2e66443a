"""Diagnostics as JSON: every field, and positions counted as documented."""

from __future__ import annotations

import json

from tensorlogic.compiler.check.file_values import Use
from tensorlogic.compiler.diagnostics import error
from tensorlogic.compiler.diagnostics.to_json import to_json, use_to_json
from tensorlogic.compiler.source import Source, Span


def test_every_field_is_there() -> None:
    source = Source("m.tl", "a\nlet b = c\n")
    diagnostic = error(
        "TL1001", "no `c`", Span(source, 10, 11), "here", others=[(Span(source, 0, 11), "")], notes=["n"], helps=["h"]
    )
    expected = {
        "code": "TL1001",
        "severity": "error",
        "message": "no `c`",
        "labels": [
            {
                "path": "m.tl",
                "start": {"line": 2, "column": 9, "offset": 10},
                "end": {"line": 2, "column": 10, "offset": 11},
                "text": "here",
                "primary": True,
            },
            {
                "path": "m.tl",
                "start": {"line": 1, "column": 1, "offset": 0},
                "end": {"line": 2, "column": 10, "offset": 11},
                "text": "",
                "primary": False,
            },
        ],
        "notes": ["n"],
        "helps": ["h"],
    }
    assert to_json(diagnostic) == expected
    assert json.loads(json.dumps(to_json(diagnostic))) == expected


def test_a_diagnostic_about_no_place() -> None:
    assert to_json(error("TL9001", "m"))["labels"] == []


def test_the_end_of_a_file() -> None:
    source = Source("m.tl", "a\n")
    label = to_json(error("TL0001", "m", Span(source, 2, 2)))["labels"][0]
    assert label["start"] == label["end"] == {"line": 2, "column": 1, "offset": 2}


def test_what_a_model_file_says() -> None:
    use = Use("m.gguf", "gguf", {"w": ("Q4_1", (2, 32))}, {"v": ["w"]})
    expected = {
        "path": "m.gguf",
        "format": "gguf",
        "tensors": {"w": {"storage": "Q4_1", "shape": [2, 32]}},
        "missing": {"v": ["w"]},
    }
    assert use_to_json(use) == expected
    assert json.loads(json.dumps(use_to_json(use))) == expected
