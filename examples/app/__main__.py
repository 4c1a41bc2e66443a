"""A chat with a language model in the browser.

Usage, in the folder of the checkout: python -m examples.app MODEL [--host HOST] [--port PORT] [--places N]
From anywhere: python path/to/examples/app MODEL

Listens on 127.0.0.1 alone, unless --host says otherwise. Ctrl-C ends it at once. Refuses, with one message and a status
that is not 0: a port that is in use, a file that is missing, broken or no chat model, libraries that are not installed.
"""

from __future__ import annotations

import argparse
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from examples.app.engine import Engine

INTERRUPTED = 130


class Refusal(Exception):
    """What the user is told before the application ends with status 1."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until a signal comes; returns the exit status."""
    try:
        asked = _arguments(arguments)
        # Before the model is read, which takes longer.
        with _listening(asked.host, asked.port) as listening:
            return _serve(asked, listening)
    except Refusal as refusal:
        print(f"error: {refusal}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.stderr.flush()
        # A model may be half read, in a thread that cannot be told.
        os._exit(INTERRUPTED)


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m examples.app", description="Chat with a model in the browser.")
    parser.add_argument("model", type=Path, metavar="MODEL", help="a GGUF file, or a Hugging Face folder")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=_port, default=8000, help="0 for any free one (default: %(default)s)")
    parser.add_argument(
        "--places",
        type=_places,
        default=8,
        help="how many clients may wait for the model at once (default: %(default)s)",
    )
    return parser.parse_args(arguments)


def _port(text: str) -> int:
    return _between(text, 0, 65535)


def _places(text: str) -> int:
    return _between(text, 1, 10_000)


def _between(text: str, least: int, most: int) -> int:
    if not text.isdecimal() or not least <= int(text) <= most:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from {least} to {most}")
    return int(text)


def _listening(host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server(address[:2], family=family)
    except (OSError, UnicodeError) as fault:
        raise Refusal(f"cannot listen on {host}, port {port}: {_reason(fault)}") from None


def _reason(fault: Exception) -> str:
    strerror = fault.strerror if isinstance(fault, OSError) else None
    return (strerror or str(fault)).partition(" (while")[0]


def _serve(asked: argparse.Namespace, listening: socket.socket) -> int:
    try:
        from examples.app.engine import Engine, Unsuited, load
        from examples.app.server import Server
    except ModuleNotFoundError as fault:
        raise Refusal(
            f"the library `{fault.name}` is not installed\n  help: pip install --editable '.[app,text]'"
        ) from None
    from tensorlogic.runtime.errors import TensorLogicError

    print(f"Reading {asked.model} ...", flush=True)
    try:
        engine = Engine(lambda: load(asked.model), places=asked.places)
    except (TensorLogicError, Unsuited) as fault:
        raise Refusal(str(fault)) from None
    host, port = listening.getsockname()[:2]
    at = f"[{host}]" if ":" in host else host
    print(f"Serving at http://{at}:{port} (Ctrl-C ends it)", flush=True)
    try:
        Server(engine, asked.model.stem).run(sockets=[listening])
    except KeyboardInterrupt:
        # As the server says that Ctrl-C has ended it.
        print()
    return _ended(engine)


def _ended(engine: Engine) -> int:
    if not engine.stop(2.0):
        # In the middle of a step of a large model.
        sys.stdout.flush()
        os._exit(0)
    return 0


if __name__ == "__main__":
    if not __package__:
        # Started by the folder's path: the checkout takes the folder's place, where Python looks for modules first.
        sys.path[0] = str(Path(__file__).resolve().parents[2])
    sys.exit(main())
