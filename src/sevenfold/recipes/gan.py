"""The GAN of 2014 on 8x8 digits, and on MNIST."""

from __future__ import annotations

from sevenfold.recipes._catalogue import Measured, recipe
from sevenfold.runs.recipe import DataChoice, ModelChoice, Optimizer, Recipe, Schedule


@recipe(measured=Measured("sample_frechet", 7.835, 1.6, slack=0.5))
def gan_digits() -> Recipe:
    """The GAN of 2014 on 8x8 handwritten digits.

    Command:  sevenfold train gan-digits
    Hardware: one core of a Xeon at 2.8 GHz
    Time:     36 s of CPU time on a busy machine
    Result:   Fréchet distance of the samples to the test digits 7.83 (mean of seeds 0 to 2, standard deviation
              1.62; real digits against real ones 1.33, pixels drawn one by one 22.0, the mean digit repeated
              133.7), precision 0.68, recall 0.69. Features and their distance are of the project's own digits
              classifier (96.1% right), not of Inception.
    """
    return Recipe(
        name="gan-digits",
        task="generation",
        model=ModelChoice(name="gan-digits"),
        data=DataChoice(name="digits"),
        optimizer=Optimizer(name="adam", lr=1e-3, beta1=0.5, weight_decay=0.0, clip_norm=None),
        schedule=Schedule(name="cosine", warmup_fraction=0.0),
        batch_size=128,
        steps=2500,
        evaluate_every=500,
        threads=1,
    )


@recipe(paper=True)
def gan_mnist() -> Recipe:
    """The MNIST networks of the authors' release, by stochastic gradient descent with momentum.

    Needs ylecun/mnist, which is not in the package. The release starts with a momentum of 0.5, moves it to 0.7 over
    250 passes and divides the learning rate by 1.000004 after every update; here the momentum is 0.7 throughout and
    the rate falls linearly.

    Command:  sevenfold train gan-mnist
    Hardware: any accelerator
    Time:     not measured
    Result:   not measured; the paper reports a Parzen-window log-likelihood of 225 with a standard error of 2
    """
    return Recipe(
        name="gan-mnist",
        task="generation",
        model=ModelChoice(name="gan"),
        data=DataChoice(name="hugging-face:ylecun/mnist"),
        optimizer=Optimizer(name="sgd", lr=0.1, momentum=0.7, weight_decay=0.0, clip_norm=None),
        schedule=Schedule(name="linear", warmup_fraction=0.0, final_fraction=0.2),
        batch_size=100,
        steps=300_000,
        evaluate_every=10_000,
    )
