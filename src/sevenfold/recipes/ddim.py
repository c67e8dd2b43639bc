"""DDIM on 8x8 digits and on CIFAR-10."""

from __future__ import annotations

from sevenfold.recipes._catalogue import Measured, recipe
from sevenfold.runs.recipe import DataChoice, ModelChoice, Optimizer, Recipe, Schedule


@recipe(measured=Measured("sample_frechet", 5.61, 0.56))
def ddim_digits() -> Recipe:
    """A diffusion over 200 steps is walked in 10 of them, without noise, to 8x8 handwritten digits.

    Command:  sevenfold train ddim-digits
    Hardware: one core of a Xeon at 2.8 GHz
    Time:     59 s of CPU time
    Result:   Fréchet distance of the samples to the test digits 5.61 (mean of seeds 0 to 2, standard deviation
              0.56); the same networks walked in 10 steps with DDPM's noise (eta=1) come to 9.11 (0.61), and
              ddpm-digits in 50 steps to 4.41; real digits against real ones 1.33, pixels drawn one by one 22.0, the
              mean digit repeated 133.7. Precision 0.74, recall 0.82. The bound is DDPM's, 2.92 bits a pixel (0.02).
              Features and their distance are of the project's own digits classifier (96.1% right), not of Inception
    """
    return Recipe(
        name="ddim-digits",
        task="generation",
        model=ModelChoice(name="ddim-small"),
        data=DataChoice(name="digits"),
        optimizer=Optimizer(name="adam", lr=3e-3, weight_decay=0.0),
        batch_size=64,
        steps=500,
        evaluate_every=250,
        threads=1,
    )


@recipe(paper=True)
def ddim_cifar10() -> Recipe:
    """DDIM on CIFAR-10: the network of DDPM, trained as there, walked in 50 steps.

    Needs uoft-cs/cifar10 of the Hugging Face hub, which is not in the package. Not the paper's: images are not
    mirrored at random. The authors walked the network that DDPM's released.

    Command:  sevenfold train ddim-cifar10
    Hardware: accelerators
    Time:     not measured
    Result:   not measured; the paper reports an Inception FID of 4.16 for 100 steps, which is not the distance
              reported here
    """
    return Recipe(
        name="ddim-cifar10",
        task="generation",
        model=ModelChoice(name="ddim-cifar10"),
        data=DataChoice(name="hugging-face:uoft-cs/cifar10", settings={"image": "img"}),
        optimizer=Optimizer(name="adam", lr=2e-4, weight_decay=0.0),
        schedule=Schedule(name="constant", warmup_fraction=5_000 / 800_000),
        batch_size=128,
        steps=800_000,
        evaluate_every=10_000,
        threads=0,
    )
