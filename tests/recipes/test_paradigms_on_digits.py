"""What the paradigms on digits measure, on networks trained for a few steps: the rules, not the results."""

from __future__ import annotations

import numpy as np
import pytest

from sevenfold.recipes import PARADIGMS, Bench
from sevenfold.recipes.paradigms.chaining import chosen_threshold
from sevenfold.training import train_run
from sevenfold.training.trained import trained_workload

FEW = {"steps": 5, "evaluate_examples": 20, "evaluate_every": 100}


@pytest.fixture
def bench(home):
    """A bench that trains for a few steps only, and remembers what it was asked."""
    asked = []

    def trainer(recipe):
        asked.append(recipe)
        return train_run(recipe.with_changes(FEW))

    return Bench(1, trainer, lambda run: trained_workload(run)[1]), asked


def test_the_threshold_is_the_least_that_is_as_good_as_the_second():
    draw = np.random.default_rng(0)
    for _ in range(20):
        sure, first, second = draw.random(30), draw.random(30) < 0.7, draw.random(30) < 0.8
        threshold = chosen_threshold(sure, first, second)

        def right(at, sure=sure, first=first, second=second):
            return np.where(sure < at, second, first).sum()

        assert right(threshold) >= second.sum()
        assert all(right(lower) < second.sum() for lower in (0.0, *sure) if lower < threshold)


def test_a_chain_costs_what_it_passes_on(bench):
    found = PARADIGMS["chaining"].measure(bench[0])
    assert found["first_macs"] == 64 * 16 + 16 * 10
    assert found["chain_macs"] == pytest.approx(found["first_macs"] + found["passed_on"] * found["second_macs"])
    low, high = sorted((found["first_accuracy"], found["second_accuracy"]))
    assert low <= found["random_accuracy"] <= high


def test_members_of_an_ensemble_differ_in_seed_and_share_the_data(bench):
    found = PARADIGMS["ensembling"].measure(bench[0])
    recipes = bench[1]
    assert [recipe.seed for recipe in recipes] == [5, 6, 7, 8, 9, 1] * 2
    assert len({(str(recipe.data), str(recipe.model)) for recipe in recipes}) == 4  # many and few, small and large
    # The mean of probabilities cannot be likelier to be far off than its members on average (Jensen).
    for data in ("many", "few"):
        assert found[f"{data}_ensemble_nll"] <= found[f"{data}_single_nll"]


def test_fine_tuning_begins_where_the_other_ended_and_sees_the_same_labels(bench):
    PARADIGMS["fine-tuning"].measure(bench[0])
    contrasted, turned, *trained = bench[1]
    assert (contrasted.task, turned.task) == ("contrastive", "regression")
    for before, part, (scratch, tuned, whole) in ((contrasted, "/encoder", trained[:3]), (turned, "", trained[3:])):
        assert tuned.start == before.with_changes(FEW).run_id() + part
        assert tuned.with_changes({"start": None}) == scratch
        assert scratch.with_changes({"data.fraction": 1.0}) == whole
        assert (scratch.data.fraction, scratch.start) == (0.1, None)


def test_errors_of_regression_are_in_degrees(bench):
    found = PARADIGMS["regression"].measure(bench[0])
    assert found["mean_degrees"] == pytest.approx(45 / 3**0.5, abs=0.5)
    assert found["ridge_degrees"] < found["mean_degrees"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["anomaly-detection", "clustering", "dimensionality-reduction"])
def test_figures_without_labels_are_shares(bench, name):
    found = PARADIGMS[name].measure(bench[0])
    assert all(-0.1 <= value <= 1 for value in found.values())
    assert {one.metric for one in PARADIGMS[name].measured} <= found.keys()
    if name == "anomaly-detection":
        assert [recipe.data.settings["without"] for recipe in bench[1]] == list(range(10))
        assert found["vae_error"] == pytest.approx(np.mean([found[f"vae_error_{digit}"] for digit in range(10)]))
