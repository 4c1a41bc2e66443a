"""The pages that users read, taken apart: named programs, commands with what they print, Python."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from click.testing import CliRunner

from tensorlogic.cli import main

ROOT = Path(__file__).parent.parent


class Page:
    """A Markdown page: `programs` by name and text, `console` and `python` blocks."""

    def __init__(self, path: str) -> None:
        self.text = (ROOT / path).read_text(encoding="utf-8")
        self.blocks = re.findall(r"(?:`([\w.]+)`:\n\n)?```([\w-]+)\n(.*?)```", self.text, re.DOTALL)
        self.programs = [(name, text) for name, kind, text in self.blocks if kind.startswith("tensorlogic")]
        self.console = [text for _, kind, text in self.blocks if kind == "console"]
        self.python = [text for _, kind, text in self.blocks if kind == "python"]

    def right_programs(self) -> list[str]:
        """The programs that must check."""
        return [text for _, kind, text in self.blocks if kind in ("tensorlogic", "tensorlogic-script")]

    def write_programs(self, folder: Path) -> None:
        """Write the named programs."""
        for name, text in self.programs:
            if name:
                (folder / name).write_text(text, encoding="utf-8")


def assert_prints(text: str) -> None:
    """A console block's command prints what stands below it."""
    command, _, expected = text.partition("\n")
    words = shlex.split(command.removeprefix("$ "))
    assert words[0] == "tlc"
    assert CliRunner().invoke(main, words[1:]).output == expected
