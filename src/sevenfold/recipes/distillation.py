"""A small network that is taught by a larger one on 8x8 handwritten digits."""

from __future__ import annotations

from sevenfold.recipes._catalogue import recipe
from sevenfold.runs.recipe import DataChoice, ModelChoice, Objective, Optimizer, Recipe


@recipe
def distilled_digits() -> Recipe:
    """A perceptron with two hidden layers of 8 units, taught by a wide ResNet, which is trained first.

    Without its teacher: --set objective.teacher=none.

    Command:  sevenfold train distilled-digits
    Hardware: one core of a Xeon at 2.8 GHz
    Time:     not measured
    Result:   not measured
    """
    return Recipe(
        name="distilled-digits",
        task="classification",
        model=ModelChoice(name="mlp-small", settings={"width": 8}),
        data=DataChoice(name="digits"),
        objective=Objective(teacher="recipe:wide-resnet-digits", temperature=4.0, teacher_share=0.9),
        optimizer=Optimizer(name="adamw", lr=3e-3),
        batch_size=64,
        steps=1000,
        evaluate_every=250,
        threads=1,
    )
