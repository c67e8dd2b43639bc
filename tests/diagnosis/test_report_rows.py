"""What the report says: texts of rows and advice, sweeps, provenance, typesetting, and the signed logarithm."""

from __future__ import annotations

import json
import math

import example_verdicts
import pytest
from example_diagnosis import effect
from hypothesis import given
from hypothesis import strategies as st

from sevenfold.diagnosis.report.figures import effects_figure, scaling_figures, settings_figures
from sevenfold.diagnosis.report.figures._figure import SignedLog, log_axis
from sevenfold.diagnosis.report.figures.curves import mean_curve
from sevenfold.diagnosis.report.provenance import provenance_tables
from sevenfold.diagnosis.report.rows import advice_parts, command_for, rows_of
from sevenfold.diagnosis.report.sweeps import sweeps_of
from sevenfold.diagnosis.report.typesetting import prose
from sevenfold.diagnosis.result import Advice, Diagnosis
from sevenfold.diagnosis.showing import ranked_effect


def test_states_and_reliefs() -> None:
    rows = {row.name: row for row in rows_of(example_verdicts.data_binds())}
    assert {name: row.state for name, row in rows.items()} == {
        "data": "binding", "parameters": "quiet", "optimization": "significant", "architecture": "quiet",
        "compute": "significant", "efficiency": "quiet", "energy": "quiet",
    }  # fmt: skip
    assert rows["data"].relief == "if doubled"
    assert rows["optimization"].relief == "at the best setting"
    assert rows["efficiency"].relief == "at the bound, ×3"
    assert rows["energy"].relief == "if doubled, were it active"  # a price that would be, complementary slackness


def test_the_ranked_effect_of_a_lever_with_an_amount_is_the_one_of_its_interval() -> None:
    row = example_verdicts.data_binds().constraints["parameters"]
    price, headroom = effect(0.02, 0.01), effect(0.05, 0.02)
    both = row.model_copy(update={"shadow_price": price, "headroom": headroom, "interval": [price.low, price.high]})
    assert ranked_effect(both) is price
    assert ranked_effect(both.model_copy(update={"interval": [headroom.low, headroom.high]})) is headroom


def test_a_slack_that_is_a_share_is_said_once() -> None:
    base = example_verdicts.data_binds()
    row = base.constraints["parameters"]
    assert row.slack is not None
    left = row.model_copy(update={"slack": row.slack.model_copy(update={"text": "100% left"})})
    changed = base.model_copy(update={"constraints": {**base.constraints, "parameters": left}})
    assert rows_of(changed)[1].slack == ">99% left"
    assert rows_of(base)[1].slack == "2.1 G parameters (>99%)"


def test_commands_quote_and_follow_the_diagnosis() -> None:
    diagnosis = example_verdicts.data_binds()
    assert command_for(diagnosis, "--set steps=800") == "sevenfold train digits-cnn --set steps=800"
    assert command_for(diagnosis, None) is None
    spaced = diagnosis.model_copy(update={"recipe_name": "my recipe.py:r"})
    assert command_for(spaced, "--set steps=8") == "sevenfold train 'my recipe.py:r' --set steps=8"
    kept = diagnosis.model_copy(update={"provenance": {"train_command": "sevenfold train digits-cnn --set seed=3"}})
    assert command_for(kept, "--set steps=8") == "sevenfold train digits-cnn --set seed=3 --set steps=8"
    custom = diagnosis.model_copy(update={"recipe": {"model": {"name": "custom/0123456789ab"}}})
    assert command_for(custom, "--set steps=8") is None


def test_advice_does_not_say_its_gain_twice() -> None:
    gain = effect(0.06, 0.01)

    def advice(text: str) -> Advice:
        return Advice(
            constraint="data",
            kind="buy",
            text=text,
            change=None,
            gain=gain,
            test_gain=effect(0.05, 0.02),
            evidence=[],
        )

    assert advice_parts(advice("doubling the training set: 0.060 ± 0.010 nats lower, predicted")) == (
        "Doubling the training set", "0.060 ± 0.010 nats lower, predicted; on the test split 0.05 ± 0.02",
    )  # fmt: skip
    assert advice_parts(advice("collect more"))[1] == "0.060 ± 0.010 nats lower; on the test split 0.05 ± 0.02"
    assert advice_parts(advice("--set a=1 --set b=2: 0.060 ± 0.010 nats lower"))[0] == "Set a=1 and b=2"


def test_sweeps_have_the_recipe_and_the_laws_unit() -> None:
    base = example_verdicts.data_binds()
    data = base.constraints["data"]
    assert data.fit is not None
    amounts = data.fit.model_copy(update={"x": [x * 1078 for x in data.fit.x], "x_label": "examples"})
    relative = [point for point in data.points if point.setting != "1"]  # as shares, without the recipe itself
    changed = data.model_copy(update={"fit": amounts, "points": relative})
    sweep = sweeps_of(base.model_copy(update={"constraints": {**base.constraints, "data": changed}}))[0]
    assert [dot.x for dot in sweep.dots] == pytest.approx([269.5, 539, 1078])
    assert [dot.is_baseline for dot in sweep.dots] == [False, False, True]
    assert sweep.dots[2].point.loss == base.baseline_loss.value
    rates = next(one for one in sweeps_of(base) if one.lever == "optimizer.lr")
    assert [dot.x for dot in rates.dots if dot.is_baseline] == [0.001]
    assert rates.fit is None


def test_failed_points_are_in_no_chart() -> None:
    diagnosis = example_verdicts.troubled()
    failed = [point for row in diagnosis.constraints.values() for point in row.points if point.failed]
    assert failed
    for figure in (*scaling_figures(diagnosis), *settings_figures(diagnosis)):
        assert "NaN" not in json.dumps(figure.data)


def test_the_line_of_the_smallest_effect_is_where_it_counts() -> None:
    for builder in (example_verdicts.data_binds, example_verdicts.huge, example_verdicts.tiny):
        diagnosis = builder()
        figure = effects_figure(diagnosis)
        assert figure is not None
        low, high = figure.layout["xaxis"]["range"]
        line = figure.layout["shapes"][1]["x0"]
        assert 0.03 <= (line - low) / (high - low) <= 0.97  # seen, on every scale
        wide = figure.data[1]
        ends = [v + e for v, e in zip(wide["x"], wide["error_x"]["array"], strict=True)]
        assert max(ends) <= high
        assert wide["x"] == sorted(wide["x"], reverse=True)


@given(unit=st.floats(1e-6, 1e4), value=st.floats(-1e8, 1e8))
def test_signed_log_is_odd_monotone_and_linear_near_zero(unit: float, value: float) -> None:
    scale = SignedLog(unit)
    assert scale(-value) == -scale(value)
    assert scale(value + unit) > scale(value)
    assert scale(0.001 * unit) == pytest.approx(0.001, rel=1e-5)
    positions, texts = scale.ticks(-abs(value), abs(value))
    assert positions == sorted(positions)
    assert len(positions) == len(texts) == len(set(texts)) <= 13


@given(low=st.floats(1e-6, 1e3), ratio=st.floats(1.5, 1e9))
def test_log_axes_have_few_ticks_inside(low: float, ratio: float) -> None:
    made = log_axis("x", low, low * ratio)
    assert len(made["tickvals"]) <= 9
    assert all(low <= tick <= low * ratio for tick in made["tickvals"])
    assert len(set(made["ticktext"])) == len(made["ticktext"])


def test_mean_curve_covers_what_all_curves_cover() -> None:
    steps, mean = mean_curve([([0, 10, 20], [2.0, 1.0, 0.0]), ([10, 20, 30], [3.0, 2.0, 1.0])], smooth=False)
    assert steps == [10, 20]
    assert mean == pytest.approx([2.0, 1.0])
    assert mean_curve([([0, 1], [1.0, 1.0]), ([5, 6], [1.0, 1.0])], smooth=False) == ([], [])
    flat = mean_curve([(list(range(100)), [1.5] * 100)], smooth=True)[1]
    assert flat == pytest.approx([1.5] * 100)  # smoothing keeps the ends


def test_provenance_reads_units_out_of_names() -> None:
    diagnosis: Diagnosis = example_verdicts.data_binds().model_copy(
        update={
            "provenance": {
                "machine": {
                    "memory_bytes": 8e9,
                    "peak_flops_per_s": 9.2e10,
                    "is_virtual": True,
                    "cores": 2,
                    "none": None,
                },
                "seeds": [0, 1],
            }
        }
    )
    tables = dict(provenance_tables(diagnosis))
    machine = {entry.label: entry.value for entry in tables["Machine"]}
    assert machine == {"memory": "8 GB", "peak": "92 GFLOP/s", "is virtual": "yes", "cores": "2"}
    own = {entry.label: entry.value for entry in tables["This diagnosis"]}
    assert own["seeds"] == "0, 1"
    assert {entry.label: entry.value for entry in tables["Recipe"]}["optimizer.lr"] == "0.001"


def test_prose_escapes_before_it_marks_up() -> None:
    assert str(prose("`<b>` and --set a=<i>")) == (
        '<code>&lt;b&gt;</code> and <code class="flag">--set\u00a0a=&lt;i&gt;</code>'
    )
    assert str(prose("fell by -0.5 at x^-2")) == "Fell by −0.5 at x<sup>−2</sup>"


def test_texts_are_finite_whatever_the_scale() -> None:
    for builder in example_verdicts.ALL.values():
        for row in rows_of(builder()):
            assert "nan" not in row.worth_text
            assert row.worth is None or math.isfinite(row.worth.value)


def test_a_change_of_what_the_person_set_replaces_it() -> None:
    base = example_verdicts.data_binds()
    told = base.model_copy(
        update={"provenance": {"train_command": "sevenfold train digits-cnn --set steps=150 --set seed=3"}}
    )
    command = command_for(told, "--set steps=300 --set optimizer.lr=0.1")
    assert command == "sevenfold train digits-cnn --set steps=300 --set seed=3 --set optimizer.lr=0.1"
