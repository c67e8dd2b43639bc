"""DDPM on 8x8 digits, on patches of photographs and on CIFAR-10."""

from __future__ import annotations

from sevenfold.recipes._catalogue import Measured, recipe
from sevenfold.runs.recipe import DataChoice, ModelChoice, Optimizer, Recipe, Schedule


@recipe(measured=Measured("sample_frechet", 4.41, 0.44))
def ddpm_digits() -> Recipe:
    """DDPM with 200 steps learns to make 8x8 handwritten digits of noise.

    Command:  sevenfold train ddpm-digits
    Hardware: one core of a Xeon at 2.8 GHz
    Time:     66 s of CPU time
    Result:   Fréchet distance of the samples to the test digits 4.41 (mean of seeds 0 to 2, standard deviation
              0.44; real digits against real ones 1.33, pixels drawn one by one 22.0, the mean digit repeated
              133.7), precision 0.75, recall 0.82; samples take 50 of the 200 steps. The bound is 2.92 bits a pixel
              (0.02), worse than each pixel's own histogram (2.41): the first steps' noise, 0.02, is far below a
              level's width, 0.125, and improved-ddpm-digits shows what a coarser start saves. Features and their
              distance are of the project's own digits classifier (96.1% right), not of Inception
    """
    return Recipe(
        name="ddpm-digits",
        task="generation",
        model=ModelChoice(name="ddpm-small"),
        data=DataChoice(name="digits"),
        optimizer=Optimizer(name="adam", lr=3e-3, weight_decay=0.0),
        batch_size=64,
        steps=500,
        evaluate_every=250,
        threads=1,
    )


@recipe(measured=Measured("sample_frechet", 11.65, 0.36, slack=0.5))
def ddpm_patches() -> Recipe:
    """DDPM with 200 steps learns to make 16x16 patches of two photographs.

    Command:  sevenfold train ddpm-patches
    Hardware: one core of a Xeon at 2.8 GHz
    Time:     66 s of CPU time
    Result:   Fréchet distance of the samples to test patches 11.65 (mean of seeds 0 to 2, standard deviation
              0.36; real patches against real ones 6.12, pixels drawn one by one 78.7, the mean patch repeated
              83.1), precision 0.87, recall 0.76; the bound is 5.50 bits a pixel (0.06; each pixel's own
              histogram: 7.84). Features and their distance are of the project's own digits classifier, not of
              Inception, and not comparable with those of 8x8 digits
    """
    return Recipe(
        name="ddpm-patches",
        task="generation",
        model=ModelChoice(name="ddpm-patches"),
        data=DataChoice(name="patches"),
        optimizer=Optimizer(name="adam", lr=2e-3, weight_decay=0.0),
        batch_size=32,
        steps=200,
        evaluate_every=200,
        evaluate_examples=256,
        threads=1,
    )


@recipe(paper=True)
def ddpm_cifar10() -> Recipe:
    """DDPM on CIFAR-10 as the paper trains it: Adam with 2e-4 after 5,000 steps of warm-up, 128 images a step.

    Needs uoft-cs/cifar10 of the Hugging Face hub, which is not in the package. Not the paper's: images are not
    mirrored at random, and the optimizer's epsilon is torch's.

    Command:  sevenfold train ddpm-cifar10
    Hardware: accelerators (the authors had eight cores of a TPU v3, for 10.6 hours)
    Time:     not measured
    Result:   not measured; the paper reports an Inception FID of 3.17, which is not the distance reported here
    """
    return Recipe(
        name="ddpm-cifar10",
        task="generation",
        model=ModelChoice(name="ddpm-cifar10"),
        data=DataChoice(name="hugging-face:uoft-cs/cifar10", settings={"image": "img"}),
        optimizer=Optimizer(name="adam", lr=2e-4, weight_decay=0.0),
        schedule=Schedule(name="constant", warmup_fraction=5_000 / 800_000),
        batch_size=128,
        steps=800_000,
        evaluate_every=10_000,
        threads=0,
    )
