"""The newline rule, and brackets that close.

Takes the lexer's tokens, which know nothing of lines. Promises the parser's tokens:

- NEWLINE ends every statement, declaration and field: where a newline counts (see the language reference, "Lexical
  structure"), for `;`, before a `}` and before the END. There are no two in a row, none first in the file or in braces.
- Brackets are balanced. What is missing is put in and what closes nothing is left out, each with a diagnostic, so that
  the parser's recovery can step over whole brackets. `told` holds the offsets of brackets whose error is told.
- `main` and, in the prelude, `builtin` are keywords where they stand for more than a name; the prelude's `fn where`
  declares a name.

A keyword that can only begin a statement or a declaration, first on its line, ends whatever stands open before it: the
brackets of expressions, and braces too where a declaration is indented no deeper than the line that opened them.
"""

from __future__ import annotations

from dataclasses import field

from tensorlogic.compiler.diagnostics.model import Diagnostic, error
from tensorlogic.compiler.records import dataclass
from tensorlogic.compiler.source import Source, Span
from tensorlogic.compiler.syntax.tokens import (
    CLOSER_OF,
    DECLARATION_STARTERS,
    LINE_CONTINUERS,
    MAXIMUM_NESTING,
    NEWLINE_FREE,
    OPENER_OF,
    SPELLING,
    STATEMENT_ENDERS,
    STATEMENT_STARTERS,
    Token,
    words,
)

_TYPE_TOKENS = words("NAME COMMA LESS GREATER QUESTION FN ARROW LPAREN RPAREN LBRACKET RBRACKET")


@dataclass(slots=True)
class Layout:
    """The tokens as the parser takes them.

    `open` are the brackets not closed yet, `suspects` the braces closed by a `}` that is indented less than their line.
    """

    source: Source
    tokens: list[Token] = field(default_factory=list)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    told: set[int] = field(default_factory=set)
    open: list[Token] = field(default_factory=list)
    suspects: list[Token] = field(default_factory=list)

    def span(self, token: Token) -> Span:
        return Span(self.source, token.start, token.end)


def lay_out(source: Source, scanned: list[Token], *, prelude: bool) -> Layout:
    """Applies the newline rule to the tokens of a whole source, and balances its brackets."""
    layout = Layout(source)
    text = source.text
    append = layout.tokens.append
    open_brackets = layout.open
    previous = Token("NEWLINE", "", 0, 0)
    skip_until = -1
    for index, token in enumerate(scanned):
        if index <= skip_until:
            continue
        kind = token.kind
        if previous.end < token.start and text.find("\n", previous.end, token.start) >= 0:
            _begin_line(layout, scanned, index, previous)
        if kind in CLOSER_OF:
            if len(open_brackets) == MAXIMUM_NESTING:
                skip_until = _skip_deep(layout, scanned, index)
                token = Token("INVALID", None, token.start, scanned[skip_until].end)
            else:
                if kind == "LBRACE" and _cannot_hold_braces(layout):
                    _close_down_to(layout, _innermost_brace(layout), token)
                if kind == "LBRACE" and not open_brackets and previous.value == "main" and _begins(layout.tokens[:-1]):
                    layout.tokens[-1] = previous._replace(kind="MAIN")
                open_brackets.append(token)
            append(token)
        elif kind in OPENER_OF:
            _close(layout, token)
        elif kind == "SEMICOLON" and not (open_brackets and open_brackets[-1].kind in NEWLINE_FREE):
            _end_statement(layout, ";", token.start, token.end)
        elif kind == "END":
            _close_down_to(layout, 0, token)
            _end_statement(layout, "\n", previous.end, previous.end)
            append(token)
        elif kind == "INVALID":
            append(token)
            _close_swallowed(layout, token)
        elif prelude and token.value == "builtin" and _marks_function(layout, token, scanned[index + 1]):
            append(token._replace(kind="BUILTIN"))
        elif prelude and kind == "WHERE" and previous.kind == "FN":
            append(token._replace(kind="NAME"))
        else:
            append(token)
        previous = token
    return layout


def _begins(tokens: list[Token]) -> bool:
    """Whether a statement begins after these tokens."""
    return not tokens or tokens[-1].kind == "NEWLINE"


def _marks_function(layout: Layout, builtin: Token, following: Token) -> bool:
    """Whether the name `builtin` here stands before `fn`, on one line."""
    between = layout.source.text[builtin.end : following.start]
    return following.kind == "FN" and "\n" not in between and _begins(layout.tokens)


def _cannot_hold_braces(layout: Layout) -> bool:
    """Whether a `{` here shows that the innermost `(` or `[` lacks its end: braces in it belong to an `if`."""
    if not layout.open or layout.open[-1].kind not in NEWLINE_FREE or layout.tokens[-1].kind not in STATEMENT_ENDERS:
        return False
    for token in reversed(layout.tokens):
        if token is layout.open[-1]:
            return True
        if token.kind in ("IF", "ELSE"):
            return False
    raise AssertionError("an open bracket is among the tokens")


def _begin_line(layout: Layout, scanned: list[Token], index: int, previous: Token) -> None:
    """Decides what the newline before `scanned[index]` means."""
    token = scanned[index]
    inside = bool(layout.open) and layout.open[-1].kind in NEWLINE_FREE
    following = scanned[index + 1].kind if token.kind != "END" else "END"
    declares = token.kind in DECLARATION_STARTERS or (token.kind == "FN" and following in ("NAME", "WHERE"))
    assigns = token.kind == "NAME" and following in ("EQUALS", "AUGMENTED")
    if declares:
        _close_down_to(layout, _braces_that_hold(layout, token), token)
        _end_statement(layout, "\n", previous.end, previous.end)
    elif token.kind in STATEMENT_STARTERS or (inside and assigns):
        _close_down_to(layout, _innermost_brace(layout), token)
        _end_statement(layout, "\n", previous.end, previous.end)
    elif not inside and token.kind not in LINE_CONTINUERS and _may_end(layout, previous):
        _end_statement(layout, "\n", previous.end, previous.end)


def _may_end(layout: Layout, previous: Token) -> bool:
    """Whether a statement may end with this token, the last one before a newline.

    A `>` ends a type where it closes type arguments, as in a field `pair: Pair<int, bool>`: where only what types are
    made of lies between it and the `<` after a name. As an operator it would chain comparisons there.
    """
    if previous.kind != "GREATER":
        return previous.kind in STATEMENT_ENDERS
    depth = 0
    angles = 0
    following = ""
    for index in range(len(layout.tokens) - 1, 0, -1):
        kind = layout.tokens[index].kind
        depth += (kind in OPENER_OF) - (kind in CLOSER_OF)
        if depth < 0 or (depth == 0 and kind not in _TYPE_TOKENS) or angles > MAXIMUM_NESTING:
            return False
        if (kind, following) == ("GREATER", "NAME"):
            return False
        following = kind
        if depth == 0:
            angles += (kind == "GREATER") - (kind == "LESS")
            if angles == 0:
                return layout.tokens[index - 1].kind == "NAME"
    return False


def _innermost_brace(layout: Layout) -> int:
    """How many open brackets remain when those inside the innermost `{` are closed."""
    kinds = [bracket.kind for bracket in layout.open]
    return max((k + 1 for k, kind in enumerate(kinds) if kind == "LBRACE"), default=0)


def _braces_that_hold(layout: Layout, declaration: Token) -> int:
    """How many open brackets can hold a declaration: braces opened on a line that is indented less than it is."""
    source = layout.source
    column = source.column_of(declaration.start)
    kept = 0
    for bracket in layout.open:
        if bracket.kind != "LBRACE" or _indentation(source, bracket) + 1 >= column:
            break
        kept += 1
    return kept


def _indentation(source: Source, token: Token) -> int:
    """How far the line that holds a token is indented."""
    line = source.line_text(source.line_of(token.start))
    return len(line) - len(line.lstrip())


def _end_statement(layout: Layout, value: str, start: int, end: int) -> None:
    if layout.tokens and layout.tokens[-1].kind not in ("NEWLINE", "LBRACE"):
        layout.tokens.append(Token("NEWLINE", value, start, end))


def _close(layout: Layout, token: Token) -> None:
    """Takes a closing bracket: closes what it closes, tells of what it does not, leaves out what closes nothing."""
    opener = OPENER_OF[token.kind]
    held = len(layout.open)
    while held and layout.open[held - 1].kind != opener and layout.open[held - 1].kind != "FORMAT_OPEN":
        held -= 1
    if held and layout.open[held - 1].kind == opener:
        _close_down_to(layout, held, token)
        if token.kind == "RBRACE" and _indentation(layout.source, token) < _indentation(layout.source, layout.open[-1]):
            layout.suspects.append(layout.open[-1])
        _put_closer(layout, token)
        return
    shown = SPELLING[token.kind]
    if not layout.open or layout.open[-1].kind in ("LBRACE", "FORMAT_OPEN"):
        message = f"`{shown}` closes nothing"
        layout.diagnostics.append(error("TL0103", message, layout.span(token), "no bracket is open here"))
        if layout.tokens and layout.tokens[-1].kind not in STATEMENT_ENDERS | {"NEWLINE", "LBRACE"}:
            layout.tokens.append(Token("INVALID", None, token.start, token.end))
        return
    wrong = layout.open[-1]
    right = CLOSER_OF[wrong.kind]
    message = f"`{shown}` cannot close `{SPELLING[wrong.kind]}`"
    others = [(layout.span(wrong), "this is open")]
    helps = [f"close it with `{SPELLING[right]}`"]
    layout.diagnostics.append(error("TL0103", message, layout.span(token), others=others, helps=helps))
    _put_closer(layout, Token(right, None, token.start, token.end))


def _put_closer(layout: Layout, closer: Token) -> None:
    layout.open.pop()
    if closer.kind == "RBRACE" and layout.tokens:
        end = layout.tokens[-1].end
        _end_statement(layout, "\n" if "\n" in layout.source.text[end : closer.start] else "", end, end)
    layout.tokens.append(closer)


def _close_down_to(layout: Layout, kept: int, token: Token) -> None:
    """Puts in the closing brackets that are missing before `token`, in one error."""
    missing = layout.open[kept:]
    if not missing:
        return
    untold = [bracket for bracket in reversed(missing) if bracket.start not in layout.told]
    layout.told.update(bracket.start for bracket in missing)
    if untold:
        first, *others = untold
        found = "the file ends" if token.kind == "END" else f"`{token.value}` stands"
        notes = [f"{found} where `{SPELLING[CLOSER_OF[first.kind]]}` was still missing"]
        places = [(layout.span(bracket), "nor is this one") for bracket in others[:3]]
        inner = [suspect for suspect in layout.suspects if suspect.start > first.start]
        if inner:
            places.append((layout.span(inner[0]), "perhaps it is this one: the `}` that closes it is indented less"))
        if token.kind != "END":
            places.append((layout.span(token), "found before it was closed"))
        message = f"`{SPELLING[first.kind]}` is never closed"
        layout.diagnostics.append(
            error("TL0102", message, layout.span(first), "opened here", others=places, notes=notes)
        )
    place = layout.tokens[-1].end
    for bracket in reversed(missing):
        _put_closer(layout, Token(CLOSER_OF[bracket.kind], None, place, place))


def _close_swallowed(layout: Layout, unreadable: Token) -> None:
    """Puts in the closing brackets that an unclosed string has in it: they were meant to stand behind it."""
    text = layout.source.text[unreadable.start : unreadable.end]
    swallowed = sum(text.count(closer) for closer in ")]") - sum(text.count(opener) for opener in "([")
    kept = max(len(layout.open) - swallowed, _innermost_brace(layout))
    if swallowed > 0:
        layout.told.update(bracket.start for bracket in layout.open[kept:])
        _close_down_to(layout, kept, unreadable)


def _skip_deep(layout: Layout, scanned: list[Token], start: int) -> int:
    """Tells that brackets nest too deeply, and returns the index of the token that ends the bracket at `start`."""
    token = scanned[start]
    message = f"brackets are nested more than {MAXIMUM_NESTING} deep"
    helps = ["name a part with `let`, or make a function of it"]
    layout.told.add(token.start)
    layout.diagnostics.append(error("TL0104", message, layout.span(token), helps=helps))
    depth = 0
    for index in range(start, len(scanned)):
        kind = scanned[index].kind
        if kind in CLOSER_OF:
            depth += 1
        elif kind in OPENER_OF:
            depth -= 1
            if depth == 0:
                return index
        elif kind == "END":
            layout.told.update(bracket.start for bracket in layout.open)
            return index - 1
    raise AssertionError("the tokens end with END")
