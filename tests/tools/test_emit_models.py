"""The emitted modules that are shipped are what the compiler makes of the standard library's programs now."""

from __future__ import annotations

from tensorlogic.runtime.architectures import MODULES as BY_ARCHITECTURE
from tools.emit_models import MODULES, emitted


def test_the_modules_are_up_to_date() -> None:
    made = emitted()
    there = {file for file in MODULES.glob("*.py") if file.name != "__init__.py"}
    assert there == set(made)
    stale = [file.name for file, text in made.items() if file.read_text(encoding="utf-8") != text]
    assert stale == [], "`python -m tools.emit_models` writes them anew"


def test_each_module_has_an_architecture_and_each_architecture_a_module() -> None:
    assert {file.stem for file in emitted()} == set(BY_ARCHITECTURE.values())
