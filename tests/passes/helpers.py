"""A text's IR after a stage, in its printed form without the header and the line numbers."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from tensorlogic.compiler import driver


def stages(text: str, *names: str) -> list[list[str]]:
    """The operations of a text's functions after each of these stages, one a line."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "program.tl"
        file.write_text(text, encoding="utf-8")
        printed = [driver.compile_file(file, driver.Options(verify=True), print_after=n).printed for n in names]
    return [_operations(p) for p in printed]


def _operations(printed: str) -> list[str]:
    lines = [re.sub(r"\s+// \d+$", "", line).strip() for line in printed.splitlines()]
    return [line for line in lines if line and not line.startswith(("fn ", "}"))]
