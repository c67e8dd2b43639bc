"""The conditional GAN on 8x8 digits, and on MNIST."""

from __future__ import annotations

from sevenfold.recipes._catalogue import Measured, recipe
from sevenfold.runs.recipe import DataChoice, ModelChoice, Optimizer, Recipe, Schedule


@recipe(measured=Measured("sample_frechet", 14.740, 3.3, slack=0.5))
def cgan_digits() -> Recipe:
    """The conditional GAN on 8x8 handwritten digits: the asked digit is drawn.

    Command:  sevenfold train cgan-digits
    Hardware: one core of a Xeon at 2.8 GHz
    Time:     30 s of CPU time on a busy machine
    Result:   Fréchet distance of the samples to the test digits 14.74 (mean of seeds 0 to 2, standard deviation
              3.33; real digits against real ones 1.33, pixels of the asked digit drawn one by one 2.4, the mean
              digit repeated 133.7), precision 0.97, recall 0.00; 100.0% of the samples are taken for the asked
              digit (standard deviation 0.0%; of the test digits 96.1%). Each digit is drawn in nearly one way.
              Features and their distance are of the project's own digits classifier (96.1% right), not of
              Inception.
    """
    return Recipe(
        name="cgan-digits",
        task="generation",
        model=ModelChoice(name="cgan-digits"),
        data=DataChoice(name="digits", settings={"condition": "class"}),
        optimizer=Optimizer(name="adam", lr=2e-3, beta1=0.5, weight_decay=0.0, clip_norm=None),
        schedule=Schedule(name="cosine", warmup_fraction=0.0),
        batch_size=64,
        steps=2500,
        evaluate_every=500,
        threads=1,
    )


@recipe(paper=True)
def cgan_mnist() -> Recipe:
    """The MNIST networks of the paper, section 4.1, by stochastic gradient descent with momentum.

    Needs ylecun/mnist, which is not in the package. The paper divides a rate of 0.1 by 1.00004 after every update
    down to 1e-6 and moves the momentum from 0.5 to 0.7; here the momentum is 0.7 throughout and the rate falls
    linearly.

    Command:  sevenfold train cgan-mnist
    Hardware: any accelerator
    Time:     not measured
    Result:   not measured
    """
    return Recipe(
        name="cgan-mnist",
        task="generation",
        model=ModelChoice(name="cgan"),
        data=DataChoice(name="hugging-face:ylecun/mnist", settings={"condition": "class"}),
        optimizer=Optimizer(name="sgd", lr=0.1, momentum=0.7, weight_decay=0.0, clip_norm=None),
        schedule=Schedule(name="linear", warmup_fraction=0.0, final_fraction=0.0),
        batch_size=100,
        steps=300_000,
        evaluate_every=10_000,
    )
