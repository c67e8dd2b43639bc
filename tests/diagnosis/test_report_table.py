"""The report in a terminal: seven aligned rows that fit, plain letters where needed, colours only where wanted."""

from __future__ import annotations

import io

import example_verdicts
import pytest
from rich.console import Console

from sevenfold.diagnosis.report.glossary import SHORT_TITLES
from sevenfold.diagnosis.report.table import render, render_plain
from sevenfold.diagnosis.result import CONSTRAINTS, Diagnosis

WORTH = "worth, nats (95%)"


def table_lines(diagnosis: Diagnosis, width: int) -> list[str]:
    """The table's lines: the header and seven rows."""
    lines = render_plain(diagnosis, width).splitlines()
    start = next(number for number, line in enumerate(lines) if "constraint" in line and "P(best)" in line)
    return lines[start : start + 8]


@pytest.mark.parametrize("name", [name for name in example_verdicts.ALL if name != "hostile"])
@pytest.mark.parametrize("width", [120, 100, 80])
def test_seven_rows_fit(name: str, width: int) -> None:
    diagnosis = example_verdicts.ALL[name]()
    text = render_plain(diagnosis, width)
    assert max(len(line) for line in text.splitlines()) <= width
    header, *rows = table_lines(diagnosis, width)
    assert header.split()[0] == "constraint"
    for row, constraint in zip(rows, CONSTRAINTS, strict=True):
        assert SHORT_TITLES[constraint] in row
        assert diagnosis.constraints[constraint].method in row  # nothing is cut off at the right
        assert ("▸" in row or ">" in row[:2]) == (constraint in diagnosis.binding)
    assert "…" not in header


@pytest.mark.parametrize("width", [100, 80])
def test_numbers_line_up_at_the_decimal_point(width: int) -> None:
    header, *rows = table_lines(example_verdicts.data_binds(), width)
    start = header.index("worth")
    assert len({row.index(".", start) for row in rows}) == 1
    assert "0.023 ± 0.006" in rows[0]
    assert "-0.002 ± 0.005" in rows[3]


def test_limit_and_usage_at_100_columns_and_slack_alone_at_80() -> None:
    diagnosis = example_verdicts.data_binds()
    assert table_lines(diagnosis, 100)[0].split()[:4] == ["constraint", "limit", "usage", "slack"]
    assert "16.8 GFLOP/s" in table_lines(diagnosis, 100)[6]
    assert table_lines(diagnosis, 80)[0].split()[:3] == ["constraint", "slack", "worth,"]
    assert "66%" in table_lines(diagnosis, 80)[6]


def test_says_the_sentence_the_advice_and_the_budget() -> None:
    diagnosis = example_verdicts.data_binds()
    text = render_plain(diagnosis)
    words = " ".join(text.split())
    assert words.startswith(diagnosis.sentence)
    assert "sevenfold train digits-cnn --set steps=800" in words
    assert "0.012 ± 0.004 nats lower, at no extra resource; on the test split 0.010 ± 0.005" in words
    assert words.index("1. free") < words.index("2. buy") < words.index("3. buy")
    assert "64 runs (3 reused) in 2 min 51 s of 4 min; one baseline run takes 4.1 s." in words
    assert "◇ modelled: rests on a model of the chip, not on a meter" in words


def test_rows_without_a_number_say_why() -> None:
    words = " ".join(render_plain(example_verdicts.troubled()).split())
    assert "parameters: the model takes no width" in words
    assert "efficiency: the calibration of this machine failed" in words
    assert "Not reached: compute: 800 steps, energy." in words
    assert "Note: only 2 of 3 seeds finished for data.fraction=0.25" in words


def test_an_amount_that_is_not_active_says_what_its_price_would_be() -> None:
    words = " ".join(render_plain(example_verdicts.data_binds()).split())
    assert "energy: no joule limit was stated, so energy cannot bind" in words


def test_markup_and_control_characters_are_shown_not_obeyed() -> None:
    base = example_verdicts.data_binds()
    diagnosis = base.model_copy(update={"sentence": "[red]bold[/red] \x1b[31mred\x1b[0m :smile:"})
    text = render_plain(diagnosis)
    assert "[red]bold[/red]" in text
    assert ":smile:" in text
    assert "\x1b" not in text


def written(diagnosis: Diagnosis, **settings: object) -> str:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=str(settings.pop("encoding", "utf-8")))
    Console(file=stream, width=100, highlight=False, legacy_windows=False, **settings).print(render(diagnosis))  # type: ignore[arg-type]
    stream.flush()
    return stream.buffer.getvalue().decode(stream.encoding)  # type: ignore[attr-defined]


def test_no_color_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    coloured = written(example_verdicts.data_binds(), force_terminal=True, color_system="standard")
    assert "\x1b[34m" in coloured  # blue
    monkeypatch.setenv("NO_COLOR", "1")
    plain = written(example_verdicts.data_binds(), force_terminal=True, color_system="standard")
    assert not any(f"\x1b[{code}m" in plain for code in (*range(30, 38), *range(90, 98)))


@pytest.mark.parametrize("name", example_verdicts.ALL)
def test_a_terminal_without_unicode_gets_plain_letters(name: str) -> None:
    text = written(example_verdicts.ALL[name](), encoding="ascii")
    assert text.isascii()
    if name == "data_binds":
        assert "0.023 +/- 0.006" in text
        assert "~ predicted" in text
