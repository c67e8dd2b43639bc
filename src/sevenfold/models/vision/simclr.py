"""SimCLR: two random views of a picture are to find each other among the views of all others; no label is read.

B pictures, C channels, S image side, D = features of the encoder, P = dimensions of the projection.

    two views of each picture                             [2 B, C, S, S]     `sevenfold.layers.contrastive_views`
    h = encoder(view)      ResNet without its last layer   [2 B, D]          section 2.1
    z = W2 ReLU(W1 h)      no biases                       [2 B, P]
    l(i, j) = -log( exp(sim(z_i, z_j) / t) / sum_{k != i} exp(sim(z_i, z_k) / t) )        equation 1
    loss of a picture = (l(i, j) + l(j, i)) / 2, for its views i and j; sim is the cosine

What is kept of it is h, the layer before the projection (section 4.2). The encoder has the names of our ResNet:
``start=RUN/encoder`` begins a ResNet of the same settings with it. A loss depends on the size of its batch, which
has the pictures to be told from; in evaluation the last batch of a pass may be smaller. In evaluation the views are
random too, always the same ones.

Digits are not mirrored, and a crop keeps half of the picture at least: a smaller part of a digit may be another.

Chen, Kornblith, Norouzi & Hinton 2020, A Simple Framework for Contrastive Learning of Visual Representations.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field, field_validator
from torch import Tensor, nn

from sevenfold.errors import SpecError, UsageError
from sevenfold.layers import require_images
from sevenfold.layers.contrastive_views import view
from sevenfold.layers.representing import Represents
from sevenfold.layers.residual import EXPANSION, BasicBlock, BottleneckBlock, convolution, init_he
from sevenfold.models._entry import Family, Landmark, ModelEntry, fit_images
from sevenfold.runs.recipe import Scalar
from sevenfold.spec import Spec


class SimCLRSpec(Spec):
    """Settings of SimCLR."""

    image: int = Field(default=224, ge=4, description="pixels a side")
    channels: int = Field(default=3, description="channels of the image: 1 or 3")
    blocks: str = Field(default="3-4-6-3", description="residual blocks of each stage, as in 3-4-6-3")
    block: Literal["basic", "bottleneck"] = Field(
        default="bottleneck", description="basic (two 3x3) or bottleneck (1x1, 3x3, 1x1)"
    )
    width: int = Field(default=64, ge=1, description="channels of the first stage's 3x3; doubles with every stage")
    stem: Literal["imagenet", "small"] = Field(
        default="imagenet", description="imagenet (7x7 stride 2, pooling) or small (3x3), for small pictures"
    )
    projection: int = Field(default=128, ge=1, description="dimensions in which views are compared")
    temperature: float = Field(default=0.1, gt=0, description="of the softmax over views (tau in the paper)")
    smallest_crop: float = Field(default=0.08, gt=0, le=1, description="least area of a crop, as a share")
    colour: float = Field(default=1.0, ge=0, le=1, description="strength of the colour distortion; 0: none")
    mirrored: bool = Field(default=True, description="views are mirrored at random; false for digits and letters")
    blur: bool = Field(default=True, description="views are blurred at random; the paper does not on CIFAR-10")

    @field_validator("blocks")
    @classmethod
    def _blocks_are_counts(cls, blocks: str) -> str:
        parts = blocks.split("-")
        if not all(part.isdecimal() and int(part) > 0 for part in parts):
            raise SpecError("blocks does not fit", got=repr(blocks), expected="counts joined by hyphens: 3-4-6-3")
        return blocks

    @field_validator("channels")
    @classmethod
    def _grey_or_coloured(cls, channels: int) -> int:
        if channels not in (1, 3):
            raise SpecError("channels do not fit", got=channels, expected="1 (grey) or 3 (colour)")
        return channels

    @property
    def stages(self) -> tuple[int, ...]:
        """Blocks of each stage."""
        return tuple(int(part) for part in self.blocks.split("-"))

    @property
    def features(self) -> int:
        """Features of the encoder (D): 2,048 of ResNet-50."""
        expansion = EXPANSION if self.block == "bottleneck" else 1
        return int(self.width * 2 ** (len(self.stages) - 1) * expansion)


class Encoder(nn.Module):
    """ResNet without its last layer, under ResNet's names: [B, C, S, S] -> [B, D]."""

    def __init__(self, spec: SimCLRSpec) -> None:
        super().__init__()
        small = spec.stem == "small"
        self.stem = convolution(spec.channels, spec.width, kernel=3 if small else 7, stride=1 if small else 2)
        self.stem_norm = nn.BatchNorm2d(spec.width)
        self.pool = nn.Identity() if small else nn.MaxPool2d(3, stride=2, padding=1)
        self.stages = nn.ModuleList()
        block, expansion = (BasicBlock, 1) if spec.block == "basic" else (BottleneckBlock, EXPANSION)
        inputs = spec.width
        for number, count in enumerate(spec.stages):
            outputs = spec.width * 2**number * expansion
            strides = [2 if number else 1] + [1] * (count - 1)
            sizes = [inputs] + [outputs] * (count - 1)
            self.stages.append(
                nn.Sequential(*(block(n, outputs, stride=s) for n, s in zip(sizes, strides, strict=True)))
            )
            inputs = outputs
        init_he(self)

    def forward(self, pixels: Tensor) -> Tensor:
        x = self.pool(F.relu(self.stem_norm(self.stem(pixels))))
        for stage in self.stages:
            x = stage(x)
        features: Tensor = x.mean(dim=(2, 3))
        return features


class SimCLR(nn.Module, Represents):
    """[B, C, S, S] in 0..1 -> the loss of each picture [B], in nats, between two views drawn at random."""

    def __init__(self, spec: SimCLRSpec) -> None:
        super().__init__()
        self.spec = spec
        self.encoder = Encoder(spec)
        self.hidden = nn.Linear(spec.features, spec.features, bias=False)
        self.projection = nn.Linear(spec.features, spec.projection, bias=False)

    def forward(self, pixels: Tensor) -> Tensor:
        require_images("the encoder of SimCLR", pixels, self.spec.channels, self.spec.image)
        views = torch.cat([self._view(pixels), self._view(pixels)])
        projected = self.project(self.encoder(views))
        return contrastive_losses(*projected.chunk(2), temperature=self.spec.temperature)

    def project(self, features: Tensor) -> Tensor:
        """z [B, P] of h [B, D]."""
        projected: Tensor = self.projection(F.relu(self.hidden(features)))
        return projected

    def represent(self, *inputs: Tensor) -> Tensor:
        """h [B, D] of the pictures as they are."""
        require_images("the encoder of SimCLR", inputs[0], self.spec.channels, self.spec.image)
        features: Tensor = self.encoder(inputs[0])
        return features

    def _view(self, pixels: Tensor) -> Tensor:
        spec = self.spec
        return view(pixels, smallest=spec.smallest_crop, mirrored=spec.mirrored, colour=spec.colour, blur=spec.blur)


def contrastive_losses(first: Tensor, second: Tensor, *, temperature: float) -> Tensor:
    """NT-Xent: the mean of l(i, j) and l(j, i) of each of B pairs [B, P], in nats. Source: equation 1.

    >>> views = torch.eye(2)
    >>> contrastive_losses(views, views, temperature=1.0)[0].item()  # log((e + 2) / e)
    0.5514447689056396
    """
    if first.shape != second.shape or first.dim() != 2:
        raise UsageError(
            "two views of every picture",
            got=f"shapes {list(first.shape)} and {list(second.shape)}",
            expected="equal shapes [pictures, dimensions]",
        )
    views = F.normalize(torch.cat([first, second]).float(), dim=1)
    itself = torch.eye(len(views), dtype=torch.bool, device=views.device)
    similar = (views @ views.T / temperature).masked_fill(itself, -torch.inf)
    pairs = torch.arange(len(views), device=views.device).roll(len(first))
    losses = F.cross_entropy(similar, pairs, reduction="none")
    return losses.view(2, -1).mean(0)


def fit_unlabelled_images(entry: ModelEntry, input_shape: tuple[int, ...], num_outputs: int) -> dict[str, Scalar]:
    """Square images; how many classes they have is not asked."""
    settings = fit_images(entry, input_shape, num_outputs)
    return {name: value for name, value in settings.items() if name != "classes"}


SIMCLR = Family(
    landmark=Landmark(
        name="simclr",
        title="SimCLR",
        family="vision",
        year=2020,
        paper="Chen et al. 2020, A Simple Framework for Contrastive Learning of Visual Representations",
        constraint="data",
        summary="a representation learnt without labels that a linear layer reads as well as a supervised one",
        proof="the loss and its gradient equal a loop over pairs, with mutations; the encoder equals our ResNet, "
        "which equals transformers'; views are what they say they are (tests/models/test_simclr.py, "
        "tests/layers/test_contrastive_views.py)",
    ),
    task="contrastive",
    spec_type=SimCLRSpec,
    module=SimCLR,
    fit=fit_unlabelled_images,
    shape=lambda spec: (spec.channels, spec.image, spec.image),
    dial="width",
)


@SIMCLR.preset("paper", parameters=27_964_480)
def simclr() -> SimCLRSpec:
    """ResNet-50 and a projection to 128 dimensions, for ImageNet."""
    return SimCLRSpec()


@SIMCLR.preset("laptop")
def simclr_small() -> SimCLRSpec:
    """Three stages of one basic block, width 16, on 8x8 digits: 64 features."""
    return SimCLRSpec(
        image=8,
        channels=1,
        blocks="1-1-1",
        block="basic",
        width=16,
        stem="small",
        projection=32,
        temperature=0.5,
        smallest_crop=0.5,
        colour=0.5,
        mirrored=False,
        blur=False,
    )
