"""The first sentence and the advice: what binds, what to do, and no digit too many."""

from __future__ import annotations

import re

import pytest
from synthetic import FACTS, RECIPE, SyntheticRunner, World

from sevenfold.diagnosis.engine import diagnose_recipe
from sevenfold.diagnosis.result import Diagnosis


def diagnosed(world: World, **options: float) -> Diagnosis:
    return diagnose_recipe(RECIPE, FACTS, SyntheticRunner(world), **options)  # type: ignore[arg-type]


def test_one_name_with_its_worth_and_the_first_lever() -> None:
    found = diagnosed(World(data=0.4, decay_gain=0.05))
    assert found.binding == ["data"]
    pattern = (
        r"Data binds: doubling the training set would lower validation loss by 0\.\d+ ± 0\.\d+ nats "
        r"\(extrapolated by the fitted law\); first pull the optimization & regularization lever: "
        r"--set optimizer\.weight_decay=[\d.]+ gains 0\.\d+ ± 0\.\d+ nats\."
    )
    assert re.fullmatch(pattern, found.sentence), found.sentence


def test_a_lever_that_binds_is_named_once() -> None:
    found = diagnosed(World(decay_gain=0.1))
    assert found.sentence.startswith("Optimization & regularization binds: --set optimizer.weight_decay=")
    assert "first pull" not in found.sentence


def test_a_tie_is_told_as_one() -> None:
    found = diagnosed(World(architecture=0.08, decay_gain=0.08))
    assert set(found.binding) == {"architecture", "optimization"}
    assert "tie within the noise" in found.sentence


def test_at_the_floor() -> None:
    found = diagnosed(World(data=0, parameters=0, compute=0, architecture=0))
    assert found.binding == []
    assert found.sentence.startswith("Nothing binds at this size: the recipe is at its floor")
    assert found.advice == []


def test_a_larger_smallest_effect_is_a_higher_floor() -> None:
    world = World(decay_gain=0.05)
    assert diagnosed(world).binding == ["optimization"]
    assert diagnosed(world, min_effect=0.5).binding == []


def test_levers_come_before_purchases_and_the_largest_first() -> None:
    found = diagnosed(World(data=0.5, compute=0.3, architecture=0.05, decay_gain=0.1, noise_alone=0.001))
    order = [(one.kind, one.constraint) for one in found.advice]
    assert order[:4] == [("free", "optimization"), ("free", "architecture"), ("buy", "data"), ("buy", "compute")]
    for one in found.advice:
        assert one.evidence
        assert one.gain.simultaneous_low > 0
        if one.change:
            assert one.change in one.text
            assert one.test_gain is not None


@pytest.mark.parametrize("number", range(4))
def test_no_more_digits_than_the_interval_supports(number: int) -> None:
    found = diagnosed(World(data=0.3, number=number))
    shown = re.search(r"by (0\.\d+) ± (0\.\d+)", found.sentence)
    if shown is not None:  # a lopsided interval is written out
        value, half = shown.groups()
        assert len(value) == len(half)
        assert len(half.lstrip("0.")) <= 2
