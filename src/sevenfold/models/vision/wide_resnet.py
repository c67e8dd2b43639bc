"""Wide residual networks: few, wide layers instead of many thin ones, faster on real machines and more accurate.

B batch, S image side, k widening factor, N blocks a group; depth = 6N + 4.

    pixels [B, 3, S, S]
    stem      3x3, 16 channels                                                         [B, 16, S, S]
    group i   N pre-activation blocks of two 3x3 of 16 k 2^i channels, i = 0, 1, 2; the first block of the second
              and third group halves the side                                          [B, 64 k, S/4, S/4]
    out       norm, ReLU, mean over the picture, and one linear layer                  [B, classes]

A block normalizes and rectifies before each convolution. Where the number of channels changes, the shortcut is a
1x1 convolution of the normalized and rectified input, not of the input itself, as in the authors' code.

Zagoruyko & Komodakis 2016, Wide Residual Networks, table 1.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from pydantic import Field, field_validator
from torch import nn

from sevenfold.errors import SpecError
from sevenfold.layers import require_images
from sevenfold.layers.residual import convolution, init_he
from sevenfold.layers.wide_blocks import GROUPS, STEM, wide_groups
from sevenfold.models._entry import Family, Landmark, fit_images
from sevenfold.spec import Spec


class WideResNetSpec(Spec):
    """Settings of a wide residual network."""

    depth: int = Field(ge=10, description="layers, 6 N + 4: 10, 16, 22, 28, 40")
    width: int = Field(ge=1, description="widening factor (k in the paper): 16 k, 32 k and 64 k channels")
    image: int = Field(default=32, ge=1, description="pixels a side; any other size is taken too")
    channels: int = Field(default=3, ge=1, description="channels of the image")
    classes: int = Field(default=10, ge=1, description="classes told apart")
    dropout: float = Field(
        default=0.0, ge=0, lt=1, description="in training: between a block's convolutions (section 2.4)"
    )

    @field_validator("depth")
    @classmethod
    def _depth_is_6n_plus_4(cls, depth: int) -> int:
        if (depth - 4) % 6:
            raise SpecError("depth does not fit", got=depth, expected="6 N + 4: 10, 16, 22, 28, 34, 40, ...")
        return depth

    @property
    def blocks(self) -> int:
        """Blocks a group (N in the paper)."""
        return (self.depth - 4) // 6


class WideResNet(nn.Module):
    """[B, C, S, S] -> logits [B, classes]."""

    def __init__(self, spec: WideResNetSpec) -> None:
        super().__init__()
        self.spec = spec
        self.stem = convolution(spec.channels, STEM, kernel=3)
        self.groups = wide_groups(blocks=spec.blocks, width=spec.width, dropout=spec.dropout)
        outputs = STEM * spec.width * 2 ** (GROUPS - 1)
        self.final_norm = nn.BatchNorm2d(outputs)
        self.output = nn.Linear(outputs, spec.classes)
        init_he(self)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        require_images("the stem of the wide ResNet", pixels, self.spec.channels)
        x = self.stem(pixels)
        for group in self.groups:
            x = group(x)
        x = F.relu(self.final_norm(x))
        logits: torch.Tensor = self.output(x.mean(dim=(2, 3)))
        return logits


WIDE_RESNET = Family(
    landmark=Landmark(
        name="wide-resnet",
        title="Wide ResNet",
        family="vision",
        year=2016,
        paper="Zagoruyko & Komodakis 2016, Wide Residual Networks",
        constraint="efficiency",
        summary="sixteen wide layers beat a thousand thin ones, in arithmetic that parallel machines do well",
        proof="outputs and gradients equal a slow reference written after the authors' code, with mutations; "
        "counts by formula (tests/models/test_wide_resnet.py)",
    ),
    task="classification",
    spec_type=WideResNetSpec,
    module=WideResNet,
    fit=fit_images,
    shape=lambda spec: (spec.channels, spec.image, spec.image),
    dial="width",
)


@WIDE_RESNET.preset("paper", name="wide-resnet-28-2", parameters=1_467_610)
def wide_resnet_28_2() -> WideResNetSpec:
    """28 layers, k = 2: the network of FixMatch and of much semi-supervised work on CIFAR-10."""
    return WideResNetSpec(depth=28, width=2)


@WIDE_RESNET.preset("paper", name="wide-resnet-28-10", parameters=36_479_194)
def wide_resnet_28_10() -> WideResNetSpec:
    """28 layers, k = 10, 36.5M parameters: the paper's best on CIFAR."""
    return WideResNetSpec(depth=28, width=10)


@WIDE_RESNET.preset("laptop", name="wide-resnet-small")
def wide_resnet_small() -> WideResNetSpec:
    """10 layers, k = 1, on 8x8 digits."""
    return WideResNetSpec(depth=10, width=1, image=8, channels=1)
