"""Running a compiled script: `tlc run`, and a module's `if __name__ == "__main__"`.

What the program fails with comes out as one `TensorLogicError` with its `.tl` line (`failures.py`).
"""

from __future__ import annotations

import linecache
import sys
from collections.abc import Callable
from types import CodeType

from tensorlogic.runtime.console import accept_every_character, discard_output
from tensorlogic.runtime.errors import BoundaryError, TensorLogicError
from tensorlogic.runtime.failures import entry
from tensorlogic.runtime.origins import naming_files


def run(python: str, name: str, args: list[str]) -> int:
    """Run a module's text as the script `name`. Returns 0; errors of the runtime come out with their place."""
    file = f"<compiled {name}>"
    code: CodeType = compile(python, file, "exec")
    linecache.cache[file] = (len(python), None, python.splitlines(keepends=True), file)
    namespace: dict[str, object] = {"__name__": "tensorlogic.script", "__file__": name}
    sys.modules.setdefault("tensorlogic.script", type(sys)("tensorlogic.script"))
    try:
        exec(code, namespace)
    except ImportError as problem:
        raise BoundaryError("TL5007", f"the Python module of an `extern` cannot be imported: {problem}") from problem
    main = namespace.get("main")
    if callable(main):
        with naming_files(file):
            entry(main)(tuple(args))
    return 0


def run_main(main: Callable[[tuple[str, ...]], None]) -> None:
    """Run a module's `main` with the program's arguments; an error of the runtime is one message and status 1."""
    accept_every_character()
    try:
        entry(main)(tuple(sys.argv[1:]))
        if sys.stdout is not None:
            sys.stdout.flush()
    except TensorLogicError as wrong:
        print(wrong, file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        discard_output()
        sys.exit(141)
    except OSError as problem:
        discard_output()
        print(problem.strerror or problem, file=sys.stderr)
        sys.exit(1)
