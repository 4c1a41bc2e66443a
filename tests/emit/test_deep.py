"""Programs at the limits of nesting: the modules made of them are still ones that Python takes."""

from __future__ import annotations

import pytest

from tensorlogic.compiler.driver import Options, compile_text
from tensorlogic.compiler.syntax.tokens import MAXIMUM_BLOCKS, MAXIMUM_LOOPS

IN_LOOPS = MAXIMUM_BLOCKS - MAXIMUM_LOOPS
BLOCKS = {
    "if": "".join(f"if x > {i} {{\n" for i in range(MAXIMUM_BLOCKS)) + "y = y + 1\n" + "}\n" * MAXIMUM_BLOCKS,
    "else if": "if x > 0 { y = 0 }" + "".join(f" else if x > {i} {{ y = {i} }}" for i in range(1, MAXIMUM_BLOCKS)),
    "for": "".join(f"for i{n} in 0..2 {{\n" for n in range(MAXIMUM_LOOPS)) + "y = y + i0\n" + "}\n" * MAXIMUM_LOOPS,
    "while": "while y < x {\n" * MAXIMUM_LOOPS + "y = y + 1\n" + "}\n" * MAXIMUM_LOOPS,
    "both": "if x > y {\n" * IN_LOOPS + "while y < x {\n" * MAXIMUM_LOOPS + "y = y + 1\n" + "}\n" * MAXIMUM_BLOCKS,
    # Each of these, which are too long for one line, was once tried as an expression by all that stand around it.
    "conditional": "let z = " + "if x > y { " * 30 + "1" + " } else { y }" * 30 + "\ny = z",
}


@pytest.mark.parametrize("block", BLOCKS.values(), ids=BLOCKS)
@pytest.mark.parametrize("options", [Options(), Options(standalone=True)], ids=["runtime", "standalone"])
def test_the_deepest_blocks_become_python(block: str, options: Options) -> None:
    for text in (
        f"fn f(x: int) -> int {{\nlet y = 0\n{block}\nreturn y\n}}\n",
        f"let x = len(args)\nlet y = 0\n{block}\nprint(y)\n",
    ):
        compile(compile_text(text, options=options).python, "deep.py", "exec")
