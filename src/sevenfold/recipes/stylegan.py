"""StyleGAN on 8x8 digits, and on FFHQ."""

from __future__ import annotations

from sevenfold.recipes._catalogue import Measured, recipe
from sevenfold.runs.recipe import DataChoice, ModelChoice, Optimizer, Recipe, Schedule


@recipe(measured=Measured("sample_frechet", 58.1, 10.1, slack=0.5))
def stylegan_digits() -> Recipe:
    """StyleGAN on 8x8 handwritten digits, without growth.

    The penalty's weight is a thousandth of the paper's, which is for images with 16,000 times as many pixels.

    Command:  sevenfold train stylegan-digits
    Hardware: one core of a Xeon at 2.8 GHz
    Time:     20 s of CPU time on a busy machine
    Result:   poor: Fréchet distance of the samples to the test digits 58.1 (mean of seeds 0 to 2, standard
              deviation 10.1; real digits against real ones 1.33, pixels drawn one by one 22.0, the mean digit
              repeated 133.7), precision 0.55, recall 0.07. It loses variety: four times the steps came to 113.1
              with recall 0.00 (seed 0), so that these settings are not the right ones for so small images.
              Features and their distance are of the project's own digits classifier (96.1% right), not of
              Inception.
    """
    return Recipe(
        name="stylegan-digits",
        task="generation",
        model=ModelChoice(name="stylegan-digits"),
        data=DataChoice(name="digits"),
        optimizer=Optimizer(name="adam", lr=3e-3, beta1=0.0, beta2=0.99, weight_decay=0.0, clip_norm=None),
        schedule=Schedule(name="constant", warmup_fraction=0.0),
        batch_size=32,
        steps=200,
        evaluate_every=100,
        threads=1,
    )


@recipe(paper=True)
def stylegan_ffhq() -> Recipe:
    """StyleGAN on the 70,000 faces of FFHQ at 1024x1024, grown from 8x8, in 25 million images.

    Needs the images in one subfolder: folder:ffhq, 220 GB in memory as bytes, which few machines have: the library
    reads a folder whole. The paper's batches are smaller as images get larger, and its rate is higher from 128x128
    on; here a batch is 32 and the rate 0.001 throughout, and Adam's averages are kept when a level begins.

    Command:  sevenfold train stylegan-ffhq
    Hardware: 8 accelerators with 32 GB in the paper; here one with room for 32 images
    Time:     not measured; a week on 8 V100 in the paper
    Result:   not measured
    """
    return Recipe(
        name="stylegan-ffhq",
        task="generation",
        model=ModelChoice(name="stylegan"),
        data=DataChoice(name="folder:ffhq", settings={"size": 1024}),
        optimizer=Optimizer(name="adam", lr=1e-3, beta1=0.0, beta2=0.99, weight_decay=0.0, clip_norm=None),
        schedule=Schedule(name="constant", warmup_fraction=0.0),
        batch_size=32,
        steps=781_250,
        evaluate_every=10_000,
    )
