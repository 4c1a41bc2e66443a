"""The commands: what each prints, writes, refuses, and the status it ends with."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from tensorlogic.cli.files import input_problem
from tensorlogic.compiler.diagnostics import MAXIMUM_ERRORS, error
from tensorlogic.runtime.errors import BoundaryError
from tests.cli.conftest import MODULE, FakeDriver, Options

Tlc = Callable[..., Result]


def put(name: str, text: str = "fine\n") -> Path:
    path = Path(name)
    path.write_text(text, encoding="utf-8")
    return path


# --- check


def test_check_says_ok(folder: Path, tlc: Tlc) -> None:
    put("a.tl")
    result = tlc("check", "a.tl")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "a.tl: ok\n", "")


def test_check_shows_errors_of_every_file(folder: Path, tlc: Tlc) -> None:
    put("a.tl", "wrong")
    put("b.tl")
    result = tlc("check", "a.tl", "missing.tl", "b.tl")
    assert result.exit_code == 1
    assert result.stdout == "b.tl: ok\n"
    assert result.stderr == (
        "error[TL1001]: no name `wrong`\n  --> a.tl:1:1\n   |\n 1 | wrong\n   | ^^^^^ unknown\n   = help: right\n"
        "\na.tl: 1 error\n"
        "\nerror[TL1005]: cannot read `missing.tl`: there is no such file\n"
        "\nmissing.tl: 1 error\n"
    )


def test_check_says_where_it_stops_counting(folder: Path, tlc: Tlc, driver: FakeDriver) -> None:
    put("a.tl")
    many = [error("TL1001", f"no name `x{i}`") for i in range(MAXIMUM_ERRORS)]
    for found, told in ((many, "the first 20 errors"), (many[1:], "19 errors")):
        driver.found = found
        assert tlc("check", "a.tl").stderr.endswith(f"\na.tl: {told}\n")


def test_check_shows_notes_and_is_content(folder: Path, tlc: Tlc) -> None:
    put("a.tl", "note")
    result = tlc("check", "a.tl")
    assert (result.exit_code, result.stdout) == (0, "a.tl: ok\n")
    assert result.stderr.startswith("note[TL2020]: evaluated\n  --> a.tl:1:1\n")


def test_check_prints_json(folder: Path, tlc: Tlc) -> None:
    put("a.tl", "wrong")
    put("é.tl", "note")
    result = tlc("check", "--json", "a.tl", "é.tl", "missing.tl")
    assert (result.exit_code, result.stderr) == (1, "")
    first, second, third = json.loads(result.stdout)
    assert (first["file"], first["ok"]) == ("a.tl", False)
    assert first["diagnostics"][0]["labels"][0]["end"] == {"line": 1, "column": 6, "offset": 5}
    assert (second["file"], second["ok"], second["diagnostics"][0]["severity"]) == ("é.tl", True, "note")
    assert (third["file"], third["ok"], third["diagnostics"][0]["code"]) == ("missing.tl", False, "TL1005")


def test_check_needs_a_file(folder: Path, tlc: Tlc) -> None:
    assert tlc("check").exit_code == 2


# --- commands that are none


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("chekc", "there is no command `chekc`. Did you mean `check`?"),
        ("model.tl", "there is no command `model.tl`. To run a program: tlc run model.tl"),
        (
            "bake",
            "there is no command `bake`. The commands are: check, compile, convert, doctor, explain, inspect, run.",
        ),
    ],
)
def test_a_command_that_is_none(folder: Path, tlc: Tlc, word: str, hint: str) -> None:
    result = tlc(word, "x")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.endswith(f"Error: {hint}\n")


# --- inputs that are no programs


@pytest.mark.parametrize("command", ["check", "run", "compile"])
def test_inputs_that_cannot_be_read(folder: Path, tlc: Tlc, command: str) -> None:
    Path("folder.tl").mkdir()
    Path("latin.tl").write_bytes(b"let x = 1\n// caf\xe9\n")
    Path("wide.tl").write_bytes("let x = 1\n".encode("utf-16"))
    Path("model.safetensors").write_bytes(b"\x80\0\0\0{}\0")
    put("model.tl")
    put("file")
    expected = {
        "folder.tl": "cannot read `folder.tl`: it is a folder\n",
        "latin.tl": "cannot read `latin.tl`: it is not UTF-8 text\n"
        "   = note: line 2 has the byte 0xE9, which is not UTF-8 there\n"
        "   = help: save the file with the encoding UTF-8\n",
        "wide.tl": "cannot read `wide.tl`: it is not UTF-8 text\n"
        "   = note: line 1 has the byte 0xFF, which is not UTF-8 there\n"
        "   = help: save the file with the encoding UTF-8\n",
        "model.safetensors": "cannot read `model.safetensors`: it is a binary file, not the text of a program\n",
        "-": "cannot read `-`: there is no such file\n   = help: `/dev/stdin` is standard input\n",
        "modle.tl": "cannot read `modle.tl`: there is no such file\n   = help: did you mean `model.tl`?\n",
        "file/x.tl": "cannot read `file/x.tl`: Not a directory\n",
        "no/x.tl": "cannot read `no/x.tl`: there is no such file\n",
    }
    for name, message in expected.items():
        result = tlc(command, name)
        assert result.exit_code == 1
        assert result.stderr.startswith(f"error[TL1005]: {message}")
        assert result.stdout == ""
    assert not list(folder.glob("*.py"))


def test_a_file_without_permission(folder: Path, tlc: Tlc, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    put("a.tl")
    monkeypatch.setattr(Path, "read_bytes", refuse)
    result = tlc("check", "a.tl")
    assert result.exit_code == 1
    assert "error[TL1005]: cannot read `a.tl`: Permission denied" in result.stderr


def test_a_hostile_name_does_not_reach_the_terminal(folder: Path, tlc: Tlc) -> None:
    put("\x1b[31m.tl")
    assert tlc("check", "\x1b[31m.tl").stdout == "\\u{1B}[31m.tl: ok\n"


def test_a_pipe_is_left_for_the_driver_to_read(folder: Path, tlc: Tlc) -> None:
    os.mkfifo("pipe")
    assert input_problem(Path("pipe")) is None


# --- compile


def test_compile_writes_beside_the_source(folder: Path, tlc: Tlc) -> None:
    Path("lib").mkdir()
    put("lib/model.tl")
    result = tlc("compile", "lib/model.tl")
    assert (result.exit_code, result.output) == (0, "")
    assert Path("lib/model.py").read_bytes() == MODULE.encode()
    assert [path.name for path in Path("lib").iterdir() if path.suffix != ".tl"] == ["model.py"]
    assert tlc("compile", "lib/model.tl").exit_code == 0  # tlc replaces what it wrote


def test_compile_keeps_a_file_that_it_did_not_write(folder: Path, tlc: Tlc) -> None:
    put("model.tl")
    put("model.py", "mine\n")
    result = tlc("compile", "model.tl")
    assert result.exit_code == 2
    assert "`model.py` exists and was not written by tlc" in result.stderr
    assert Path("model.py").read_text(encoding="utf-8") == "mine\n"
    assert tlc("compile", "model.tl", "-o", "model.py").exit_code == 0
    assert Path("model.py").read_text(encoding="utf-8") == MODULE


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (".", "cannot write `.`: it is a folder"),
        ("no/out.py", "cannot write `no/out.py`: there is no folder `no`"),
        ("link.tl", "`link.tl` is the program itself"),
    ],
)
def test_compile_refuses_outputs(folder: Path, tlc: Tlc, output: str, message: str) -> None:
    put("model.tl")
    Path("link.tl").symlink_to("model.tl")
    result = tlc("compile", "model.tl", "-o", output)
    assert result.exit_code == 2
    assert message in result.stderr
    assert Path("model.tl").read_text(encoding="utf-8") == "fine\n"


def test_compile_of_a_python_file_does_not_replace_it(folder: Path, tlc: Tlc) -> None:
    put("model.py")
    assert tlc("compile", "model.py").exit_code == 2
    assert Path("model.py").read_text(encoding="utf-8") == "fine\n"


def test_compile_keeps_links_and_permissions(folder: Path, tlc: Tlc) -> None:
    put("model.tl")
    put("real.py", "old").chmod(0o640)
    Path("out.py").symlink_to("real.py")
    assert tlc("compile", "model.tl", "-o", "out.py").exit_code == 0
    assert Path("out.py").is_symlink()
    assert Path("real.py").read_text(encoding="utf-8") == MODULE
    assert stat.S_IMODE(Path("real.py").stat().st_mode) == 0o640


def test_compile_writes_to_devices_as_they_are(folder: Path, tlc: Tlc) -> None:
    put("model.tl")
    assert tlc("compile", "model.tl", "-o", "/dev/null").exit_code == 0
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


def test_compile_leaves_nothing_behind_when_writing_fails(
    folder: Path, tlc: Tlc, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device", "model.py")

    put("model.tl")
    monkeypatch.setattr(os, "replace", fail)
    result = tlc("compile", "model.tl")
    assert (result.exit_code, result.stderr) == (1, "tlc: model.py: No space left on device\n")
    assert [path.name for path in folder.iterdir()] == ["model.tl"]


def test_compile_shows_errors_and_writes_nothing(folder: Path, tlc: Tlc) -> None:
    put("model.tl", "wrong")
    result = tlc("compile", "model.tl")
    assert result.exit_code == 1
    assert "error[TL1001]" in result.stderr
    assert not Path("model.py").exists()


def test_compile_to_stdout_is_utf_8(folder: Path, tlc: Tlc) -> None:
    put("model.tl", "note")
    result = tlc("compile", "model.tl", "-o", "-")
    assert (result.exit_code, result.stdout_bytes) == (0, MODULE.encode())
    assert "note[TL2020]" in result.stderr
    assert not Path("model.py").exists()


def test_compile_emits_a_stage(folder: Path, tlc: Tlc) -> None:
    put("model.tl")
    for kind in ("tokens", "ast", "ir", "py"):
        result = tlc("compile", "model.tl", "--emit", kind)
        assert (result.exit_code, result.stdout_bytes) == (0, f"{kind} é\n".encode())
    assert tlc("compile", "model.tl", "--emit", "ir", "-o", "model.ir").stdout == ""
    assert Path("model.ir").read_text(encoding="utf-8") == "ir é"
    assert tlc("compile", "model.tl", "--emit", "wasm").exit_code == 2


def test_compile_prints_after_a_pass(folder: Path, tlc: Tlc) -> None:
    put("model.tl")
    result = tlc("compile", "model.tl", "--print-after", "fold")
    assert (result.exit_code, result.stdout) == (0, "after fold\n")
    assert not Path("model.py").exists()
    unknown = tlc("compile", "model.tl", "--print-after", "dead_cod")
    assert unknown.exit_code == 2
    assert "Did you mean `dead_code`? The passes are: fold, dead_code." in unknown.stderr
    assert tlc("compile", "model.tl", "--print-after", "fold", "--emit", "ir").exit_code == 2


def test_options_reach_the_driver(folder: Path, tlc: Tlc, driver: FakeDriver, script: Callable[..., None]) -> None:
    put("model.tl")
    script(lambda *_: 0)
    tlc("compile", "model.tl", "--standalone", "--strict", "--checked", "--root", ".")
    tlc("compile", "model.tl")
    tlc("run", "model.tl", "--strict", "--checked", "--root", ".")
    tlc("check", "model.tl", "--root", ".")
    tlc("run", "model.tl", "--fast")
    tlc("compile", "model.tl", "--fast")
    tlc("run", "model.tl", "--debug-nan")
    here = Path(".")
    assert driver.options == [
        Options(True, True, here, True),
        Options(),
        Options(True, True, here),
        Options(root=here),
        Options(fast=True),
        Options(fast=True),
        Options(debug_nan=True),
    ]
    assert tlc("check", "model.tl", "--root", "no").exit_code == 2


@pytest.mark.parametrize("command", ["compile", "run"])
def test_strict_and_fast_exclude_each_other(folder: Path, tlc: Tlc, driver: FakeDriver, command: str) -> None:
    put("model.tl")
    result = tlc(command, "model.tl", "--strict", "--fast")
    assert result.exit_code == 2
    assert "--strict and --fast exclude each other" in result.stderr
    assert driver.options == []


# --- run


def test_run_passes_the_arguments_after_the_dashes(folder: Path, tlc: Tlc, script: Callable[..., None]) -> None:
    calls: list[Any] = []

    def run(python: str, name: str, arguments: list[str]) -> int:
        calls.append((python, name, arguments))
        print("printed")
        return 0

    script(run)
    put("model.tl")
    result = tlc("run", "model.tl", "--strict", "--", "a b", "--", "--strict", "-h")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "printed\n", "")
    assert tlc("run", "model.tl").exit_code == 0
    assert calls == [(MODULE, "model.tl", ["a b", "--", "--strict", "-h"]), (MODULE, "model.tl", [])]


def test_run_refuses_arguments_without_the_dashes(folder: Path, tlc: Tlc) -> None:
    put("model.tl")
    result = tlc("run", "model.tl", "more")
    assert result.exit_code == 2
    assert "Usage: tlc run [OPTIONS] FILE [-- ARGS...]" in result.stderr
    assert "unexpected extra argument" in result.stderr


def test_run_ends_with_the_script_s_status(folder: Path, tlc: Tlc, script: Callable[..., None]) -> None:
    script(lambda *_: 130)
    put("model.tl")
    assert tlc("run", "model.tl").exit_code == 130


def test_run_does_not_run_a_wrong_program(folder: Path, tlc: Tlc, script: Callable[..., None]) -> None:
    ran: list[str] = []
    script(lambda *_: ran.append("ran"))
    put("model.tl", "wrong")
    result = tlc("run", "model.tl")
    assert (result.exit_code, result.stdout, ran) == (1, "", [])
    assert result.stderr.startswith("error[TL1001]: no name `wrong`\n")


def test_run_shows_a_run_time_error(folder: Path, tlc: Tlc, script: Callable[..., None]) -> None:
    def run(*_: object) -> int:
        raise BoundaryError("TL5001", "`x` has 3 rows", where="model.tl:4", notes=["N is 2"], helps=["pass 2"])

    script(run)
    put("model.tl")
    result = tlc("run", "model.tl")
    assert result.exit_code == 1
    assert result.stderr == ("error[TL5001]: `x` has 3 rows\n  --> model.tl:4\n   = note: N is 2\n   = help: pass 2\n")


# --- explain


@pytest.mark.parametrize("code", ["TL3001", "tl3001", "3001"])
def test_explain_prints_a_page(tlc: Tlc, code: str) -> None:
    result = tlc("explain", code)
    assert (result.exit_code, result.stderr) == (0, "")
    title, _, rest = result.stdout.partition("\n\n")
    explanation, _, example = rest.partition("\n\nExample:\n\n")
    assert title == "TL3001: the inner dims of `@` differ"
    assert explanation
    assert max(map(len, explanation.splitlines())) <= 80
    assert example.startswith("    fn layer(")


def test_explain_lists_all_codes(tlc: Tlc) -> None:
    result = tlc("explain")
    assert result.exit_code == 0
    assert "\n\nTL3  shapes\n  TL3001  the inner dims of `@` differ\n" in result.stdout


def test_explain_lists_a_family(tlc: Tlc) -> None:
    lines = tlc("explain", "TL5").stdout.splitlines()
    assert lines[0] == "TL5  the run-time boundary"
    assert all(line.startswith("  TL5") for line in lines[1:])


def test_explain_names_the_nearest_codes(tlc: Tlc) -> None:
    result = tlc("explain", "tl30011")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "there is no code tl30011. The nearest: " in result.stderr
    assert "TL3001" in result.stderr
    assert tlc("explain", "").exit_code == 0
    assert "The nearest" not in tlc("explain", "nonsense").stderr
