"""The diffusion of 2015 on 8x8 digits and on MNIST."""

from __future__ import annotations

from sevenfold.recipes._catalogue import Measured, recipe
from sevenfold.runs.recipe import DataChoice, ModelChoice, Optimizer, Recipe, Schedule


@recipe(measured=Measured("sample_frechet", 12.65, 1.11))
def diffusion2015_digits() -> Recipe:
    """The diffusion of 2015 learns 8x8 digits by its variational bound, in 100 steps.

    Command:  sevenfold train diffusion2015-digits
    Hardware: one core of a Xeon at 2.8 GHz
    Time:     50 s of CPU time
    Result:   Fréchet distance of the samples to the test digits 12.65 (mean of seeds 0 to 2, standard deviation
              1.11; ddpm-digits 4.41, real digits against real ones 1.33, pixels drawn one by one 22.0, the mean
              digit repeated 133.7), precision 0.61, recall 0.74. The bound is 3.19 bits a pixel (0.02), worse than
              each pixel's own histogram (2.41). Features and their distance are of the project's own digits
              classifier (96.1% right), not of Inception
    """
    return Recipe(
        name="diffusion2015-digits",
        task="generation",
        model=ModelChoice(name="diffusion2015-small"),
        data=DataChoice(name="digits"),
        optimizer=Optimizer(name="adam", lr=2e-3, weight_decay=0.0),
        batch_size=64,
        steps=600,
        evaluate_every=300,
        threads=1,
    )


@recipe(paper=True)
def diffusion2015_mnist() -> Recipe:
    """The diffusion of 2015 on MNIST as the authors' code trains it: RMSProp with 1e-3, 512 images a step.

    Needs ylecun/mnist of the Hugging Face hub, which is not in the package. Not the paper's: its schedule is
    learned, and the length is ours, where the code goes on until it is stopped.

    Command:  sevenfold train diffusion2015-mnist
    Hardware: an accelerator
    Time:     not measured
    Result:   not measured
    """
    return Recipe(
        name="diffusion2015-mnist",
        task="generation",
        model=ModelChoice(name="diffusion2015"),
        data=DataChoice(name="hugging-face:ylecun/mnist"),
        optimizer=Optimizer(name="rmsprop", lr=1e-3, weight_decay=0.0, momentum=0.0),
        schedule=Schedule(name="linear", warmup_fraction=0.0, final_fraction=0.01),
        batch_size=512,
        steps=100_000,
        evaluate_every=5_000,
        threads=0,
    )
