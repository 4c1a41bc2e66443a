"""What holds of every program and every file (language.md, 4.6): an error that a file gives is one at run time too.

Programs that ask a model for tensors, structs and numbers are made at random, and so are files. Whatever is in the
file, the program compiles to the same bytes as without it, or is refused where running it ends with an error.
"""

from __future__ import annotations

import random
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tensorlogic.compiler import driver
from tensorlogic.compiler.diagnostics import CompileError
from tests.check.typed_files import BLIND, codes, ends_with, errors, working_in, write_model

NAMES = ("a", "b", "c", "l.0.w", "l.1.w", "l.2.w")
SIZES = (1, 2, 3)
FILE_CODES = {"TL4021", "TL4022", "TL4023", "TL4024", "TL4025", "TL4026"}

HEAD = """fn times(x: float16[N, I], w: float16[O, I]) -> float16[N, O] { return x @ w.T }
fn whole(m: Model, name: string) -> float16[?] { let w: float16[?] = m.get_tensor(name); return w }
let m = load_model("m.safetensors")
"""


class Writer:
    """Writes one script: each statement declares a tensor, or uses those that are declared."""

    def __init__(self, source: random.Random) -> None:
        self.source = source
        self.matrices: list[str] = []
        self.structs: list[str] = []
        self.count = 0

    def script(self) -> str:
        lines = [self.statement() for _ in range(self.source.randint(1, 7))]
        return "\n".join([*self.structs, HEAD + "\n".join(lines)])

    def name(self) -> str:
        self.count += 1
        return f"v{self.count}"

    def shape(self, rank: int | None = None) -> str:
        count = self.source.randint(1, 2) if rank is None else rank
        return ", ".join(self.source.choice(["?", "?", *map(str, SIZES)]) for _ in range(count))

    def tensor(self) -> str:
        return f'm.get_tensor("{self.source.choice(NAMES)}")'

    def operand(self) -> str:
        return self.source.choice([*self.matrices, self.tensor()])

    def statement(self, depth: int = 0) -> str:
        kinds = [self.declaration, self.expression, self.struct, self.number, self.call]
        if depth < 2:
            kinds += [self.branch, self.loop]
        return self.source.choice(kinds)() if depth < 2 else self.expression()

    def declaration(self) -> str:
        name = self.name()
        line = f"let {name}: float16[{self.shape(2)}] = {self.tensor()}"
        self.matrices.append(name)
        return line

    def expression(self) -> str:
        a, b = self.operand(), self.operand()
        forms = [f"{a} + {b}", f"{a} @ {b}", f"{a} @ {b}.T", f"({a} + {b}) * 2"]
        if self.matrices:
            x = self.source.choice(self.matrices)
            forms += [f"{x}[{self.source.randint(0, 3)}]", f"{x}[0:{self.source.randint(1, 3)}]", f"{x}.reshape([-1])"]
        return f"print({self.source.choice(forms)})"

    def call(self) -> str:
        if self.source.random() < 0.5:
            return f'print(whole(m, "{self.source.choice(NAMES)}"))'
        return f"print(times({self.operand()}, {self.operand()}))"

    def struct(self) -> str:
        self.count += 1
        name, optional = f"S{self.count}", self.source.choice(["", "?"])
        dims = [self.source.choice(["A", "B", "A", "2*A", "3"]) for _ in range(4)]
        keys = [self.source.choice(["a", "b", "c", "d"]) for _ in range(3)]
        listed = f'; l: [float16[{dims[3]}]] = "l.{{i}}.w"' if self.source.random() < 0.4 else ""
        self.structs.append(
            f'struct {name}[A, B] {{ p: float16[A, B] = "{keys[0]}" | "{keys[1]}"; '
            f'q: float16[{dims[0]}, {dims[1]}]{optional} = "{keys[2]}"{listed} }}'
        )
        given = self.source.choice(["", ", A: 2", ', B: m.int("n")'])
        return f"print(bind<{name}>(m{given}).A)"

    def number(self) -> str:
        return self.source.choice(
            [
                'print(m.int("n"))',
                'print(m.string("s"))',
                'print(m.ints("n"))',
                'print(m.strings("s"))',
                'assert m.int("n") == 2',
            ]
        )

    def branch(self) -> str:
        conditions = [f'm.has("{self.source.choice(NAMES)}")', "len(args) > 0", 'm.int("n") == 2', "1 < 2"]
        kept = list(self.matrices)
        then, otherwise = self.statement(1), self.statement(2)
        self.matrices = kept
        return f"if {self.source.choice(conditions)} {{ {then} }} else {{ {otherwise} }}"

    def loop(self) -> str:
        kept = list(self.matrices)
        body = self.source.choice([self.statement(2), 'print(m.get_tensor(f"l.{i}.w") * 2)'])
        leave = self.source.choice(["", "", "if len(args) > i { break }; ", "if i == 1 { continue }; "])
        self.matrices = kept
        over = self.source.choice(["0..2", '0..m.int("n")', "0..len(args)"])
        return f"for i in {over} {{ {leave}{body} }}"


def random_file(source: random.Random, path: Path) -> None:
    def shape() -> tuple[int, ...]:
        return tuple(source.choice(SIZES) for _ in range(source.choice([0, 1, 2, 2, 2, 3])))

    floats = {name: shape() for name in NAMES if source.random() < 0.85}
    integers = {"b": shape()} if source.random() < 0.1 else {}
    if integers:
        floats.pop("b", None)
    metadata = {"n": source.choice(["1", "2", "3", "x"]), "s": "text"}
    write_model(path, floats, integers=integers, metadata=metadata if source.random() < 0.9 else None)


def hold(seed: int) -> bool:
    """Check the law for one program and one file; gives whether the file has refused the program."""
    source = random.Random(seed)
    text = Writer(source).script()
    with tempfile.TemporaryDirectory() as folder, working_in(Path(folder)):
        try:
            without = driver.compile_text(text).python
        except CompileError as wrong:
            refused = [d.message for d in wrong.diagnostics]
            random_file(source, Path("m.safetensors"))
            assert [d.message for d in errors(text)] == refused
            return False
        random_file(source, Path("m.safetensors"))
        found = errors(text)
        assert {d.code for d in found} <= FILE_CODES
        assert driver.compile_text(text, options=driver.DEFAULT_OPTIONS if not found else BLIND).python == without
        assert not found or ends_with(text) is not None, f"{found}\n{text}"
        return bool(found)


@given(st.integers(0, 2**32))
def test_a_file_refuses_only_what_fails(seed: int) -> None:
    hold(seed)


def test_files_refuse_many_of_these_programs() -> None:
    """The law says something: neither all nor none of the programs are refused."""
    refused = sum(hold(seed) for seed in range(60))
    assert 10 <= refused <= 55


@pytest.mark.fuzz
@settings(settings.get_profile("deep"))
@given(st.integers(0, 2**32))
def test_a_file_refuses_only_what_fails_of_many(seed: int) -> None:
    hold(seed)


@st.composite
def bindings(draw: st.DrawFn) -> tuple[str, dict[str, tuple[int, ...]], dict[str, tuple[int, ...]]]:
    """A program that binds a struct, and a file of floats and ints."""
    dim = st.sampled_from(["A", "B", "2*A", "A*B", "A + 1", "2", "?"])
    shapes = st.lists(dim, min_size=1, max_size=2).map(", ".join)
    optional = draw(st.sampled_from(["", "?"]))
    alternatives = draw(st.sampled_from(['"q"', '"r" | "q"', '"x" | "y"']))
    struct = (
        f"struct Part[A] {{ w: float16[{draw(st.sampled_from(['A', '2*A', 'A, A']))}] }}\n"
        f"struct Net[A, B] {{ p: float16[A, B]; q: float16[{draw(shapes)}]{optional} = {alternatives}; "
        f'l: [Part[{draw(st.sampled_from(["A", "B", "?"]))}]]{draw(st.sampled_from(["", "?"]))} = "l.{{i}}" }}\n'
    )
    given = draw(st.sampled_from(["", ", A: 2", ", A: 3, B: 2"]))
    prefix = draw(st.sampled_from(["", "net"]))
    text = struct + f'print(bind<Net>(load_model("m.safetensors"), prefix: "{prefix}"{given}).A)'
    names = st.sampled_from(["p", "p", "q", "r", "l.0.w", "l.1.w", "l.2.w"])
    sizes = st.lists(st.sampled_from([1, 2, 3, 4]), min_size=1, max_size=2).map(tuple)
    files = draw(st.dictionaries(names, sizes, min_size=1))
    below = f"{prefix}." if prefix else ""
    return text, {below + name: shape for name, shape in files.items()}, {"other": (1,)}


@settings(max_examples=150)
@given(bindings())
def test_binding_is_refused_before_and_while_it_runs(
    made: tuple[str, dict[str, tuple[int, ...]], dict[str, tuple[int, ...]]],
) -> None:
    """What the checker says of `bind` is what run time says, of structs that have no packs."""
    text, floats, integers = made
    with tempfile.TemporaryDirectory() as folder, working_in(Path(folder)):
        write_model(Path("m.safetensors"), floats, integers=integers)
        if errors(text, BLIND):
            assert codes(text) == [d.code for d in errors(text, BLIND)]
            return
        found = errors(text)
        ended = ends_with(text)
        assert (ended is not None) == bool(found), f"{ended}\n{text}\n{floats}"
        if ended is not None:
            assert [d.code for d in found] == ["TL4025"]


def test_programs_that_open_no_model_are_told_nothing() -> None:
    """All that the language can say is gone through, since a file is opened at the end: none of it is an error."""
    gone_through = 0
    for path in sorted((Path(__file__).parents[1] / "programs").glob("[af]*/*.tl")):
        text = path.read_text() + '\nlet opened_at_the_end = load_model("none.safetensors")\n'
        try:
            blind = driver.compile_text(text, path.name, BLIND, path)
        except CompileError:
            # Its statements stand inside of `main { ... }`, or it never goes on.
            continue
        assert driver.compile_text(text, path.name, path=path).python == blind.python
        gone_through += 1
    assert gone_through > 100
