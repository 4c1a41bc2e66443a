"""All cases and all references, gathered from the modules of `cases` and `references`."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from tests.ops.harness import Case

_HERE = Path(__file__).parent


def _modules(folder: str) -> list[Any]:
    names = sorted(path.stem for path in (_HERE / folder).glob("*.py"))
    return [import_module(f"tests.ops.{folder}.{name}") for name in names]


CASES: list[Case] = [case for module in _modules("cases") for case in module.CASES]
REFERENCES: dict[str, Any] = {}
for _module in _modules("references"):
    assert not REFERENCES.keys() & _module.REFERENCES.keys(), f"a second reference in {_module.__name__}"
    REFERENCES.update(_module.REFERENCES)
