"""Imports that a golden file cannot show: walls, links, files that are no text."""

from __future__ import annotations

from pathlib import Path

import pytest

from tensorlogic.compiler import driver
from tensorlogic.compiler.diagnostics import CompileError, Diagnostic

PLAIN = driver.Options()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project's root, with a file outside of it."""
    root = tmp_path / "project"
    (root / "parts").mkdir(parents=True)
    (tmp_path / "outside.tl").write_text("const SECRET = 1\n", encoding="utf-8")
    (root / "parts" / "inside.tl").write_text("const A = 1\n", encoding="utf-8")
    return root


def told(root: Path, text: str, options: driver.Options = PLAIN) -> list[Diagnostic]:
    path = root / "program.tl"
    path.write_text(text, encoding="utf-8")
    return driver.check_file(path, options)


@pytest.mark.parametrize("target", ["../outside.tl", "parts/../../outside.tl", "{parent}/outside.tl"])
def test_a_path_does_not_leave_the_root(project: Path, target: str) -> None:
    written = target.format(parent=project.parent)
    (found,) = told(project, f'import "{written}" as other\n')
    assert found.code == "TL1007"
    assert f'"{written}" leaves' in found.message
    assert any("--root" in help_ for help_ in found.helps)


def test_a_link_does_not_leave_the_root(project: Path) -> None:
    (project / "link.tl").symlink_to(project.parent / "outside.tl")
    (project / "folder").symlink_to(project.parent)
    assert [d.code for d in told(project, 'import "link.tl" as other\n')] == ["TL1007"]
    assert [d.code for d in told(project, 'import "folder/outside.tl" as other\n')] == ["TL1007"]


def test_a_link_inside_the_root_is_the_file(project: Path) -> None:
    (project / "link.tl").symlink_to(project / "parts" / "inside.tl")
    text = 'from "link.tl" import A\nfrom "parts/inside.tl" import A as B\nprint(A + B)\n'
    assert told(project, text) == []


def test_the_root_may_be_given(project: Path) -> None:
    options = driver.Options(root=project.parent)
    assert told(project, 'from "../outside.tl" import SECRET\nprint(SECRET)\n', options) == []


def test_an_imported_file_has_the_same_root(project: Path) -> None:
    (project / "parts" / "reaches.tl").write_text('import "../../outside.tl" as other\n', encoding="utf-8")
    (found,) = told(project, 'import "parts/reaches.tl" as reaches\n')
    assert found.code == "TL1007"
    assert found.span is not None
    assert found.span.source.name.endswith("reaches.tl")


def test_an_imported_file_may_go_back_inside_the_root(project: Path) -> None:
    (project / "top.tl").write_text("const TOP = 1\n", encoding="utf-8")
    (project / "parts" / "back.tl").write_text('from "../top.tl" import TOP\nconst B = TOP\n', encoding="utf-8")
    assert told(project, 'from "parts/back.tl" import B\nprint(B)\n') == []


def test_a_file_that_is_no_text(project: Path) -> None:
    (project / "bytes.tl").write_bytes(b"let x = \xff\xfe\n")
    (found,) = told(project, 'import "bytes.tl" as other\nprint(other.x)\n')
    assert found.code == "TL1005"
    assert "UTF-8" in found.message


def test_an_entry_that_is_no_text_or_is_not_there(project: Path) -> None:
    (project / "bytes.tl").write_bytes(b"\xff")
    assert [d.code for d in driver.check_file(project / "bytes.tl")] == ["TL1005"]
    assert [d.code for d in driver.check_file(project / "nowhere.tl")] == ["TL1005"]
    assert [d.code for d in driver.check_file(project / "parts")] == ["TL1005"]


def test_a_file_that_two_import_is_checked_once(project: Path) -> None:
    wrong = "fn f(a: float16[N], b: float32[N]) -> float16[N] { return a + b }\n"
    (project / "wrong.tl").write_text(wrong, encoding="utf-8")
    (project / "one.tl").write_text('from "wrong.tl" import f\n', encoding="utf-8")
    (project / "two.tl").write_text('from "wrong.tl" import f\n', encoding="utf-8")
    assert [d.code for d in told(project, 'import "one.tl" as one\nimport "two.tl" as two\n')] == ["TL2002"]


def test_a_text_without_a_file_imports_no_files() -> None:
    with pytest.raises(CompileError) as wrong:
        driver.compile_text('import "other.tl" as other\n')
    assert [d.code for d in wrong.value.diagnostics] == ["TL1007"]


def test_a_longer_cycle_is_printed_whole(project: Path) -> None:
    for name, target in (("a", "b"), ("b", "c"), ("c", "a")):
        (project / f"{name}.tl").write_text(f'import "{target}.tl" as next\n', encoding="utf-8")
    (found,) = told(project, 'import "a.tl" as a\n')
    assert found.code == "TL1006"
    names = [Path(part).name for part in found.message.partition(": ")[2].split(" -> ")]
    assert names == ["a.tl", "b.tl", "c.tl", "a.tl"]
