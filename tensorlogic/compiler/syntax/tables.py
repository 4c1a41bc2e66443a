"""The parser's tables: made by PLY from the grammar, kept in a cache folder of the user.

Making them takes a third of a second, reading them a millisecond, and PLY is imported only to make them. A cache file
holds a checksum, the versions of Python and PLY with the grammar itself, and the tables: one that is damaged or made
for another grammar is as good as none, and so is a folder that cannot be written. `TENSORLOGIC_CACHE` names another.
Refuses to run under `python -OO`, which strips the docstrings that hold the grammar.
"""

from __future__ import annotations

import marshal
import os
import sys
import zlib
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

import ply

from tensorlogic.compiler.diagnostics.model import CompileError, error
from tensorlogic.compiler.source import Source
from tensorlogic.compiler.syntax.grammar import Grammar

_FORMAT = "1"
_CHECKSUM_LENGTH = 4


class Tables(NamedTuple):
    """An LALR(1) automaton; state 0 is the first.

    `actions[state][kind]` is a state to shift to (positive), a production to reduce by (negative: its number) or 0 to
    accept. `gotos[state][symbol]` is the state after a reduction. A production has its symbol, its length, and the name
    of its rule, which is empty where its one symbol is passed on.
    """

    actions: list[dict[str, int]]
    gotos: list[dict[str, int]]
    productions: list[tuple[str, int, str]]


@cache
def tables() -> Tables:
    """The tables of the grammar, from the cache where they are there."""
    if Grammar.p_module.__doc__ is None:
        raise CompileError(
            [
                error(
                    "TL0201",
                    "`python -OO` strips the docstrings that hold the grammar",
                    helps=["run Python with `-O` or without either"],
                )
            ]
        )
    key = _key()
    folder = _cache_folder()
    if folder is None:
        return build()
    path = folder / f"grammar-{_checksum(key).hex()}.tables"
    stored = _read(path, key)
    if stored is None:
        stored = build()
        _write(path, key, stored)
    return stored


def build() -> Tables:
    """Makes the tables, without reading or writing any file."""
    from ply import yacc

    rules = Grammar(Source("", ""), {}, frozenset(), prelude=False)
    parser = yacc.yacc(module=rules, debug=False, write_tables=False, errorlog=yacc.NullLogger())
    count = len(parser.action)
    productions = [(production.name, production.len, production.func or "") for production in parser.productions]
    productions = [(name, length, "" if rule.startswith("p_same_") else rule) for name, length, rule in productions]
    return Tables(
        [dict(parser.action[state]) for state in range(count)],
        [dict(parser.goto.get(state, {})) for state in range(count)],
        productions,
    )


def _key() -> bytes:
    """Everything that the tables and their stored form depend on."""
    parts = [_FORMAT, sys.version, ply.__version__, Grammar.start, repr(Grammar.tokens), repr(Grammar.precedence)]
    parts += [f"{name} {getattr(Grammar, name).__doc__}" for name in dir(Grammar) if name.startswith("p_")]
    return "\0".join(parts).encode()


def _checksum(data: bytes) -> bytes:
    return zlib.crc32(data).to_bytes(_CHECKSUM_LENGTH, "big")


def _cache_folder() -> Path | None:
    """Where caches of this user are kept; None where the user has no home."""
    chosen = os.environ.get("TENSORLOGIC_CACHE")
    if chosen:
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME")
    if base and os.path.isabs(base):
        return Path(base) / "tensorlogic"
    home = os.path.expanduser("~")
    if not os.path.isabs(home):
        return None
    return Path(home, "Library/Caches" if sys.platform == "darwin" else ".cache", "tensorlogic")


def _read(path: Path, key: bytes) -> Tables | None:
    # `marshal` builds plain data only, and what it is given is what this program wrote: the checksum is checked first.
    try:
        stored = path.read_bytes()
    except OSError:
        return None
    checksum, rest = stored[:_CHECKSUM_LENGTH], stored[_CHECKSUM_LENGTH:]
    if checksum != _checksum(rest) or not rest.startswith(key):
        return None
    return Tables(*marshal.loads(rest[len(key) :]))


def _write(path: Path, key: bytes, built: Tables) -> None:
    # Written beside its place and moved there whole, so that no reader sees half a file. Not to be able to is no error.
    import tempfile  # here, since it is needed once in the life of a cache file and takes long to import

    rest = key + marshal.dumps(tuple(built))
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.stem)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(_checksum(rest) + rest)
            os.replace(temporary, path)
        except OSError:
            os.unlink(temporary)
            raise
