"""A checked program against the model files that are there (language.md, sections 4.6 and 9.1).

Takes a program that is right. Promises the errors that its script must end with when it runs with these files, and what
it asks of each file, for editors. It makes nothing right that was not, and changes nothing: types and IR are done when
it begins, and it gives diagnostics only. A program without statements that open a model by a path known here costs
nothing, and loads nothing of the runtime.
"""

from __future__ import annotations

from tensorlogic.compiler.check.file_values import Use
from tensorlogic.compiler.diagnostics.model import Diagnostic
from tensorlogic.compiler.ir.core import Program, walk
from tensorlogic.compiler.records import dataclass


@dataclass(frozen=True)
class FileReport:
    """The errors, and what each file that was opened is asked for, in the order of opening."""

    diagnostics: tuple[Diagnostic, ...] = ()
    uses: tuple[Use, ...] = ()


def check_model_files(program: Program) -> FileReport:
    """What the headers of the files that a program's script opens say against it."""
    script = program.script
    if script is None or not any(operation.name == "load_model" for operation in walk(script.body)):
        return FileReport()
    # Here, since most programs open no file.
    from tensorlogic.compiler.check.model_headers import Headers
    from tensorlogic.compiler.check.replay import Replay

    headers = Headers()
    diagnostics = Replay(program, headers).run(script)
    return FileReport(tuple(diagnostics), tuple(headers.uses.values()))
