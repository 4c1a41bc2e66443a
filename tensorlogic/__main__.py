"""`python -m tensorlogic` is `tlc`: the command line, which Ctrl-C ends quietly also while it is being imported."""

from __future__ import annotations

import sys


def main() -> None:
    """Runs `tlc` with the process's arguments; its exit status is the process's."""
    try:
        from tensorlogic.cli import main as command
    except KeyboardInterrupt:
        print("tlc: interrupted", file=sys.stderr)
        raise SystemExit(130) from None
    command(prog_name="tlc")


if __name__ == "__main__":
    main()
