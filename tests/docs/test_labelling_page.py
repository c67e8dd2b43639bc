"""The page on labelling: its code prints what it says, its table is the paradigm's, its page is what is shown."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

import pytest

from sevenfold.cli._boundary import run_guarded
from sevenfold.recipes import PARADIGMS

PAGE = Path(__file__).parents[2] / "docs" / "labelling.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(), flags=re.M | re.S)


def test_the_pages_code_prints_what_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = blocks("python")
    exec(compile(code, str(PAGE), "exec"), {})
    assert capsys.readouterr().out == blocks("text")[-1]


def test_the_question_looks_as_it_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = tmp_path / "answers.jsonl"
    answers.write_text(next(block for block in blocks("") if block.startswith("{")))
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    monkeypatch.setenv("COLUMNS", "80")
    assert run_guarded(["label", str(answers), "--out", str(tmp_path / "a.jsonl"), "--labeller", "a"]) == 0
    assert capsys.readouterr().err == blocks("text")[0]


def test_the_tables_are_those_of_the_paradigm() -> None:
    """Both are written by hand from one measurement."""
    said = " ".join(PARADIGMS["label-noise"].help.split())
    rows = re.findall(r"^\| (?!share|---|\|)(.*) \|$", PAGE.read_text(), flags=re.M)
    assert len(rows) == 12
    for row in rows:
        for figure in re.findall(r"\d+\.\d \(\d\.\d\)", row):
            assert re.sub(r" +", " ", figure) in said, (row, figure)
