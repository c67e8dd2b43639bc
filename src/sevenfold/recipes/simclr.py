"""SimCLR on 8x8 handwritten digits without their labels, and on CIFAR-10."""

from __future__ import annotations

from sevenfold.recipes._catalogue import Measured, recipe
from sevenfold.runs.recipe import DataChoice, ModelChoice, Optimizer, Recipe, Schedule


@recipe(measured=Measured("test_loss", 3.825, 0.010))
def contrastive_digits() -> Recipe:
    """Contrastive pre-training on the handwritten digits: what `sevenfold paradigms run contrastive` reads off it.

    Command:  sevenfold train contrastive-digits
    Hardware: one core of a Xeon at 2.8 GHz
    Time:     24 s of CPU time
    Result:   test loss 3.825 nats a picture (mean of seeds 0 to 2, standard deviation 0.010), where views that tell
              nothing have 5.54, log(255); with four labels of each digit a linear layer on its features reaches
              92.9% (1.1%), on the pixels 80.9%
    """
    return Recipe(
        name="contrastive-digits",
        task="contrastive",
        model=ModelChoice(name="simclr-small"),
        data=DataChoice(name="digits"),
        optimizer=Optimizer(name="adamw", lr=3e-3, weight_decay=0.01),
        schedule=Schedule(name="cosine", warmup_fraction=0.1),
        batch_size=128,
        steps=300,
        evaluate_every=100,
        threads=1,
    )


@recipe(paper=True)
def simclr_cifar10() -> Recipe:
    """SimCLR with ResNet-50 on CIFAR-10, 1,000 passes in batches of 512 (appendix B.9).

    Needs uoft-cs/cifar10, which is not in the package. Not the paper's: the optimizer is plain momentum, not LARS,
    at a rate of ours; the projection has no batch normalization; hue is turned in another space.

    Command:  sevenfold train simclr-cifar10
    Hardware: an accelerator
    Time:     not measured
    Result:   not measured
    """
    return Recipe(
        name="simclr-cifar10",
        task="contrastive",
        model=ModelChoice(
            name="simclr", settings={"stem": "small", "colour": 0.5, "blur": False, "temperature": 0.5}
        ),
        data=DataChoice(name="hugging-face:uoft-cs/cifar10", settings={"image": "img"}),
        optimizer=Optimizer(name="sgd", lr=0.5, momentum=0.9, weight_decay=1e-6, clip_norm=None),
        schedule=Schedule(name="cosine", warmup_fraction=0.01, final_fraction=0.0),
        batch_size=512,
        steps=87_891,
        evaluate_every=1000,
        threads=0,
    )
