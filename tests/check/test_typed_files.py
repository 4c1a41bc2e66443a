"""Programs that open a model by a literal path, against the header of the file that is there (language.md, 9.1)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import gguf
import numpy as np
import pytest
from click.testing import CliRunner

from tensorlogic.cli import main
from tensorlogic.compiler import driver
from tensorlogic.compiler.diagnostics.render import render_all
from tensorlogic.runtime.formats.names import Names
from tests.check.typed_files import codes, ends_with, errors, working_in, write_model
from tests.models import MINILM, SMOLLM2, model_path

HEAD = 'let m = load_model("m.safetensors")\n'
SHAPES = {
    "wide": (4, 128),
    "square": (64, 64),
    "bias": (64,),
    "blk.0.w": (2, 3),
    "blk.1.w": (2, 3),
    "net.q": (6, 4),
    "net.k": (6, 5),
    "empty": (0, 4),
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    metadata = {"layers": "2", "name": "small", "sizes": "[1, 2]"}
    write_model(tmp_path / "m.safetensors", SHAPES, integers={"ids": (3,)}, metadata=metadata)
    monkeypatch.chdir(tmp_path)
    return tmp_path


REFUSED = {
    "a name": ('print(m.get_tensor("wid"))', "TL4021", "did you mean `wide`"),
    "a name that is computed": ('let i = 2; print(m.get_tensor(f"blk.{i}.w"))', "TL4021", "`blk.2.w`"),
    "a name in a loop": ('for i in 0..3 { print(m.get_tensor(f"blk.{i}.w")) }', "TL4021", "`blk.2.w`"),
    "a count of the metadata": (
        'for i in 0..m.int("layers") { let w: float16[2, 2] = m.get_tensor(f"blk.{i}.w") }',
        "TL4022",
        "the same happens here once more",
    ),
    "a size": ('let w: float16[?, 127] = m.get_tensor("wide")', "TL4022", "a dim 128 where 127 is declared"),
    "a rank": ('let w: float16[?] = m.get_tensor("wide")', "TL4022", "it has 2 dims"),
    "a rebinding": (
        'let w: float16[?, 128] = m.get_tensor("wide")\nw = m.get_tensor("square")',
        "TL4022",
        "a dim 64 where 128 is declared",
    ),
    "an argument": (
        "fn f(x: float16[N, N]) -> float16[N] { return x[0] }\n" + 'print(f(m.get_tensor("wide")))',
        "TL4022",
        "`N` of `f` is 4 by dim 0 of `x` and 128 by dim 1 of `x`",
    ),
    "two tensors": ('print(m.get_tensor("wide") @ m.get_tensor("square").T)', "TL4022", "128 is not 64"),
    "a sum": ('print(m.get_tensor("wide") + m.get_tensor("bias"))', "TL4022", "[4, 128] and [64] do not broadcast"),
    "two tensors of known rank": (
        'let a: float16[?, ?] = m.get_tensor("wide")\nlet b: float16[?, ?] = m.get_tensor("square")\nprint(a @ b)',
        "TL4022",
        "`square` of `m.safetensors` is float16[64, 64]; the program says float16[?, ?]",
    ),
    "an index": ('let a: float16[?, ?] = m.get_tensor("wide")\nprint(a[4])', "TL4022", "the index `4` of `a` is 4"),
    "a reshape": ('let a: float16[?, ?] = m.get_tensor("wide")\nprint(a.reshape([100]))', "TL4022", "512"),
    "ints for floats": ('let w: int32[?, ?] = m.get_tensor("wide")', "TL4023", "holds float16, not int32"),
    "floats for ints": ('print(m.get_tensor("ids"))', "TL4023", "let w: int32[...] = model.get_tensor"),
    "a key": ('print(m.int("layer"))', "TL4024", "did you mean `layers`"),
    "a kind of metadata": ('print(m.ints("name"))', "TL4024", "is str 'small', and not a list of ints"),
    "a list of another kind": ('print(m.strings("name"))', "TL4024", "is str 'small', and not a list of strings"),
    "a struct": (
        'struct Net[A, B] { q: float16[A, B]; k: float16[A, B]; v: float16[B] }\nprint(bind<Net>(m, prefix: "net").A)',
        "TL4025",
        "1 missing tensor and 1 conflict",
    ),
    "a dim by name": (
        'struct Net[A, B] { q: float16[A, B] }\nprint(bind<Net>(m, prefix: "net", A: m.int("layers")).B)',
        "TL4025",
        "`A` is 2 as given",
    ),
    "a prefix": (
        'struct Net[A, B] { q: float16[A, B] }\nprint(bind<Net>(m, prefix: "nett").A)',
        "TL4025",
        "no tensor's name in `m.safetensors` begins with `nett.`\n",
    ),
    "a prefix of optional fields alone": (
        'struct Net[A] { q: float16[A, 4]? }\nprint(bind<Net>(m, prefix: "ne", A: 6).A)',
        "TL4025",
        "did you mean `net`?",
    ),
    "a type of floats": (
        "struct Net[A, B] { q: float16[A, B] }\n"
        'print(bind<Net>(load_model("m.safetensors", dtype: float32), prefix: "net").A)',
        "TL4025",
        "`load_model(path, dtype: float16)` reads floats so",
    ),
    "a dim by name that no dim may be": (
        'struct Net[A, B, H] { q: float16[A, B] }\nprint(bind<Net>(m, prefix: "net", H: m.int("layers") - 2).A)',
        "TL4025",
        "`H` is 0: a dimension variable is at least 1",
    ),
    "a dim of a tensor without elements": (
        'struct Part[A] { w: float16[A, 4] = "empty" }\nstruct Net { p: Part[?] = "" }\nbind<Net>(m)',
        "TL4025",
        "`A` is 0: a dimension variable is at least 1",
    ),
    "a bound dim": (
        'struct Net[A, B] { q: float16[A, B] }\nlet n = bind<Net>(m, prefix: "net")\nassert n.A == 5',
        "TL4026",
        "`A` of `Net` of `m.safetensors` is 6",
    ),
    "an assertion": (
        'let w: float16[?, ?] = m.get_tensor("wide")\nassert w.shape[0] == 5, "five rows"',
        "TL4026",
        "five rows",
    ),
    "a function": (
        "fn first(m: Model, name: string) -> float16[?] { let w: float16[?] = m.get_tensor(name); return w }\n"
        'print(first(m, "wide"))',
        "TL4022",
        "called here",
    ),
    "a branch that is taken": ('if m.has("bias") { print(m.get_tensor("biases")) }', "TL4021", "`bias`"),
    "what a loop goes over": (
        "for n in m.tensors { let w: float16[?, ?] = m.get_tensor(n) }",
        "TL4022",
        "it has 1 dim",
    ),
}


@pytest.mark.parametrize(("text", "code", "said"), REFUSED.values(), ids=list(REFUSED))
def test_what_the_file_cannot_give_is_refused(text: str, code: str, said: str) -> None:
    found = errors(HEAD + text)
    assert code in {diagnostic.code for diagnostic in found}
    assert said in render_all(found)


@pytest.mark.parametrize("text", [text for text, _, _ in REFUSED.values()], ids=list(REFUSED))
def test_what_is_refused_fails_at_run_time(text: str) -> None:
    assert ends_with(HEAD + text) is not None


@pytest.mark.parametrize("text", [text for text, _, _ in REFUSED.values()], ids=list(REFUSED))
def test_without_the_file_it_is_right_and_the_same(text: str, tmp_path: Path) -> None:
    blind = driver.compile_text(HEAD + text, options=driver.Options(files=False)).python
    (tmp_path / "empty").mkdir()
    with working_in(tmp_path / "empty"):
        assert driver.compile_text(HEAD + text).python == blind


ACCEPTED = {
    "a guard": 'if m.has("scale") { print(m.get_tensor("scale")) }',
    "a branch that only run time chooses": 'if len(args) > 5 { print(m.get_tensor("no")) }',
    "a loop that may not run": 'for a in args { print(m.get_tensor("no")) }',
    "after what may not end": 'while read_line("") != none { }\nprint(m.get_tensor("no"))',
    "after a break": ('for i in 0..3 { if len(args) > 0 { break }; print(m.get_tensor(f"blk.{i}.w").shape, args[0]) }'),
    "a model that is a parameter": 'fn f(m: Model) -> float16[?] { return m.get_tensor("no") }\nprint(len(args))',
    "another model": 'let n = load_model("other.safetensors")\nprint(n.get_tensor("no"))',
    "a name from outside": "print(m.get_tensor(args[0]))",
    "an optional field": 'struct Net[A, B] { q: float16[A, B]; v: float16[B]? }\nprint(bind<Net>(m, prefix: "net").A)',
    "a list": 'struct B { w: float16[2, 3] }\nstruct S { l: [B] = "blk.{i}" }\nprint(len(bind<S>(m).l))',
    "alternatives": 'struct Net[A, B] { q: float16[A, B] = "query" | "q" }\nprint(bind<Net>(m, prefix: "net").A)',
    "another float type": (
        'let n = load_model("m.safetensors", dtype: float32)\nlet w: float32[?] = n.get_tensor("bias")'
    ),
    "broadcasting of 1": 'print(m.get_tensor("wide") + zeros([1, 128]))',
}


@pytest.mark.parametrize("text", ACCEPTED.values(), ids=list(ACCEPTED))
def test_what_the_file_may_give_is_accepted(text: str) -> None:
    assert codes(HEAD + text) == []


def test_an_error_shows_both_shapes() -> None:
    text = HEAD + 'let w: float16[?, 256] = m.get_tensor("wide")\n'
    assert render_all(errors(text)) == (
        "error[TL4022]: `w` has a dim 128 where 256 is declared\n"
        "  --> program.tl:2:26\n"
        "   |\n"
        ' 2 | let w: float16[?, 256] = m.get_tensor("wide")\n'
        "   |                          ^^^^^^^^^^^^^^^^^^^^ float16[4, 128] in the file\n"
        "   = note: `wide` of `m.safetensors` is float16[4, 128]; the program says float16[?, 256]"
    )


def test_a_struct_is_told_in_one_table() -> None:
    text = (
        "struct Net[A, B] { q: float16[A, B]; k: float16[A, B]; v: float16[B] }\n"
        + HEAD
        + 'let net = bind<Net>(m, prefix: "net")\n'
    )
    assert render_all(errors(text)) == (
        "error[TL4025]: `m.safetensors` does not fit `Net`: 1 missing tensor and 1 conflict\n"
        "  --> program.tl:3:11\n"
        "   |\n"
        ' 3 | let net = bind<Net>(m, prefix: "net")\n'
        "   |           ^^^^^^^^^^^^^^^^^^^^^^^^^^^\n"
        "   = note: key    wanted                  found\n"
        "           net.k  float16[A, B] = [6, 4]  float16[6, 5]\n"
        "           net.v  float16[B] = [4]        missing\n"
        "   = note: `B` is 4 by `net.q` of [6, 4]"
    )


def test_all_errors_are_told_in_one_run() -> None:
    text = HEAD + 'print(m.get_tensor("no"), m.int("n"))\nlet w: float16[?] = m.get_tensor("wide")\n'
    assert codes(text) == ["TL4021", "TL4024", "TL4022"]


def test_a_file_that_the_script_writes_is_not_looked_at() -> None:
    text = HEAD + 'save_model(m, "n.safetensors")\nprint(load_model("n.safetensors").get_tensor("no"))'
    write_model(Path("n.safetensors"), {"old": (1,)})
    assert codes(text) == []
    assert codes(text.replace("save_model", "// save_model")) == ["TL4021"]


def test_a_file_that_is_written_in_a_branch_is_not_looked_at() -> None:
    text = HEAD + 'if len(args) > 0 { save_model(m, args[0]) }\nprint(load_model("m.safetensors").get_tensor("no"))'
    assert codes(text) == []


def test_a_constant_path_is_known() -> None:
    text = 'const FILE = "m.safetensors"\nlet path = FILE\nlet m = load_model(path)\nprint(m.get_tensor("no"))'
    assert codes(text) == ["TL4021"]


def test_a_damaged_file_is_refused(folder: Path) -> None:
    (folder / "m.safetensors").write_bytes((folder / "m.safetensors").read_bytes()[:50])
    assert codes(HEAD + "print(m.tensors)") == ["TL4003"]


def test_a_file_in_no_format_is_refused(folder: Path) -> None:
    (folder / "notes.txt").write_text("nothing")
    assert codes('let m = load_model("notes.txt")') == ["TL4002"]


@pytest.mark.parametrize("path", ["none.safetensors", "", "\\u{0}", "no/such/folder"])
def test_a_file_that_is_not_there_is_run_time_s(path: str) -> None:
    assert codes(f'let m = load_model("{path}")\nprint(m.get_tensor("no"))') == []


def test_a_pipe_is_not_waited_for(folder: Path) -> None:
    os.mkfifo(folder / "pipe.safetensors")
    assert codes('let m = load_model("pipe.safetensors")\nprint(m.get_tensor("no"))') == []


def test_functions_alone_are_not_checked_against_files() -> None:
    import tensorlogic

    text = HEAD + 'print(m.get_tensor("no"))\nfn twice(x: float16[N]) -> float16[N] { return x + x }'
    assert codes(text) == ["TL4021"]
    assert hasattr(tensorlogic.compile(text), "twice")


def test_long_loops_are_left_to_run_time() -> None:
    assert codes(HEAD + 'for i in 0..1000000000 { let k = i * i }\nprint(m.get_tensor("no"))') == []


def test_numbers_do_not_grow_without_end() -> None:
    text = HEAD + 'let n = m.int("layers")\nfor i in 0..4000 { n = n * n }\nprint(m.get_tensor("no"))'
    assert codes(text) == ["TL4021"]


def test_a_recursive_function_is_entered_once() -> None:
    text = (
        'fn f(m: Model, n: int) -> int { let k = m.int(f"k{n}"); if n > 0 { return f(m, n - 1) }; return k }\n'
        + HEAD
        + "print(f(m, 3))"
    )
    assert codes(text) == ["TL4024"]


def test_gguf(folder: Path) -> None:
    writer = gguf.GGUFWriter(folder / "m.gguf", "llama")
    writer.add_uint32("llama.block_count", 1)
    writer.add_tensor("q", np.zeros((8, 64), np.float16))
    writer.add_tensor("packed", np.zeros((8, 36), np.uint8), raw_dtype=gguf.GGMLQuantizationType.Q4_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    text = 'let m = load_model("m.gguf")\nlet n = m.int("llama.block_count")\n'
    assert codes(text + 'let q: float16[8, 64] = m.get_tensor("q")\nprint(q @ m.get_tensor("packed").T)') == []
    assert codes(text + 'let q: float16[8, 36] = m.get_tensor("packed")') == ["TL4022"]
    assert codes(text + "assert n == 2") == ["TL4026"]


def test_json_has_what_the_files_say(folder: Path) -> None:
    text = HEAD + 'let w: float16[?, 64] = m.get_tensor("wide")\nprint(m.has("bias"), m.get_tensor("wid"))\n'
    (folder / "program.tl").write_text(text)
    result = CliRunner().invoke(main, ["check", "--json", "program.tl"], prog_name="tlc")
    (found,) = json.loads(result.stdout)
    assert (result.exit_code, found["ok"]) == (1, False)
    assert [d["code"] for d in found["diagnostics"]] == ["TL4022", "TL4021"]
    assert found["diagnostics"][0]["labels"][0]["text"] == "float16[4, 128] in the file"
    assert found["files"] == [
        {
            "path": "m.safetensors",
            "format": "safetensors",
            "tensors": {
                "wide": {"storage": "F32", "shape": [4, 128]},
                "bias": {"storage": "F32", "shape": [64]},
            },
            "missing": {"wid": ["wide", "ids"]},
        }
    ]


def test_json_of_a_program_that_is_right(folder: Path) -> None:
    (folder / "program.tl").write_text(HEAD + 'print(m.get_tensor("bias"))\n')
    result = CliRunner().invoke(main, ["check", "--json", "program.tl"], prog_name="tlc")
    (found,) = json.loads(result.stdout)
    assert (result.exit_code, found["diagnostics"]) == (0, [])
    assert found["files"][0]["tensors"] == {"bias": {"storage": "F32", "shape": [64]}}


# --- real models


def encoder(folder: Path, text: str) -> list[str]:
    """The codes of a script over the standard library's encoder."""
    (folder / "script.tl").write_text("from models.bert import Weights, encode, load\n" + text)
    return [diagnostic.code for diagnostic in driver.check_file(folder / "script.tl")]


def test_the_sentence_encoder(folder: Path) -> None:
    opened = f'let m = load_model("{model_path(MINILM)}")\n'
    right = opened + 'let net = load(m)\nassert net.D == 384\nprint(m.int("num_attention_heads"))\n'
    assert encoder(folder, right + "print(encode(net, tensor<int32>([[1, 2]])))") == []
    assert encoder(folder, opened + "print(bind<Weights>(m, H: 12, D: 385).D)") == ["TL4025"]
    assert encoder(folder, opened + 'print(bind<Weights>(m, prefix: "bert", H: 12).D)') == ["TL4025"]
    assert encoder(folder, opened + 'print(m.int("num_heads"))') == ["TL4024"]


LLAMA = """
struct Block[D, F, K] {
    norm: float16[D] = "attn_norm.weight"
    q: float16[D, D] = "attn_q.weight"
    k: float16[K, D] = "attn_k.weight"
    v: float16[K, D] = "attn_v.weight"
    bias: float16[D]? = "attn_q.bias"
    up: float16[F, D] = "ffn_up.weight"
    down: float16[D, F] = "ffn_down.weight"
}
struct Llama[V, D, F, K] {
    words: float16[V, D] = "token_embd.weight"
    layers: [Block[D, F, K]] = "blk.{i}"
    output: float16[V, D] = "output.weight" | "token_embd.weight"
}
"""


def test_a_language_model() -> None:
    opened = f'let m = load_model("{model_path(SMOLLM2)}")\nlet net = bind<Llama>(m)\n'
    checked = 'assert net.D % m.int("llama.attention.head_count") == 0\nassert len(net.layers) == 30\n'
    assert codes(LLAMA + opened + checked) == []
    assert codes(LLAMA.replace("up: float16[F, D]", "up: float16[D, F]") + opened) == ["TL4025"]
    assert codes(LLAMA + opened + "let w: float16[577] = net.layers[3].norm") == ["TL4022"]


def test_what_does_not_fit_again_and_again_is_put_into_words_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The nearest names of 5,000 bindings in a loop took a minute."""
    asked: list[str] = []
    monkeypatch.setattr(Names, "nearest", lambda names, name, taken=(): asked.append(name))
    text = 'struct Net[A] { q: float16[A, A] = "v" }\nfor i in 0..40 { let n = bind<Net>(m, prefix: "net") }'
    (found,) = errors(HEAD + text)
    assert found.notes[-1] == "the same happens here 39 times more, with other names"
    assert asked == ["net.v"]


def test_checking_loads_neither_mlx_nor_numpy(folder: Path) -> None:
    (folder / "program.tl").write_text(HEAD + 'print(m.get_tensor("wid"))\n')
    code = (
        "import sys\nfrom tensorlogic.cli import main\n"
        "try:\n    main(['check', 'program.tl'])\nexcept SystemExit as ended:\n    assert ended.code == 1, ended.code\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "TL4021" in ran.stderr
    assert not set(ran.stdout.split()) & {"mlx", "numpy", "safetensors", "gguf"}
