"""Makes text of diagnostics: the one place where it is decided how an error looks.

It takes diagnostics and gives lines that end without a newline and without trailing blanks. Plain text is the golden
form; with `color=True` the same text carries ANSI colours. Whatever stands in the source, a message or a file's name,
nothing comes out that a terminal would obey.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tensorlogic.compiler.diagnostics.glyphs import visible
from tensorlogic.compiler.diagnostics.model import Diagnostic, Label
from tensorlogic.compiler.diagnostics.sections import Text, number_width, section_lines
from tensorlogic.compiler.source import Source

DEFAULT_WIDTH = 120
MINIMUM_WIDTH = 30

_RED, _CYAN, _BLUE, _BOLD, _GREEN = "\033[1;31m", "\033[1;36m", "\033[1;34m", "\033[1m", "\033[1;32m"
_RESET = "\033[0m"
_COLORS = {"gutter": _BLUE, "secondary": _BLUE, "strong": _BOLD, "note": _CYAN, "help": _GREEN}


def render(diagnostic: Diagnostic, *, color: bool = False, width: int = DEFAULT_WIDTH, where: str = "") -> str:
    """One diagnostic as text for a terminal of `width` columns, by default plain and 120 wide.

    Source lines are cut to the width and labels arranged in it; the message, notes and helps are left whole, so that
    they can be searched and copied. `where` is the place of a diagnostic that has no labels, such as `model.tl:12`.
    """
    width = max(width, MINIMUM_WIDTH)
    lines: list[Text] = [
        ((f"{diagnostic.severity}[{diagnostic.code}]", "primary"), (f": {visible(diagnostic.message)}", "strong"))
    ]
    margin = number_width(diagnostic.labels)
    if where and not diagnostic.labels:
        lines.append(((" " * (margin + 1) + "--> ", "gutter"), (visible(where), "plain")))
    for i, labels in enumerate(_by_source(diagnostic.labels)):
        lines.extend(section_lines(labels, margin, width, arrow=":::" if i else "-->"))
    for kind, texts in (("note", diagnostic.notes), ("help", diagnostic.helps)):
        for text in texts:
            lines.extend(_remark(kind, text, margin))
    return "\n".join(_paint(line, diagnostic.severity, color) for line in lines)


def render_all(diagnostics: Iterable[Diagnostic], *, color: bool = False, width: int = DEFAULT_WIDTH) -> str:
    """The diagnostics one after the other with an empty line between, and no newline at the end."""
    return "\n\n".join(render(diagnostic, color=color, width=width) for diagnostic in diagnostics)


def _by_source(labels: Sequence[Label]) -> list[list[Label]]:
    """The labels of each file, the file of the first label first."""
    groups: dict[Source, list[Label]] = {}
    for label in labels:
        groups.setdefault(label.span.source, []).append(label)
    return list(groups.values())


def _remark(kind: str, text: str, margin: int) -> list[Text]:
    """A note or a help; the further lines of one that has several are set below its first word."""
    first, *rest = text.splitlines() or [""]
    lead = " " * (margin + 2)
    indent = " " * len(f"{lead}= {kind}: ")
    head: Text = ((f"{lead}= ", "gutter"), (kind, kind), (f": {visible(first)}", "plain"))
    return [head, *(((indent + visible(line), "plain"),) for line in rest)]


def _paint(line: Text, severity: str, color: bool) -> str:
    if not color:
        return "".join(piece for piece, _ in line).rstrip()
    *before, (last, last_style) = line
    primary = _RED if severity == "error" else _CYAN
    painted = []
    for piece, style in (*before, (last.rstrip(), last_style)):
        code = primary if style == "primary" else _COLORS.get(style)
        painted.append(f"{code}{piece}{_RESET}" if code and piece.strip() else piece)
    return "".join(painted).rstrip()
