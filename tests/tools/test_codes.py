"""Every diagnostic code has a page, and a page says what its module declares."""

from dataclasses import replace
from pathlib import Path

import pytest

from compiler.diagnostics import Code, Severity
from compiler.source.parse import GIT_LFS_POINTER
from tools import codes
from tools.codes import Declaration, Misdeclared, declarations_in, declared_codes, page_of, refuse_duplicates

FLAKY = Declaration(Code("flaky-thing", Severity.WARNING, "it | flakes", "Why it flakes."), "compiler/one.py", "FLAKY")


def test_codes_are_found_where_they_are_declared() -> None:
    found = {one.code.word: one for one in declared_codes()}
    assert found["git-lfs-pointer"] == Declaration(GIT_LFS_POINTER, "compiler/source/parse.py", "GIT_LFS_POINTER")
    assert list(found) == sorted(found)


def test_a_page_says_word_severity_summary_reason_and_place() -> None:
    page = page_of(FLAKY)
    assert "# `flaky-thing`\n" in page
    assert "**warning**: it | flakes.\n" in page
    assert "Why it flakes.\n" in page
    assert "severity:\n  flaky-thing: error\n" in page
    assert "(../../compiler/one.py) as `FLAKY`" in page


def test_a_code_that_no_setting_reaches_says_so() -> None:
    page = page_of(replace(FLAKY, file="compiler/source/tree.py"))
    assert "cannot be changed there" in page
    assert "severity:\n" not in page


def test_the_index_escapes_what_ends_a_cell() -> None:
    assert "| [`flaky-thing`](flaky-thing.md) | warning | it \\| flakes |" in codes.write_pages([FLAKY])[codes.INDEX]


def test_two_codes_of_one_word_are_refused() -> None:
    other = Declaration(FLAKY.code, "compiler/two.py", "OTHER")
    with pytest.raises(Misdeclared, match=r"compiler/two\.py: OTHER: 'flaky-thing' is declared in compiler/one\.py"):
        refuse_duplicates([FLAKY, other])


@pytest.mark.parametrize(
    "text", ["A = Code('a', 1, '', '')", "A: Final = Code('a', 1, '', '')", "A = diagnostics.Code('a', 1, '', '')"]
)
def test_a_constant_of_a_module_is_a_declaration(text: str) -> None:
    assert declarations_in(text, "one.py") == ("A",)


@pytest.mark.parametrize("text", ["def f():\n    return Code('a', 1, '', '')", "CODES = [Code('a', 1, '', '')]"])
def test_a_code_made_elsewhere_is_refused(text: str) -> None:
    with pytest.raises(Misdeclared, match=r"one\.py: a code is a constant of its module \(made in lines \d\)"):
        declarations_in(text, "one.py")


def test_a_folder_is_written_then_holds_then_is_stale(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(codes, "declared_codes", lambda: (FLAKY,))
    folder = tmp_path / "docs" / "codes"
    assert codes.main(str(folder), "--check") == 1
    assert codes.main(str(folder)) == 0
    assert codes.main(str(folder), "--check") == 0
    (folder / "gone.md").write_text("of a code that was removed")
    (folder / "flaky-thing.md").write_text("by hand")
    capsys.readouterr()
    assert codes.main(str(folder), "--check") == 1
    assert [line.partition(":")[0] for line in capsys.readouterr().out.splitlines()] == [
        str(folder / "flaky-thing.md"),
        str(folder / "gone.md"),
    ]
    assert codes.main(str(folder)) == 0
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "flaky-thing.md"]


def test_the_command_says_what_is_misdeclared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse() -> tuple[Declaration, ...]:
        raise Misdeclared("compiler/two.py: twice")

    monkeypatch.setattr(codes, "declared_codes", refuse)
    assert codes.main(str(tmp_path)) == 1
    assert capsys.readouterr().out == "compiler/two.py: twice\n"
