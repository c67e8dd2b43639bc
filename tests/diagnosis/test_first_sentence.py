"""The first sentence claims a floor only where everything was looked at, and no verdict where nothing was."""

from __future__ import annotations

import example_verdicts

from sevenfold.diagnosis.advice import sentence


def test_nothing_measured_is_no_verdict() -> None:
    rows = {
        name: row.model_copy(
            update={"shadow_price": None, "headroom": None, "interval": None, "method": "not reached"}
        )
        for name, row in example_verdicts.nothing_binds().constraints.items()
    }
    said = sentence([], rows, [], 0.001, ["data, compute not reached within the budget"])
    assert said == "No verdict: no effect was measured (data, compute not reached within the budget)."


def test_the_floor_is_claimed_only_where_every_row_was_looked_at() -> None:
    whole = example_verdicts.nothing_binds().constraints
    assert sentence([], whole, [], 0.001).startswith("Nothing binds at this size: the recipe is at its floor")
    lost = whole["compute"].model_copy(update={"shadow_price": None, "interval": None, "method": "failed"})
    said = sentence([], {**whole, "compute": lost}, [], 0.001, ["compute failed"])
    assert said.startswith("Nothing that was measured binds (no effect is surely above 0.0010 nats; the largest, ")
    assert said.endswith(") (compute failed).")
    refused = whole["architecture"].model_copy(update={"headroom": None, "interval": None, "method": "unavailable"})
    assert "at its floor" in sentence([], {**whole, "architecture": refused}, [], 0.001)
