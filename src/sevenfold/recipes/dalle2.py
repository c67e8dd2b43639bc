"""DALL-E 2 on drawings of two shapes with captions, and on photographs with captions at the paper's size."""

from __future__ import annotations

from sevenfold.recipes._catalogue import recipe
from sevenfold.runs.recipe import DataChoice, ModelChoice, Optimizer, Recipe, Schedule


@recipe
def dalle2_shapes() -> Recipe:
    """DALL-E 2 on drawings of two shapes: CLIP for 300 steps, then prior and decoder for 300. Too few to draw.

    It shows that the three parts train, sample and are scored together. More steps are asked for with --set steps.

    Command:  sevenfold train dalle2-shapes
    Hardware: one core of an AMD EPYC at 2.6 GHz, shared with other work
    Time:     83 s of CPU time
    Result:   seed 0 alone: of 512 drawings none is legible, so that no caption is right in any part. Their Fréchet
              distance in the digits classifier's features is 585, that of independent pixels 704, of the mean
              drawing 1,704, and of real drawings of the training's things 284.
    """
    return Recipe(
        name="dalle2-shapes",
        task="generation",
        model=ModelChoice(name="dalle2-small"),
        data=DataChoice(name="shapes"),
        optimizer=Optimizer(name="adamw", lr=2e-3, weight_decay=0.01, beta2=0.99),
        schedule=Schedule(name="cosine", warmup_fraction=0.05, final_fraction=0.05),
        batch_size=16,
        steps=600,
        evaluate_every=600,
        evaluate_examples=128,
        threads=1,
    )


@recipe(paper=True)
def dalle2_pairs() -> Recipe:
    """DALL-E 2 on photographs with captions at 64 pixels, with the decoder's batch of 2,048 and 800,000 iterations.

    Needs a folder captioned-photos with images and a metadata.csv (file_name, text); another is named with
    --set data.name=folder:PATH. The authors' 650 million pairs were never released. Not the paper's: one learning
    rate for all parts, the prior with the decoder's batch; CLIP is trained on the same pairs for a quarter more
    steps, at 64 pixels enlarged to 256.

    Command:  sevenfold train dalle2-pairs
    Hardware: accelerators
    Time:     not measured
    Result:   not measured
    """
    return Recipe(
        name="dalle2-pairs",
        task="generation",
        model=ModelChoice(name="dalle2", settings={"clip_stage": 0.2}),
        data=DataChoice(name="folder:captioned-photos", settings={"size": 64}),
        optimizer=Optimizer(name="adamw", lr=1.2e-4, weight_decay=0.0, beta2=0.999),
        schedule=Schedule(name="constant", warmup_fraction=0.005),
        batch_size=2048,
        steps=1_000_000,
        precision="bf16",
        evaluate_every=10_000,
        threads=0,
    )
