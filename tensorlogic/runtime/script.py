"""Running a compiled script: `tlc run`, and a module's `if __name__ == "__main__"`.

An error of the runtime is told with its `.tl` line, which stands in a comment of the emitted line that failed.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from types import CodeType, TracebackType

from tensorlogic.runtime.errors import BoundaryError, TensorLogicError

_PLACE = re.compile(r"#\s+(\S.*?\.tl:\d+)\s*$")


def run(python: str, name: str, args: list[str]) -> int:
    """Run a module's text as the script `name`. Returns 0; errors of the runtime come out with their place."""
    code: CodeType = compile(python, f"<compiled {name}>", "exec")
    namespace: dict[str, object] = {"__name__": "tensorlogic.script", "__file__": name}
    sys.modules.setdefault("tensorlogic.script", type(sys)("tensorlogic.script"))
    try:
        exec(code, namespace)
    except ImportError as problem:
        raise BoundaryError("TL5007", f"the Python module of an `extern` cannot be imported: {problem}") from problem
    main = namespace.get("main")
    if callable(main):
        _run(main, tuple(args), python.splitlines(), code.co_filename)
    return 0


def run_main(main: Callable[[tuple[str, ...]], None]) -> None:
    """Run a module's `main` with the program's arguments; an error of the runtime is one message and status 1."""
    lines, file = [], main.__code__.co_filename
    try:
        with open(file, encoding="utf-8") as source:
            lines = source.read().splitlines()
    except OSError:
        lines = []
    try:
        _run(main, tuple(sys.argv[1:]), lines, file)
    except TensorLogicError as wrong:
        print(wrong, file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def _run(main: Callable[[tuple[str, ...]], None], args: tuple[str, ...], lines: list[str], file: str) -> None:
    try:
        main(args)
    except TensorLogicError as wrong:
        if not wrong.where:
            wrong.where = _place(wrong.__traceback__, lines, file)
        raise


def _place(trace: TracebackType | None, lines: list[str], file: str) -> str:
    """The `.tl` line of the innermost emitted line in a traceback."""
    found = ""
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == file and 0 < trace.tb_lineno <= len(lines):
            match = _PLACE.search(lines[trace.tb_lineno - 1])
            found = match.group(1) if match else found
        trace = trace.tb_next
    return found
