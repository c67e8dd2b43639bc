"""Classifier-free guidance on the digits, and at its paper's size."""

from __future__ import annotations

from sevenfold.recipes._catalogue import recipe
from sevenfold.runs.recipe import DataChoice, ModelChoice, Optimizer, Recipe, Schedule


@recipe
def classifier_free_digits() -> Recipe:
    """One network that is told the digit, or a tenth of the time is not; the difference is followed twice as far.

    Command:  sevenfold train classifier-free-digits
    Hardware: one core
    Time:     not measured
    Result:   not measured
    """
    return Recipe(
        name="classifier-free-digits",
        task="generation",
        model=ModelChoice(name="classifier-free-small"),
        data=DataChoice(name="digits", settings={"condition": "class"}),
        optimizer=Optimizer(name="adamw", lr=2e-3, weight_decay=0.0),
        schedule=Schedule(warmup_fraction=0.05),
        batch_size=32,
        steps=300,
        evaluate_every=300,
        threads=1,
    )


@recipe(paper=True)
def classifier_free_imagenet() -> Recipe:
    """Classifier-free guidance on ImageNet at 64x64.

    Needs ILSVRC/imagenet-1k, which is not in the package. Steps, batch and learning rate are those of guided
    diffusion, of which the paper says that it takes its settings; times are a thousand steps and not continuous.

    Command:  sevenfold train classifier-free-imagenet
    Hardware: accelerators
    Time:     not measured
    Result:   not measured
    """
    return Recipe(
        name="classifier-free-imagenet",
        task="generation",
        model=ModelChoice(name="classifier-free-64"),
        data=DataChoice(
            name="hugging-face:ILSVRC/imagenet-1k",
            settings={"size": 64, "test": "validation", "validation_share": 0.01, "condition": "class"},
        ),
        optimizer=Optimizer(name="adamw", lr=1e-4, weight_decay=0.0, clip_norm=None),
        schedule=Schedule(name="constant", warmup_fraction=0.0),
        batch_size=256,
        steps=1_940_000,
        precision="bf16",
        evaluate_every=20_000,
        threads=0,
    )
