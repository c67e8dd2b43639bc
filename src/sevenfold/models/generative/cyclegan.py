"""CycleGAN: pictures of one kind turned into another kind, learned without a single pair.

B batch, C channels, S image side, W width (64), X the source domain, Y the target domain.

    G: X -> Y, F: Y -> X     generators;   D_Y, D_X   discriminators that tell translations from pictures

    adversarial     D_Y descends (D_Y(y) - 1)^2 + D_Y(G(x))^2, G descends (D_Y(G(x)) - 1)^2    equation 1, section 4
    cycle           |F(G(x)) - x|_1 + |G(F(y)) - y|_1, a mean over pixels                       equation 2
    both            G and F descend the two adversarial losses + lambda cycle, lambda = 10      equations 3 and 4

    generator       7x7 W - 3x3 2W, half the side - 3x3 4W, a quarter - 9 residual blocks of two 3x3 - 3x3
                    up-convolutions 2W, W - 7x7 C, tanh; instance normalization and relu after each, edges reflected
    discriminator   4x4 convolutions of W, 2W, 4W (stride 2) and 8W (stride 1), then 4x4 to 1: a map of judgements,
                    each of 70x70 pixels of 256; instance normalization but for the first, leaky relu (0.2)

Discriminators see translations out of a pool of the last 50 (section 4). Squares instead of logarithms (Mao et al.
2017). The discriminators' losses are halved, as in the appendix. Inputs are (targets, sources), the second of
which is what `sample` is told: a sample is a source translated, and `translate` is the same. A call returns what G
and F descend, an example. With S = 256: 11,378,179 parameters a generator, 2,764,737 a discriminator, whose output
is 30x30.

Zhu, Park, Isola & Efros 2017, Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks;
appendix for the networks.
"""

from __future__ import annotations

from typing import Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from sevenfold.errors import SpecError, UsageError
from sevenfold.layers import (
    Generative,
    Noise,
    OnStep,
    Played,
    Player,
    Reconstructs,
    Sampling,
    Translates,
    require_images,
    untold,
)
from sevenfold.layers.generative import require_sampling
from sevenfold.models._entry import Family, Input, Landmark, fit_generation
from sevenfold.spec import Spec


class CycleGANSpec(Spec):
    """Settings of CycleGAN."""

    image: int = Field(default=256, ge=8, description="pixels a side; even at every halving")
    channels: int = Field(default=3, ge=1, description="channels of the images of both domains")
    width: int = Field(
        default=64, ge=1, description="maps at full size, in both players; twice as many a level below"
    )
    halvings: int = Field(default=2, ge=1, description="halvings in a generator")
    blocks: int = Field(default=9, ge=1, description="residual blocks of a generator: 9, or 6 for 128 pixels")
    judge_halvings: int = Field(default=3, ge=1, description="halvings in a discriminator: 3 see 70x70 pixels")
    kernel: int = Field(default=7, ge=1, description="side of a generator's first and last filters, odd")
    cycle: float = Field(default=10.0, ge=0, description="lambda: weight of getting the source back")
    identity: float = Field(
        default=0.0,
        ge=0,
        description="weight, in lambdas, of leaving what is in the target domain (0.5 for paintings)",
    )
    pool: int = Field(
        default=50, ge=0, description="translations that a discriminator may still see later; 0: none"
    )

    @property
    def judged(self) -> int:
        """Judgements a side of a discriminator's map."""
        return (self.image >> self.judge_halvings) - 2

    @model_validator(mode="after")
    def _sides_fit(self) -> Self:
        lowest, border = self.image // 2**self.halvings, self.kernel // 2
        even = self.image % 2**self.halvings == 0 and self.kernel % 2 == 1
        if not even or lowest < 2 or border >= self.image or self.judged < 1:
            raise SpecError(
                "image does not fit",
                got=f"{self.image} pixels with halvings={self.halvings}, judge_halvings={self.judge_halvings}, "
                f"kernel={self.kernel}",
                expected="even sides at every halving, 2 pixels and a judgement left, an odd kernel",
                hint="fewer halvings",
            )
        return self


class ResidualBlock(nn.Module):
    """x + two 3x3 convolutions with instance normalization, relu between: [B, C, S, S] -> the same."""

    def __init__(self, maps: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(maps, maps, 3, padding=1, padding_mode="reflect"),
            nn.InstanceNorm2d(maps),
            nn.ReLU(),
            nn.Conv2d(maps, maps, 3, padding=1, padding_mode="reflect"),
            nn.InstanceNorm2d(maps),
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.layers(x)
        return out


class Translator(nn.Sequential):
    """Images of one domain [B, C, S, S] in -1..1 -> images of the other."""

    def __init__(self, spec: CycleGANSpec) -> None:
        border = spec.kernel // 2
        maps = [spec.width << level for level in range(spec.halvings + 1)]
        layers: list[nn.Module] = [
            nn.Conv2d(spec.channels, maps[0], spec.kernel, padding=border, padding_mode="reflect"),
            nn.InstanceNorm2d(maps[0]),
            nn.ReLU(),
        ]
        for level in range(spec.halvings):
            down = nn.Conv2d(maps[level], maps[level + 1], 3, stride=2, padding=1)
            layers += [down, nn.InstanceNorm2d(maps[level + 1]), nn.ReLU()]
        layers += [ResidualBlock(maps[-1]) for _ in range(spec.blocks)]
        for level in reversed(range(spec.halvings)):
            up = nn.ConvTranspose2d(maps[level + 1], maps[level], 3, stride=2, padding=1, output_padding=1)
            layers += [up, nn.InstanceNorm2d(maps[level]), nn.ReLU()]
        layers += [
            nn.Conv2d(maps[0], spec.channels, spec.kernel, padding=border, padding_mode="reflect"),
            nn.Tanh(),
        ]
        super().__init__(*layers)
        start(self)


class PatchJudge(nn.Sequential):
    """Images [B, C, S, S] in -1..1 -> judgements [B, 1, judged, judged]: 1 for pictures, 0 for translations."""

    def __init__(self, spec: CycleGANSpec) -> None:
        layers: list[nn.Module] = [nn.Conv2d(spec.channels, spec.width, 4, 2, 1), nn.LeakyReLU(0.2)]
        for level in range(1, spec.judge_halvings + 1):
            inputs, maps = spec.width << (level - 1), spec.width << level
            stride = 2 if level < spec.judge_halvings else 1
            layers += [nn.Conv2d(inputs, maps, 4, stride, 1), nn.InstanceNorm2d(maps), nn.LeakyReLU(0.2)]
        super().__init__(*layers, nn.Conv2d(spec.width << spec.judge_halvings, 1, 4, 1, 1))
        start(self)


class Pool(nn.Module):
    """The last translations, so that a discriminator does not forget what was tried before.

    Of images [B, C, S, S] each is kept while there is room; then, with one half probability, it takes the place of
    one that was kept, which is given back in its stead.
    """

    kept: Tensor  # [size, C, S, S]
    count: Tensor

    def __init__(self, size: int, shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.register_buffer("kept", torch.zeros(size, *shape))
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))

    def forward(self, images: Tensor) -> Tensor:
        given = images.clone()
        size = len(self.kept)
        for index, image in enumerate(images if size else ()):
            count = int(self.count)
            if count < size:
                self.kept[count] = image
                self.count += 1
            elif float(torch.rand(())) < 0.5:
                place = int(torch.randint(size, ()))
                given[index] = self.kept[place]
                self.kept[place] = image
        return given


class CycleGAN(Generative, Played, Reconstructs, Translates):
    """Targets and sources, each [B, C, S, S] in 0..1 -> what the generators descend, of each example [B].

    >>> from sevenfold.models import MODELS
    >>> sources = torch.rand(3, 1, 8, 8)
    >>> MODELS["cyclegan-digits"].build().sample(3, noise=Noise([0, 1, 2]), condition=sources).shape
    torch.Size([3, 1, 8, 8])
    """

    condition = "image"

    def __init__(self, spec: CycleGANSpec) -> None:
        super().__init__()
        self.spec = spec
        self.to_target, self.to_source = Translator(spec), Translator(spec)
        self.target_judge, self.source_judge = PatchJudge(spec), PatchJudge(spec)
        shape = (spec.channels, spec.image, spec.image)
        self.target_pool, self.source_pool = Pool(spec.pool, shape), Pool(spec.pool, shape)

    def forward(self, *inputs: Tensor) -> Tensor:
        targets, sources = self._scaled(*inputs)
        made_targets, made_sources = self.to_target(sources), self.to_source(targets)
        convincing = (self.target_judge(made_targets) - 1).square().flatten(1).mean(1)
        convincing = convincing + (self.source_judge(made_sources) - 1).square().flatten(1).mean(1)
        back = distance(self.to_source(made_targets), sources) + distance(self.to_target(made_sources), targets)
        loss: Tensor = convincing + self.spec.cycle * back
        if self.spec.identity:
            kept = distance(self.to_target(targets), targets) + distance(self.to_source(sources), sources)
            loss = loss + self.spec.cycle * self.spec.identity * kept
        return loss

    def players(self) -> tuple[Player, ...]:
        """The generators first, as in the authors' release."""
        generators = (*self.to_target.parameters(), *self.to_source.parameters())
        judges = (*self.target_judge.parameters(), *self.source_judge.parameters())
        return (
            Player("generators", generators, self.generator_loss),
            Player("discriminators", judges, self.discriminator_loss),
        )

    def generator_loss(self, targets: Tensor, sources: Tensor) -> Tensor:
        """Mean of the call []."""
        loss: Tensor = self(targets, sources)
        return loss.mean()

    def discriminator_loss(self, targets: Tensor, sources: Tensor) -> Tensor:
        """Mean of ((D(y) - 1)^2 + D(made)^2) / 2 [], of both domains, what is made taken by way of the pools."""
        targets, sources = self._scaled(targets, sources)
        with torch.no_grad():
            made_targets = self.target_pool(self.to_target(sources))
            made_sources = self.source_pool(self.to_source(targets))
        losses = [
            (judge(real) - 1).square().mean() + judge(made).square().mean()
            for judge, real, made in (
                (self.target_judge, targets, made_targets),
                (self.source_judge, sources, made_sources),
            )
        ]
        loss: Tensor = (losses[0] + losses[1]) / 2
        return loss

    def sample(
        self,
        num: int,
        *,
        noise: Noise,
        condition: Tensor | None = None,
        sampling: Sampling = Sampling(),
        on_step: OnStep = untold,
    ) -> Tensor:
        """Sources [num, C, S, S], the condition, translated; no random number is drawn."""
        require_sampling("CycleGAN", sampling)
        if condition is None:
            raise UsageError(
                "CycleGAN translates images", got="none", expected=f"{num} images of its source domain"
            )
        return self.translate(condition, strength=1.0, noise=noise, on_step=on_step)

    def translate(
        self,
        images: Tensor,
        *,
        strength: float,
        noise: Noise,
        condition: Tensor | None = None,
        sampling: Sampling = Sampling(),
        on_step: OnStep = untold,
    ) -> Tensor:
        """Sources [B, C, S, S] as targets, whatever the strength."""
        require_sampling("CycleGAN", sampling)
        require_images("the generator of CycleGAN", images, self.spec.channels, self.spec.image)
        with torch.no_grad():
            made: Tensor = (self.to_target(2 * images - 1) + 1) / 2
        on_step(1, 1)
        return made

    def reconstruct(self, images: Tensor) -> Tensor:
        """Sources [B, C, S, S] translated, and back again."""
        require_images("the generator of CycleGAN", images, self.spec.channels, self.spec.image)
        with torch.no_grad():
            back: Tensor = (self.to_source(self.to_target(2 * images - 1)) + 1) / 2
        return back

    def _scaled(self, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        targets, sources = inputs
        for name, images in (("target", targets), ("source", sources)):
            require_images(f"the {name} side of CycleGAN", images, self.spec.channels, self.spec.image)
        return 2 * targets - 1, 2 * sources - 1


def distance(got: Tensor, wanted: Tensor) -> Tensor:
    """Mean absolute difference of each example [B]."""
    return (got - wanted).abs().flatten(1).mean(1)


def start(network: nn.Module) -> None:
    """Filters N(0, 0.02), biases zero (appendix)."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(layer.weight, 0.0, 0.02)
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)


CYCLEGAN = Family(
    landmark=Landmark(
        name="cyclegan",
        title="CycleGAN",
        family="generative",
        year=2017,
        paper="Zhu et al. 2017, Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks",
        constraint="data",
        summary="two kinds of picture are enough, without pairs: what is translated there and back must come back",
        proof="the published counts and the 30x30 judgements of 70x70 pixels; outputs and gradients of both "
        "networks equal a slow reference on loud weights (tests/models/test_cyclegan.py)",
    ),
    task="generation",
    spec_type=CycleGANSpec,
    module=CycleGAN,
    fit=fit_generation,
    inputs=lambda spec: (Input((spec.channels, spec.image, spec.image)),) * 2,
    dial="width",
)


@CYCLEGAN.preset("paper", parameters=28_285_832)
def cyclegan() -> CycleGANSpec:
    """The networks for 256x256 pixels: twice 11,378,179 to translate, twice 2,764,737 to judge."""
    return CycleGANSpec()


@CYCLEGAN.preset("laptop")
def cyclegan_digits() -> CycleGANSpec:
    """For 8x8 digits: one halving, two residual blocks, 3x3 filters."""
    return CycleGANSpec(image=8, channels=1, width=16, halvings=1, blocks=2, judge_halvings=1, kernel=3)
