"""FixMatch: a network's confident guesses about unlabelled pictures are the labels of their distorted copies.

B labelled pictures, m B unlabelled ones, C channels, S image side, K classes.

    network    Wide ResNet of 28 layers and k = 2: pixels [B, C, S, S] -> logits [B, K]
    q = softmax(network(weak(u))), no gradient;  guess = argmax q                            section 2.2
    loss = mean_b H(y_b, network(weak(x_b)))                                                 equation 3
         + w mean_{m B} 1(max q >= 0.95) H(guess, network(strong(u)))                        equation 4

The mean of the second term is over all unlabelled pictures, those that the mask leaves out too. All pictures of a
step pass through the network together, so that batch normalization sees them as one batch. In evaluation the
weights are their moving average (decay 0.999). Rectifiers leak (slope 0.1), as in the authors' code, which also has
biases in its convolutions and a running mean of batch statistics with a decay of 0.999; here there are no biases
(1,467,610 parameters) and the decay is a setting.

Weak and strong augmentation are in `sevenfold.layers.augmentation`. Digits are not mirrored, as the authors do not
mirror those of SVHN; on 8x8 digits a shift is by one pixel at most, and strong augmentation has the paper's
fourteen operations and its ranges (colour is none on grey pictures), with rotation and shear bilinear.

Without unlabelled pictures this is the supervised baseline: the same network, labels and weak augmentation.

Sohn et al. 2020, FixMatch: Simplifying Semi-Supervised Learning with Consistency and Confidence.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from pydantic import Field, field_validator
from torch import Tensor, nn

from sevenfold.errors import SpecError, UsageError
from sevenfold.layers import AuxiliaryLoss, AveragedWeights, LearnsUnlabelled, require_images
from sevenfold.layers.augmentation import strong, weak
from sevenfold.layers.residual import convolution, init_he
from sevenfold.layers.wide_blocks import GROUPS, STEM, wide_groups
from sevenfold.models._entry import Family, Landmark, fit_images
from sevenfold.spec import Spec


class FixMatchSpec(Spec):
    """Settings of FixMatch and of its wide residual network."""

    depth: int = Field(default=28, ge=10, description="layers, 6 N + 4: 10, 16, 22, 28")
    width: int = Field(default=2, ge=1, description="widening factor: 16 k, 32 k and 64 k channels")
    image: int = Field(default=32, ge=4, description="pixels a side")
    channels: int = Field(default=3, description="channels of the image: 1 or 3")
    classes: int = Field(default=10, ge=1, description="classes told apart")
    slope: float = Field(default=0.1, ge=0, lt=1, description="slope of the rectifiers below zero")
    momentum: float = Field(
        default=0.001, gt=0, le=1, description="share of a batch in the running statistics of normalization"
    )
    threshold: float = Field(
        default=0.95, ge=0, le=1, description="a guess counts from this probability on (tau in the paper)"
    )
    unlabelled_weight: float = Field(default=1.0, ge=0, description="of the unlabelled loss (lambda_u)")
    average: float = Field(
        default=0.999, ge=0, lt=1, description="decay of the moving average of the weights that evaluation uses"
    )
    mirrored: bool = Field(default=True, description="weak augmentation mirrors; false for digits and letters")

    @field_validator("depth")
    @classmethod
    def _depth_is_6n_plus_4(cls, depth: int) -> int:
        if (depth - 4) % 6:
            raise SpecError("depth does not fit", got=depth, expected="6 N + 4: 10, 16, 22, 28, 34, 40, ...")
        return depth

    @field_validator("channels")
    @classmethod
    def _grey_or_coloured(cls, channels: int) -> int:
        if channels not in (1, 3):
            raise SpecError("channels do not fit", got=channels, expected="1 (grey) or 3 (colour)")
        return channels

    @property
    def blocks(self) -> int:
        """Blocks a group."""
        return (self.depth - 4) // 6


class WideNetwork(nn.Module):
    """Wide ResNet with leaking rectifiers: [B, C, S, S] -> logits [B, K]."""

    def __init__(self, spec: FixMatchSpec) -> None:
        super().__init__()
        self.slope = spec.slope
        self.stem = convolution(spec.channels, STEM, kernel=3)
        self.groups = wide_groups(blocks=spec.blocks, width=spec.width, slope=spec.slope)
        outputs = STEM * spec.width * 2 ** (GROUPS - 1)
        self.final_norm = nn.BatchNorm2d(outputs)
        self.output = nn.Linear(outputs, spec.classes)
        init_he(self)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = spec.momentum

    def forward(self, pixels: Tensor) -> Tensor:
        x = self.stem(pixels)
        for group in self.groups:
            x = group(x)
        x = F.leaky_relu(self.final_norm(x), self.slope)
        logits: Tensor = self.output(x.mean(dim=(2, 3)))
        return logits


class FixMatch(AuxiliaryLoss, LearnsUnlabelled):
    """Pixels [B, C, S, S], and in training unlabelled ones [B, m, C, S, S] -> logits [B, K] of the labelled."""

    def __init__(self, spec: FixMatchSpec) -> None:
        super().__init__()
        self.spec = spec
        self.network = WideNetwork(spec)
        self.average = AveragedWeights(self.network, spec.average)
        self._consistency: Tensor | None = None

    def forward(self, pixels: Tensor, unlabelled: Tensor | None = None) -> Tensor:
        require_images("the stem of FixMatch", pixels, self.spec.channels, self.spec.image)
        if not self.training:
            with self.average.applied():
                logits: Tensor = self.network(pixels)
            return logits
        shown = weak(pixels, mirrored=self.spec.mirrored)
        if unlabelled is None:
            self._consistency = None
            return self.network(shown)  # type: ignore[no-any-return]
        return self._with_unlabelled(shown, unlabelled.flatten(0, 1))

    def auxiliary_loss(self) -> Tensor:
        if self._consistency is None:
            return self.network.output.weight.new_zeros(())
        return self.spec.unlabelled_weight * self._consistency

    def _with_unlabelled(self, shown: Tensor, unlabelled: Tensor) -> Tensor:
        require_images("the stem of FixMatch", unlabelled, self.spec.channels, self.spec.image)
        weakly = weak(unlabelled, mirrored=self.spec.mirrored)
        strongly = strong(weak(unlabelled, mirrored=self.spec.mirrored))
        logits = self.network(torch.cat([shown, weakly, strongly]))
        labelled, guesses, held = logits.split([len(shown), len(unlabelled), len(unlabelled)])
        self._consistency = consistency_loss(guesses, held, self.spec.threshold)
        return labelled  # type: ignore[no-any-return]


def consistency_loss(weak_logits: Tensor, strong_logits: Tensor, threshold: float) -> Tensor:
    """Cross-entropy [] in nats of confident guesses, over all N pictures; no gradient reaches the guesses.

    Logits [N, K] each. Source: equation 4.

    >>> sure, unsure = [9.0, 0.0], [0.1, 0.0]
    >>> consistency_loss(torch.tensor([sure, unsure]), torch.zeros(2, 2), 0.95).item()  # log(2) / 2
    0.3465735912322998
    """
    if weak_logits.shape != strong_logits.shape:
        raise UsageError(
            "a guess for every distorted picture",
            got=f"logits of shape {list(weak_logits.shape)} and {list(strong_logits.shape)}",
            expected="equal shapes",
        )
    confidence, guesses = weak_logits.detach().float().softmax(-1).max(-1)
    losses = F.cross_entropy(strong_logits.float(), guesses, reduction="none")
    return (losses * (confidence >= threshold)).mean()


FIXMATCH = Family(
    landmark=Landmark(
        name="fixmatch",
        title="FixMatch",
        family="vision",
        year=2020,
        paper="Sohn et al. 2020, FixMatch: Simplifying Semi-Supervised Learning with Consistency and Confidence",
        constraint="data",
        summary="four labels a class and many pictures without: 88.6% on CIFAR-10 where labels alone give far less",
        proof="the loss and its gradient equal a loop over pictures, zero where the mask is; the network equals a "
        "slow reference with mutations; augmentations equal PIL's (tests/models/test_fixmatch.py, "
        "tests/layers/test_augmentation.py)",
    ),
    task="classification",
    spec_type=FixMatchSpec,
    module=FixMatch,
    fit=fit_images,
    shape=lambda spec: (spec.channels, spec.image, spec.image),
    dial="width",
    stands_alone=False,
)


@FIXMATCH.preset("paper", parameters=1_467_610)
def fixmatch() -> FixMatchSpec:
    """The paper's network for CIFAR-10: 28 layers, k = 2."""
    return FixMatchSpec()


@FIXMATCH.preset("laptop")
def fixmatch_small() -> FixMatchSpec:
    """10 layers, k = 1, on 8x8 digits, which are not mirrored; averages over fewer steps."""
    return FixMatchSpec(depth=10, width=1, image=8, channels=1, mirrored=False, momentum=0.05, average=0.99)
