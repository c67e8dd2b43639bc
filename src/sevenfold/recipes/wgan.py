"""The Wasserstein GAN with clipped weights on 8x8 digits, and at its paper's size."""

from __future__ import annotations

from sevenfold.recipes._catalogue import Measured, recipe
from sevenfold.runs.recipe import DataChoice, ModelChoice, Optimizer, Recipe, Schedule


@recipe(measured=Measured("sample_frechet", 8.03, 1.3, slack=0.5))
def wgan_digits() -> Recipe:
    """The Wasserstein GAN with clipped weights on 8x8 handwritten digits.

    A batch of 320 is five of 64, one for each of the critic's updates.

    Command:  sevenfold train wgan-digits
    Hardware: one core of a Xeon at 2.8 GHz
    Time:     19 s of CPU time on a busy machine
    Result:   Fréchet distance of the samples to the test digits 8.03 (mean of seeds 0 to 2, standard deviation
              1.28; real digits against real ones 1.33, pixels drawn one by one 22.0, the mean digit repeated
              133.7), precision 0.59, recall 0.71. Features and their distance are of the project's own digits
              classifier (96.1% right), not of Inception.
    """
    return Recipe(
        name="wgan-digits",
        task="generation",
        model=ModelChoice(name="wgan-digits"),
        data=DataChoice(name="digits"),
        optimizer=Optimizer(name="rmsprop", lr=4e-4, beta2=0.99, momentum=0.0, weight_decay=0.0, clip_norm=None),
        schedule=Schedule(name="constant", warmup_fraction=0.0),
        batch_size=320,
        steps=250,
        evaluate_every=125,
        threads=1,
    )


@recipe(paper=True)
def wgan_lsun() -> Recipe:
    """The Wasserstein GAN of algorithm 1 on LSUN bedrooms: c 0.01, five critic updates of 64, RMSProp at 5e-5.

    Needs LSUN bedrooms as images in one subfolder: folder:lsun-bedrooms, made 64 pixels a side as they are read.
    The authors' release makes 100 critic updates a step for the first 25 steps; here they are 5 always.

    Command:  sevenfold train wgan-lsun
    Hardware: any accelerator
    Time:     not measured
    Result:   not measured; the paper shows samples, and that the critic's estimate falls as they get better
    """
    return Recipe(
        name="wgan-lsun",
        task="generation",
        model=ModelChoice(name="wgan"),
        data=DataChoice(name="folder:lsun-bedrooms", settings={"size": 64}),
        optimizer=Optimizer(name="rmsprop", lr=5e-5, beta2=0.99, momentum=0.0, weight_decay=0.0, clip_norm=None),
        schedule=Schedule(name="constant", warmup_fraction=0.0),
        batch_size=320,
        steps=200_000,
        evaluate_every=10_000,
    )
