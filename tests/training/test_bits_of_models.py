"""A finished run tells bits per dimension where the model speaks of the levels of the data, and else none."""

from __future__ import annotations

from sevenfold.layers.pixel_outputs import pixel_output
from sevenfold.recipes import recipe_from
from sevenfold.training import train_run

TOLD = {
    "": True,
    "model.output=bernoulli": False,
    "model.output=shared-gaussian": False,
    "model.levels=256": False,
}


def test_bits_are_told_of_the_datas_levels_alone():
    """Digits have 17 levels: two, or 256, or a density say nothing of them, and the run ends all the same."""
    told = {}
    for change in TOLD:
        changes = {"steps": 1, "batch_size": 4, "evaluate_examples": 8} | dict(
            [change.split("=")] if change else []
        )
        summary = train_run(recipe_from("vae-digits", changes)).summary
        assert summary["sample_frechet"] is not None
        told[change] = summary.get("test_bits_per_dimension") is not None
    assert told == TOLD


def test_an_output_speaks_of_its_own_levels():
    assert pixel_output("logistic", 17).speaks_of(17)
    assert not pixel_output("logistic", 17).speaks_of(None)
    assert pixel_output("categorical", 256).speaks_of(None)
    assert not pixel_output("bernoulli", 256).speaks_of(None)
    assert not pixel_output("gaussian", 256).speaks_of(256)
