"""Pages on text and syntax (TL0)."""

from __future__ import annotations

from tensorlogic.compiler.diagnostics.pages import Page

PAGES = {
    "TL0001": Page(
        "a character that is not part of the language",
        "Programs are written with names, numbers, strings, brackets and the operators of the language; any other "
        'character may stand only in a string or a comment. Strings are written with `"`, comments begin with '
        "`//`, powers are written `**`, and a condition is negated with `not`. Characters that look like blanks "
        "or quotes often come from text that was copied out of a document: type them again.",
        "let x = 2 $ 3",
    ),
    "TL0002": Page(
        "a string or a comment is not closed",
        'A string ends with `"` on the line where it begins; a line break in it is written `\\n`. A comment that '
        "begins with `/*` ends with `*/`, and comments nest: each `/*` needs its own `*/`.",
        'print("hello)',
    ),
    "TL0003": Page(
        "an unknown escape in a string",
        'A backslash in a string begins an escape. There are `\\n` (line break), `\\t` (tab), `\\"`, `\\\\` and '
        "`\\u{1F600}`, a Unicode character by one to six hexadecimal digits. A backslash itself is written `\\\\`.",
        'print("C:\\models")',
    ),
    "TL0004": Page(
        "not a number, or one that does not fit",
        "Numbers are written in decimal digits, with `_` between digits where that helps: `12`, `1_000`, `0.5`, "
        "`1e-5`. A float has digits on both sides of its point. Integers reach from 0 to 9223372036854775807; a "
        "float that would become infinite or 0 is refused, since no number becomes another one silently. Infinity "
        "is `inf`.",
        "let n = 12abc",
    ),
    "TL0005": Page(
        "a brace in a format string is not paired",
        'In a format string such as `f"blk.{i}.weight"` braces hold an expression, which has no `"`, `}` or line '
        "break in it. A brace that is meant as text is doubled: `{{` and `}}`.",
        'print(f"set }")',
    ),
    "TL0101": Page(
        "something else was expected",
        "The text cannot be read as a program from this place on. The error says what could have stood here, what "
        "it would have followed, and what was found. Often the mistake is just before: an operand, a comma or a "
        "bracket is missing. A statement ends at the end of its line, unless a bracket is open, the line ends "
        "with an operator or a comma, or the next line begins with an operator, `.`, `else`, `where`, `->`, `{` "
        "or `|`.",
        "let x = 1 +",
    ),
    "TL0102": Page(
        "a bracket is never closed",
        "Each `(`, `[` and `{` needs its `)`, `]` or `}`. The error points at the bracket that is open, and at "
        "the place where it shows that the other one is missing: a keyword that only begins statements or "
        "declarations, a closing bracket of another kind, or the end of the file. The right place for it is "
        "somewhere between these.",
        "print((1 + 2) * 3",
    ),
    "TL0103": Page(
        "a closing bracket that does not belong here",
        "A `)`, `]` or `}` closes the innermost bracket that is open, which must be of its kind. Either no "
        "bracket is open here, or another kind is: remove the bracket, replace it, or add the one that opens it.",
        "print(1))",
    ),
    "TL0104": Page(
        "nested too deeply",
        "Brackets, operators and attributes nest at most 200 deep, blocks and chains of `else if` at most 90, loops at "
        "most 16. Give a part of the expression a name with `let`, make a function of it, or build a long sum or list "
        "in a loop. Files import one another at most 100 deep, and a dim has at most 1024 terms.",
        "let x = " + "(" * 201 + "1" + ")" * 201,
    ),
    "TL0105": Page(
        "operators that need parentheses or `and`",
        "Comparisons do not chain: `a < b < c` is written `a < b and b < c`. Nor do ranges. And `not` binds less "
        "tightly than all operators but `and` and `or`, so that as their operand it stands in parentheses: `a == "
        "(not b)`.",
        "let x = 1\nassert 0 < x < 2",
    ),
    "TL0106": Page(
        "only names can be assigned to",
        "On the left of `=` stands a name, or several in parentheses. Tensors, lists and structs are values, "
        "which do not change in place: `slice_update` gives a new tensor with a part replaced, and a struct with "
        "another field is made anew. In a condition, `==` compares.",
        "let x = [1, 2]\nx[0] = 3",
    ),
    "TL0107": Page(
        "a function without a body",
        "A function's body stands in braces after its signature, and each of its paths returns a value. A "
        'function that is written in Python is declared with `extern "package.module"` and has no body.',
        "fn double(x: float16[N]) -> float16[N]",
    ),
    "TL0108": Page(
        "an `extern` function with a body",
        "`extern` declares the types of a function that a Python module defines, so there is nothing to write in "
        "braces. Remove the body, or the `extern` with its module.",
        'extern "models.text" fn length(x: float16[N]) -> int { return N }',
    ),
    "TL0109": Page(
        "a file has more than one `main`",
        "The statements of a file run from top to bottom. They may stand inside one `main { ... }`, which means "
        "the same; a second one is refused. Join the two.",
        "main { print(1) }\nmain { print(2) }",
    ),
    "TL0201": Page(
        "Python was started with `-OO`",
        "The grammar of the language is kept in docstrings, and `python -OO` strips those. Start Python with "
        "`-O`, which keeps them, or without either. The same holds for the environment variable "
        "`PYTHONOPTIMIZE=2`.",
        "python -OO -m tensorlogic.cli check model.tl",
    ),
}
