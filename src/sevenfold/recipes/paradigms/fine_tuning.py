"""Pre-trained without labels, then trained on a few."""

from __future__ import annotations

from sevenfold.recipes._paradigms import Bench, paradigm
from sevenfold.recipes.paradigms._measuring import figure
from sevenfold.runs.recipe import DataChoice, ModelChoice, Optimizer, Recipe

_TENTH = {"data.fraction": 0.1}
_RESIDUAL = Recipe(
    name="fine-tuning-residual",
    task="classification",
    model=ModelChoice(name="resnet-small", settings={"block": "basic"}),  # the encoder of contrastive-digits
    data=DataChoice(name="digits"),
    optimizer=Optimizer(name="adamw", lr=1e-3),
    batch_size=64,
    steps=200,
    threads=1,
)


@paradigm()
def fine_tuning(bench: Bench) -> dict[str, float]:
    """Pre-trained without labels, then trained on a tenth of them: two networks, each against starting anew.

    Pre-training sees the pictures of all 1,079 training digits: a residual network by contrast of random views
    (``contrastive-digits``), a small convolutional one by telling how far a digit is turned (``rotated-digits``).
    All layers but the last are taken. With pre-training and without it, each is then trained on the same 108
    labelled digits with the same steps and settings; ``whole`` is without pre-training on all 1,079 labels.

    Command:  sevenfold paradigms run fine-tuning
    Hardware: one core of a Xeon at 2.8 GHz
    Time:     not measured yet
    Result:   not measured yet
    """
    contrasted = bench.train("contrastive-digits").id + "/encoder"
    turned = bench.train("rotated-digits").id
    wide = {"model.width": 48}
    found = {
        "residual_scratch": bench.train(_RESIDUAL, _TENTH),
        "residual_contrasted": bench.train(_RESIDUAL, _TENTH | {"start": contrasted}),
        "residual_whole": bench.train(_RESIDUAL),
        "small_scratch": bench.train("digits-cnn", _TENTH | wide),
        "small_turned": bench.train("digits-cnn", _TENTH | wide | {"start": turned}),
        "small_whole": bench.train("digits-cnn", wide),
    }
    return {f"{name}_accuracy": figure(record, "test_accuracy") for name, record in found.items()}
