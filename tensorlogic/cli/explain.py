"""`tlc explain`: the page on a code."""

from __future__ import annotations

import difflib
import textwrap
from collections.abc import Iterable

import click

from tensorlogic.compiler.diagnostics.pages import Page, all_pages

_PAGE_WIDTH = 80
_FAMILIES = {
    "TL0": "text and syntax",
    "TL1": "names",
    "TL2": "types",
    "TL3": "shapes",
    "TL4": "model files",
    "TL5": "the run-time boundary",
    "TL9": "the compiler itself",
}


@click.command("explain", short_help="Explain an error's code.")
@click.argument("code", required=False)
def command(code: str | None) -> None:
    """Print a page on CODE, such as TL3001: what it means, how to mend it, and a smallest example.

    Without CODE, or with the beginning of one such as TL3, list the codes.
    """
    pages = all_pages()
    if code is None:
        click.echo(_listing(pages))
        return
    wanted = code.upper()
    if not wanted.startswith("TL"):
        wanted = f"TL{wanted}"
    matching = [known for known in pages if known.startswith(wanted)]
    if wanted in pages:
        click.echo(_page(wanted, pages[wanted]))
    elif matching:
        click.echo(_listing(matching))
    else:
        near = difflib.get_close_matches(wanted, pages, 3, cutoff=0.5)
        hint = f" The nearest: {', '.join(sorted(near))}." if near else ""
        raise click.UsageError(f"there is no code {code}.{hint} `tlc explain` lists all.")


def _page(code: str, page: Page) -> str:
    explanation = textwrap.fill(page.explanation, _PAGE_WIDTH, break_long_words=False, break_on_hyphens=False)
    return f"{code}: {page.title}\n\n{explanation}\n\nExample:\n\n{textwrap.indent(page.example, '    ')}"


def _listing(codes: Iterable[str]) -> str:
    """The titles of the codes below the names of their families."""
    lines: list[str] = []
    family = ""
    for code in codes:
        if code[:3] != family:
            family = code[:3]
            lines.extend(["", f"{family}  {_FAMILIES[family]}"] if lines else [f"{family}  {_FAMILIES[family]}"])
        lines.append(f"  {code}  {all_pages()[code].title}")
    return "\n".join(lines)
