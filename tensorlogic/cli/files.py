"""Files the commands read and write: what is wrong with an input, and outputs that appear whole or not at all."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

from tensorlogic.compiler.diagnostics import CompileError, Diagnostic, error

COMPILED_MARK = b"Compiled by tlc"
"""Stands in the first line of every emitted module."""


_UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")


def require_readable(path: Path) -> None:
    """Raise CompileError where `path` is no file with text in it."""
    problem = input_problem(path)
    if problem is not None:
        raise CompileError([problem])


def input_problem(path: Path) -> Diagnostic | None:
    """Why `path` cannot be a program's file, or None. Pipes and devices are left to whoever reads them, once."""
    try:
        if path.is_dir():
            return error("TL1005", f"cannot read `{path}`: it is a folder")
        if path.exists() and not path.is_file():
            return None
        path.read_bytes().decode()
    except FileNotFoundError:
        import difflib  # here, since only this error needs it

        near = difflib.get_close_matches(path.name, _program_names(path.parent), 3)
        helps = [f"did you mean `{path.with_name(name)}`?" for name in near]
        if str(path) == "-":
            helps = ["`/dev/stdin` is standard input"]
        return error("TL1005", f"cannot read `{path}`: there is no such file", helps=helps)
    except OSError as problem:
        return error("TL1005", f"cannot read `{path}`: {problem.strerror or problem}")
    except UnicodeDecodeError as problem:
        line = problem.object.count(b"\n", 0, problem.start) + 1
        byte = problem.object[problem.start]
        if b"\0" in problem.object and not problem.object.startswith(_UTF_16_MARKS):
            return error("TL1005", f"cannot read `{path}`: it is a binary file, not the text of a program")
        return error(
            "TL1005",
            f"cannot read `{path}`: it is not UTF-8 text",
            notes=[f"line {line} has the byte 0x{byte:02X}, which is not UTF-8 there"],
            helps=["save the file with the encoding UTF-8"],
        )
    return None


def is_compiled_module(path: Path) -> bool:
    """Whether `tlc` wrote the file at `path`, which exists."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return COMPILED_MARK in file.readline(1000)


def write_whole(path: Path, text: str) -> None:
    """Write `text` so that a reader sees the file as it was before or whole, never a part. Raises OSError.

    A link stays a link, and the file it points to keeps its permissions. A device or a pipe is written to as it is.
    """
    target = path.resolve()
    if target.exists() and not target.is_file():
        target.write_text(text, encoding="utf-8", newline="\n")
        return
    temporary = target.with_name(f".tlc-{os.urandom(8).hex()}")
    try:
        with temporary.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
        if target.exists():
            temporary.chmod(stat.S_IMODE(target.stat().st_mode))
        os.replace(temporary, target)
    except BaseException as problem:
        temporary.unlink(missing_ok=True)
        if isinstance(problem, OSError):
            problem.filename = os.fspath(path)  # a full disk names no file, and nobody knows the temporary one
        raise


def _program_names(folder: Path) -> list[str]:
    with suppress(OSError):
        return [entry.name for entry in folder.iterdir() if entry.suffix == ".tl"]
    return []
