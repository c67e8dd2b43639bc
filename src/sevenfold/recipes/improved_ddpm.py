"""Improved DDPM on 8x8 digits, on CIFAR-10 and on ImageNet."""

from __future__ import annotations

from sevenfold.recipes._catalogue import Measured, recipe
from sevenfold.runs.recipe import DataChoice, ModelChoice, Optimizer, Recipe, Schedule


@recipe(measured=Measured("sample_frechet", 1.42, 0.12, slack=0.1))
def improved_ddpm_digits() -> Recipe:
    """Improved DDPM learns to make the 8x8 digit that it is asked for, and how sure it is of every step.

    Command:  sevenfold train improved-ddpm-digits
    Hardware: one core of a Xeon at 2.8 GHz
    Time:     57 s of CPU time
    Result:   Fréchet distance of the samples to the test digits 1.42 (mean of seeds 0 to 2, standard deviation
              0.12; real digits against real ones 1.33, pixels drawn one by one from the asked class 2.44, the mean
              digit repeated 133.7), precision 0.90, recall 0.84; the classifier takes 97.3% (0.8%) for the asked
              digit, and 96.1% of the real ones for theirs. The bound is 2.04 bits a pixel (0.01; each pixel's own
              histogram: 2.41). Samples take 25 of 100 steps. Features and their distance are of the project's own
              digits classifier (96.1% right), not of Inception
    """
    return Recipe(
        name="improved-ddpm-digits",
        task="generation",
        model=ModelChoice(name="improved-ddpm-small"),
        data=DataChoice(name="digits", settings={"condition": "class"}),
        optimizer=Optimizer(name="adamw", lr=3e-3, weight_decay=0.0),
        batch_size=64,
        steps=400,
        evaluate_every=200,
        threads=1,
    )


@recipe(paper=True)
def improved_ddpm_cifar10() -> Recipe:
    """Improved DDPM on CIFAR-10 with the hybrid loss, as the authors' code trains it: rate 1e-4, 128 images a step.

    Needs uoft-cs/cifar10 of the Hugging Face hub, which is not in the package.

    Command:  sevenfold train improved-ddpm-cifar10
    Hardware: accelerators
    Time:     not measured
    Result:   not measured; the paper reports an Inception FID of 2.90 with this loss, and 2.94 bits per dimension
              with the bound alone (model.objective=vlb); the distance reported here is another
    """
    return Recipe(
        name="improved-ddpm-cifar10",
        task="generation",
        model=ModelChoice(name="improved-ddpm-cifar10"),
        data=DataChoice(name="hugging-face:uoft-cs/cifar10", settings={"image": "img"}),
        optimizer=Optimizer(name="adamw", lr=1e-4, weight_decay=0.0, clip_norm=None),
        schedule=Schedule(name="constant", warmup_fraction=0.0),
        batch_size=128,
        steps=500_000,
        evaluate_every=10_000,
        threads=0,
    )


@recipe(paper=True)
def improved_ddpm_imagenet64_classes() -> Recipe:
    """Improved DDPM told the class, on ImageNet at 64x64 pixels: rate 3e-4, 2048 images a step, 250,000 steps.

    Needs ILSVRC/imagenet-1k of the Hugging Face hub, which is not in the package. Not the authors': images are cut
    from the middle.

    Command:  sevenfold train improved-ddpm-imagenet64-classes
    Hardware: accelerators
    Time:     not measured
    Result:   not measured
    """
    return Recipe(
        name="improved-ddpm-imagenet64-classes",
        task="generation",
        model=ModelChoice(name="improved-ddpm-imagenet64-classes"),
        data=DataChoice(
            name="hugging-face:ILSVRC/imagenet-1k",
            settings={"size": 64, "test": "validation", "condition": "class"},
        ),
        optimizer=Optimizer(name="adamw", lr=3e-4, weight_decay=0.0, clip_norm=None),
        schedule=Schedule(name="constant", warmup_fraction=0.0),
        batch_size=2048,
        steps=250_000,
        precision="bf16",
        evaluate_every=10_000,
        threads=0,
    )
