"""What is said of a program that a model file does not fit: the file's shapes beside the program's (language.md, 9.1).

TL4021 a tensor that is not there      TL4024 a key of the metadata that is not there, or is another thing
TL4022 a shape that cannot be          TL4025 a struct that cannot be filled
TL4023 another element type            TL4026 an assertion that does not hold
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from tensorlogic.compiler.check.file_values import Fact, Known, Sight, sights_of
from tensorlogic.compiler.diagnostics.model import Diagnostic, Label, error
from tensorlogic.compiler.source import Span

if TYPE_CHECKING:
    from tensorlogic.runtime.formats import ModelFileError
    from tensorlogic.runtime.formats.matching import Problems


def no_tensor(name: str, path: str, helps: Sequence[str], span: Span) -> Diagnostic:
    """A tensor that the file has not."""
    return error("TL4021", f"`{path}` holds no tensor `{name}`", span, helps=helps)


def no_key(key: str, path: str, helps: Sequence[str], span: Span) -> Diagnostic:
    """A key that the metadata has not."""
    return error("TL4024", f"the metadata of `{path}` has no key `{key}`", span, helps=helps)


def other_metadata(key: str, path: str, found: str, wanted: str, span: Span) -> Diagnostic:
    """A key of the metadata that is another thing than the program asks for."""
    return error("TL4024", f"the metadata key `{key}` of `{path}` is {found}, and not {wanted}", span)


def other_element(sight: Sight, found: str, wanted: str, helps: Iterable[str]) -> Diagnostic:
    """A tensor of another element type than the program takes it for."""
    message = f"{sight.subject} of `{sight.file}` holds {found}, not {wanted}"
    return error("TL4023", message, sight.span, f"{sight.found} in the file", helps=helps)


def demand(code: str, template: str, values: Sequence[Fact], involved: Sequence[Fact], span: Span) -> Diagnostic:
    """A check that fails: its message, with the numbers in it, and what the files say that it rests on."""

    def value(match: re.Match[str]) -> str:
        fact = values[int(match[1])] if int(match[1]) < len(values) else None
        return match[0] if fact is None else str(fact.value) if isinstance(fact, Known) else "?"

    message = re.sub(r"\{(\d)\}", value, template)
    return against_files("TL4026" if code == "TL5005" else "TL4022", message, sights_of(involved), span)


def against_files(code: str, message: str, sights: Sequence[Sight], span: Span) -> Diagnostic:
    """An error at a place of the program, with what each file says of the tensors that take part."""
    labels: dict[Span, list[str]] = {}
    notes: list[str] = []
    for sight in sights:
        labels.setdefault(sight.span, []).append(f"{sight.found} in the file")
        beside = f"; the program says {sight.declared}" if sight.declared else ""
        notes.append(f"{sight.subject} of `{sight.file}` is {sight.found}{beside}")
    texts = {place: ", ".join(dict.fromkeys(told)) for place, told in labels.items()}
    label = texts.pop(span, "")
    return error(code, message, span, label, others=texts.items(), notes=dict.fromkeys(notes))


def unfilled(struct: str, path: str, problems: Problems, span: Span) -> Diagnostic:
    """All that keeps a struct from being filled, in the words of run time."""
    message = f"`{path}` does not fit `{struct}`: {problems.summary}"
    return error("TL4025", message, span, notes=problems.notes, helps=problems.helps)


def too_small(struct: str, path: str, sizes: Sequence[tuple[str, int]], span: Span) -> Diagnostic:
    """Dims of a struct that are below 1, in the words of run time."""
    notes = [f"`{name}` is {size}: a dimension variable is at least 1" for name, size in sizes]
    conflicts = "1 conflict" if len(notes) == 1 else f"{len(notes)} conflicts"
    return error("TL4025", f"`{path}` does not fit `{struct}`: {conflicts}", span, notes=notes)


def at_run_time(problem: ModelFileError, span: Span) -> Diagnostic:
    """The error that run time ends with as well, at its place in the program."""
    return error(problem.code, problem.message, span, notes=problem.notes, helps=problem.helps)


def repeated(diagnostic: Diagnostic, count: int) -> Diagnostic:
    """An error that the same place has again and again, told once."""
    times = "once more" if count == 1 else f"{count} times more"
    return replace(diagnostic, notes=(*diagnostic.notes, f"the same happens here {times}, with other names"))


def called_from(diagnostic: Diagnostic, call: Span) -> Diagnostic:
    """An error inside a function, with the script's call of it."""
    return replace(diagnostic, labels=(*diagnostic.labels, Label(call, "called here")))
