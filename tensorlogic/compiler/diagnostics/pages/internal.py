"""The page on the compiler's own failures (TL9)."""

from __future__ import annotations

from tensorlogic.compiler.diagnostics.pages import Page

PAGES = {
    "TL9001": Page(
        "a bug in the compiler",
        "The compiler failed in a way that no program should be able to cause, whether the program is right or wrong. "
        "Please report it with the program and the text that `--verbose` adds (the Python traceback). Until it is "
        "mended, writing the part that the traceback was about in smaller steps often avoids it.",
        "tlc check --verbose model.tl",
    ),
}
