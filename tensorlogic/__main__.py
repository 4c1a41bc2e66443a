"""`python -m tensorlogic` is `tlc`."""

from __future__ import annotations

from tensorlogic.cli import main

if __name__ == "__main__":
    main(prog_name="tlc")
