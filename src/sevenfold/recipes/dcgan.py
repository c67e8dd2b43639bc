"""DCGAN on 8x8 digits and on patches of photographs, and at its paper's size."""

from __future__ import annotations

from sevenfold.recipes._catalogue import Measured, recipe
from sevenfold.runs.recipe import DataChoice, ModelChoice, Optimizer, Recipe, Schedule


@recipe(measured=Measured("sample_frechet", 6, 0.68, slack=0.5))
def dcgan_digits() -> Recipe:
    """DCGAN on 8x8 handwritten digits.

    Command:  sevenfold train dcgan-digits
    Hardware: one core of a Xeon at 2.8 GHz
    Time:     21 s of CPU time on a busy machine
    Result:   Fréchet distance of the samples to the test digits 6.00 (mean of seeds 0 to 2, standard deviation
              0.68; real digits against real ones 1.33, pixels drawn one by one 22.0, the mean digit repeated
              133.7), precision 0.69, recall 0.79. Features and their distance are of the project's own digits
              classifier (96.1% right), not of Inception.
    """
    return Recipe(
        name="dcgan-digits",
        task="generation",
        model=ModelChoice(name="dcgan-digits"),
        data=DataChoice(name="digits"),
        optimizer=Optimizer(name="adam", lr=3e-4, beta1=0.5, weight_decay=0.0, clip_norm=None),
        schedule=Schedule(name="constant", warmup_fraction=0.0),
        batch_size=64,
        steps=800,
        evaluate_every=400,
        threads=1,
    )


@recipe(paper=True)
def dcgan_lsun() -> Recipe:
    """DCGAN at 64x64 pixels in the widths of the paper's figure 1, with the paper's optimizer.

    Needs LSUN bedrooms as images in one subfolder: folder:lsun-bedrooms, made 64 pixels a side as they are read.

    Command:  sevenfold train dcgan-lsun
    Hardware: any accelerator
    Time:     not measured
    Result:   not measured; the paper shows samples after one and after five passes over 3 million images
    """
    return Recipe(
        name="dcgan-lsun",
        task="generation",
        model=ModelChoice(name="dcgan"),
        data=DataChoice(name="folder:lsun-bedrooms", settings={"size": 64}),
        optimizer=Optimizer(name="adam", lr=2e-4, beta1=0.5, weight_decay=0.0, clip_norm=None),
        schedule=Schedule(name="constant", warmup_fraction=0.0),
        batch_size=128,
        steps=118_500,
        evaluate_every=10_000,
    )
