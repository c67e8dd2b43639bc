"""docs/reading-a-report.md says what the program does: its example, its constraints, its marks."""

from __future__ import annotations

from pathlib import Path

import example_verdicts

from sevenfold.diagnosis.report.glossary import METHODS
from sevenfold.diagnosis.report.table import render_plain
from sevenfold.diagnosis.result import CONSTRAINTS, HARD, TITLES

PAGE = (Path(__file__).parents[2] / "docs" / "reading-a-report.md").read_text("utf-8")


def test_the_example_is_what_the_terminal_shows() -> None:
    shown = PAGE.split("```\n")[1]
    assert shown.strip("\n") == render_plain(example_verdicts.data_binds(), 100).strip("\n")


def test_every_constraint_and_every_method_has_its_line() -> None:
    for name in CONSTRAINTS:
        assert f"| {TITLES[name]} | {'hard' if name in HARD else 'lever'} |" in PAGE
    for method, meaning in METHODS.items():
        assert f"| {meaning.bounds} | {method} |" in PAGE


def test_the_numbers_of_the_worked_problem_are_the_examples() -> None:
    diagnosis = example_verdicts.data_binds()
    lever = diagnosis.constraints["optimization"].headroom
    price = diagnosis.constraints["data"].shadow_price
    assert lever is not None
    assert price is not None
    assert f"{diagnosis.baseline_loss.value - lever.value:.3f}" == "0.106"
    assert 0.18 < price.value / diagnosis.baseline_loss.value < 0.22  # "about a fifth of the loss"
    assert diagnosis.recipe["steps"] == 400
    assert round(2 * 400 * 64 / 1078, 0) == 47  # "47 epochs"
