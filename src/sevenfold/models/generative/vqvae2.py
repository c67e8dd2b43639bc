"""VQ-VAE-2: codes on two levels, the top for the whole and the bottom for detail, each with a prior of its own.

B batch, C channels, S image side, b and t sides of the bottom and the top grid, K codes of D numbers, W width, n
maps a channel of the output.

    pixels [B, C, S, S] -4x4 convolutions of stride 2, residual blocks-> h_b [B, W, b, b]     paper: S 256, b 64
    h_b -4x4 convolutions of stride 2, residual blocks-> h_t [B, W, t, t] -1x1-> e_t, quantized          paper: t 32
    e_t -transposed convolution to side b, beside h_b, 3x3, residual blocks, 1x1-> e_b, quantized
    e_b beside the enlarged e_t -3x3, residual blocks, transposed convolutions-> maps [B, n C, S, S]

    autoencoder   -log p(x | e_t, e_b) / dimensions + 0.25 ||h - sg[e]||^2 of each level; codes are moving averages
    top prior     -log p(top | class): PixelCNN with self-attention                             section 3.2
    bottom prior  -log p(bottom | top, class): PixelCNN told the top grid through a stack of residual blocks
    log p(x) >= log p(x | top, bottom) + log p(bottom | top) + log p(top)

Razavi, van den Oord & Vinyals 2019, Generating Diverse High-Fidelity Images with VQ-VAE-2: algorithms 1 and 2 and
figure 2, grids of 32x32 and 64x64 of 512 codes for 256x256 pixels. How maps are enlarged and joined is told by an
author's answer (Stack Overflow, question 60884274). The paper's top prior is a PixelSNAIL, its bottom prior a
PixelCNN without attention; here both are of `sevenfold.layers.pixelcnn`. Widths and depths of the large preset are
this library's choice, so that its count is no published one.
"""

from __future__ import annotations

import math
from typing import NamedTuple, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from sevenfold.errors import SpecError
from sevenfold.layers import Generative, Likelihood, Noise, Played, Player, Reconstructs, Sampling, require_images
from sevenfold.layers.generative import OnStep, require_sampling, untold
from sevenfold.layers.pixel_outputs import PixelOutputName, Shown, pixel_output
from sevenfold.layers.pixelcnn import PixelCNN, require_prior
from sevenfold.layers.quantizing import MovingCodebook, Quantized
from sevenfold.layers.strided import Growing, ResidualBlocks, Shrinking
from sevenfold.models._entry import Family, Input, Landmark, fit_generation
from sevenfold.spec import Spec


class VQVAE2Spec(Spec):
    """Settings of VQ-VAE-2."""

    image: int = Field(
        default=256, ge=4, description="pixels a side; a multiple of 2^(bottom_halvings + top_halvings)"
    )
    channels: int = Field(default=3, ge=1, description="channels of the image")
    classes: int = Field(default=0, ge=0, description="classes that the priors are told; 0: none")
    width: int = Field(default=128, ge=1, description="maps of every convolution in encoder and decoder")
    inner: int = Field(default=64, ge=1, description="maps inside a residual block")
    blocks: int = Field(default=2, ge=1, description="residual blocks of each part")
    bottom_halvings: int = Field(default=2, ge=1, description="convolutions of stride 2 to the bottom grid")
    top_halvings: int = Field(default=1, ge=1, description="convolutions of stride 2 from there to the top grid")
    codes: int = Field(default=512, ge=2, description="codes of each level's codebook")
    code_width: int = Field(default=64, ge=1, description="numbers of a code")
    decay: float = Field(default=0.99, ge=0, lt=1, description="of the moving averages that codes are")
    revived_below: float = Field(
        default=0.0, ge=0, description="codes chosen less often a step are put where inputs are; 0: never"
    )
    commitment: float = Field(default=0.25, ge=0, description="weight of the loss that holds inputs to their codes")
    output: PixelOutputName = Field(
        default="shared-gaussian", description="distribution of a pixel; shared-gaussian is the squared error"
    )
    levels: int = Field(default=256, ge=2, description="values a pixel can take, for logistic and categorical")
    shown: Shown = Field(
        default="mean", description="samples: the expected pixels, or pixels drawn from their distribution"
    )
    prior_width: int = Field(default=512, ge=1, description="maps of both priors; a multiple of prior_heads")
    prior_layers: int = Field(default=20, ge=1, description="gated layers of each prior")
    prior_kernel: int = Field(default=5, ge=3, description="side of the priors' kernels; odd")
    prior_attention_every: int = Field(
        default=5, ge=0, description="the top prior attends after so many layers; 0: never"
    )
    prior_heads: int = Field(default=8, ge=1, description="attention heads of the top prior")
    prior_context_blocks: int = Field(
        default=20, ge=1, description="residual blocks through which the bottom prior is told the top grid"
    )
    dropout: float = Field(default=0.1, ge=0, lt=1, description="share left out in the priors' layers, in training")
    autoencoder_share: float = Field(
        default=0.5, gt=0, lt=1, description="share of the run in which the autoencoder learns; then the priors do"
    )

    @property
    def bottom_side(self) -> int:
        """Places a side of the bottom grid."""
        return self.image >> self.bottom_halvings

    @property
    def top_side(self) -> int:
        """Places a side of the top grid."""
        return self.bottom_side >> self.top_halvings

    @model_validator(mode="after")
    def _sizes_fit(self) -> Self:
        multiple = 1 << (self.bottom_halvings + self.top_halvings)
        if self.image % multiple:
            raise SpecError("image does not fit", got=self.image, expected=f"a multiple of {multiple}")
        require_prior(self.prior_width, self.prior_heads, self.prior_kernel)
        return self


class Grids(NamedTuple):
    """The indices of both levels."""

    top: Tensor  # [B, t, t]
    bottom: Tensor  # [B, b, b]


class VQVAE2(Generative, Played, Likelihood, Reconstructs):
    """[B, C, S, S] in 0..1, and labels [B] where it has classes -> loss [B] in nats a dimension.

    The loss is the autoencoder's and both priors', together -log p(x) at most, and 0.25 of the mean squares that
    hold inputs to their codes.
    """

    def __init__(self, spec: VQVAE2Spec) -> None:
        super().__init__()
        self.spec = spec
        self.condition = "class" if spec.classes else "none"
        self.output = pixel_output(spec.output, spec.levels)
        sizes = (spec.width, spec.inner, spec.blocks)
        self.bottom_encoder = Shrinking(spec.channels, *sizes, spec.bottom_halvings)
        self.top_encoder = Shrinking(spec.width, *sizes, spec.top_halvings)
        self.to_top_code = nn.Conv2d(spec.width, spec.code_width, 1)
        self.enlarge = _enlarging(spec.code_width, spec.code_width, spec.top_halvings)
        self.join = nn.Sequential(
            nn.Conv2d(spec.code_width + spec.width, spec.width, 3, padding=1), ResidualBlocks(*sizes)
        )
        self.to_bottom_code = nn.Conv2d(spec.width, spec.code_width, 1)
        self.top_codebook, self.bottom_codebook = (
            MovingCodebook(spec.codes, spec.code_width, decay=spec.decay, revived_below=spec.revived_below)
            for _ in range(2)
        )
        maps = spec.channels * self.output.maps
        self.decoder = Growing(2 * spec.code_width, *sizes, spec.bottom_halvings, maps)
        self.top_prior = self._prior(spec.top_side, attention_every=spec.prior_attention_every)
        self.bottom_prior = self._prior(spec.bottom_side, context=spec.prior_width)
        self.tell_top = TopContext(spec)

    def _prior(self, side: int, *, attention_every: int = 0, context: int = 0) -> PixelCNN:
        return PixelCNN(
            symbols=self.spec.codes,
            side=side,
            width=self.spec.prior_width,
            layers=self.spec.prior_layers,
            kernel=self.spec.prior_kernel,
            attention_every=attention_every,
            heads=self.spec.prior_heads,
            classes=self.spec.classes,
            context=context,
            dropout=self.spec.dropout,
        )

    def players(self) -> tuple[Player, ...]:
        top = tuple(self.top_prior.parameters())
        bottom = (*self.bottom_prior.parameters(), *self.tell_top.parameters())
        others = {id(parameter) for parameter in (*top, *bottom)}
        autoencoder = tuple(one for one in self.parameters() if id(one) not in others)
        begins = self.spec.autoencoder_share
        return (
            Player("autoencoder", autoencoder, self._autoencoder_mean, ends=begins),
            Player("top_prior", top, self._top_mean, begins=begins),
            Player("bottom_prior", bottom, self._bottom_mean, begins=begins),
        )

    def forward(self, *inputs: Tensor) -> Tensor:
        loss, top, bottom = self._autoencoder(inputs[0])
        return loss - self.log_prior(Grids(top.indices, bottom.indices), self._labels(inputs)) / self._dimensions

    def encode(self, images: Tensor) -> Grids:
        """The indices of each image's codes on both levels."""
        near, encoded_top = self._encoded_top(images)
        top = self.top_codebook.indices(encoded_top)
        return Grids(top, self.bottom_codebook.indices(self._encoded_bottom(self.top_codebook.lookup(top), near)))

    def decode(self, grids: Grids) -> Tensor:
        """The maps [B, n C, S, S] of p(x | top, bottom)."""
        return self._decoded(self.top_codebook.lookup(grids.top), self.bottom_codebook.lookup(grids.bottom))

    def log_prior(self, grids: Grids, labels: Tensor | None = None) -> Tensor:
        """log p(top) + log p(bottom | top), each given the class where there are classes, [B] in nats."""
        top = self.top_prior.log_likelihood(grids.top, labels=labels)
        return top + self.bottom_prior.log_likelihood(grids.bottom, labels=labels, context=self.tell_top(grids.top))

    def speaks_of(self, levels: int | None) -> bool:
        return self.output.speaks_of(levels)

    def bits_per_dimension(self, *inputs: Tensor) -> Tensor:
        self.output.require_levels(inputs[0])
        grids = self.encode(inputs[0])
        log_likelihood = self.output.log_likelihood(self.decode(grids), inputs[0])
        return -(log_likelihood + self.log_prior(grids, self._labels(inputs))) / (self._dimensions * math.log(2))

    def sample(
        self,
        num: int,
        *,
        noise: Noise,
        condition: Tensor | None = None,
        sampling: Sampling = Sampling(),
        on_step: OnStep = untold,
    ) -> Tensor:
        require_sampling("VQ-VAE-2", sampling, "temperature")
        tops, bottoms = self.spec.top_side**2, self.spec.bottom_side**2
        top = self.top_prior.sample(
            noise,
            labels=condition,
            temperature=sampling.temperature,
            on_step=lambda done, of: on_step(done, tops + bottoms),
        )
        bottom = self.bottom_prior.sample(
            noise,
            labels=condition,
            context=self.tell_top(top),
            temperature=sampling.temperature,
            on_step=lambda done, of: on_step(tops + done, tops + bottoms),
        )
        return self.output.shown(self.decode(Grids(top, bottom)), self.spec.shown, noise)

    def reconstruct(self, images: Tensor) -> Tensor:
        return self.output.mean(self.decode(self.encode(images))).clamp(0, 1)

    def _encoded_top(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """The bottom encoder's maps [B, W, b, b], and what the top codes are to stand for [B, D, t, t]."""
        require_images("the encoder of VQ-VAE-2", images, self.spec.channels, self.spec.image)
        near = self.bottom_encoder(images - 0.5)
        return near, self.to_top_code(self.top_encoder(near))

    def _encoded_bottom(self, top: Tensor, near: Tensor) -> Tensor:
        """What the bottom codes are to stand for [B, D, b, b], given the top codes."""
        encoded: Tensor = self.to_bottom_code(self.join(torch.cat([self.enlarge(top), near], dim=1)))
        return encoded

    def _decoded(self, top: Tensor, bottom: Tensor) -> Tensor:
        maps: Tensor = self.decoder(torch.cat([self.enlarge(top), bottom], dim=1))
        return maps

    def _autoencoder(self, images: Tensor) -> tuple[Tensor, Quantized, Quantized]:
        """The autoencoder's loss [B], and both levels."""
        near, encoded_top = self._encoded_top(images)
        top: Quantized = self.top_codebook(encoded_top)
        bottom: Quantized = self.bottom_codebook(self._encoded_bottom(top.codes, near))
        log_likelihood = self.output.log_likelihood(self._decoded(top.codes, bottom.codes), images)
        commitment = self.spec.commitment * (top.commitment_loss + bottom.commitment_loss)
        return commitment - log_likelihood / self._dimensions, top, bottom

    def _autoencoder_mean(self, *inputs: Tensor) -> Tensor:
        return self._autoencoder(inputs[0])[0].mean()

    def _top_mean(self, *inputs: Tensor) -> Tensor:
        """The mean loss [] of the top prior, in nats a code."""
        with torch.no_grad():
            top = self.top_codebook.indices(self._encoded_top(inputs[0])[1])
        return -self.top_prior.log_likelihood(top, labels=self._labels(inputs)).mean() / self.spec.top_side**2

    def _bottom_mean(self, *inputs: Tensor) -> Tensor:
        """The mean loss [] of the bottom prior, in nats a code."""
        with torch.no_grad():
            top, bottom = self.encode(inputs[0])
        log_prior = self.bottom_prior.log_likelihood(
            bottom, labels=self._labels(inputs), context=self.tell_top(top)
        )
        return -log_prior.mean() / self.spec.bottom_side**2

    def _labels(self, inputs: tuple[Tensor, ...]) -> Tensor | None:
        return inputs[1] if len(inputs) > 1 else None

    @property
    def _dimensions(self) -> int:
        return self.spec.channels * self.spec.image**2


class TopContext(nn.Module):
    """What the bottom prior is told of the top grid: indices [B, t, t] -> maps [B, prior_width, b, b]."""

    def __init__(self, spec: VQVAE2Spec) -> None:
        super().__init__()
        width = spec.prior_width
        self.embedding = nn.Embedding(spec.codes, width)
        self.enlarge = _enlarging(width, width, spec.top_halvings)
        self.blocks = ResidualBlocks(width, width, spec.prior_context_blocks)

    def forward(self, top: Tensor) -> Tensor:
        maps: Tensor = self.blocks(self.enlarge(self.embedding(top).movedim(-1, 1)))
        return maps


def _enlarging(inputs: int, outputs: int, doublings: int) -> nn.Sequential:
    """Transposed convolutions that double the side of maps."""
    return nn.Sequential(
        *(
            nn.ConvTranspose2d(outputs if number else inputs, outputs, 4, stride=2, padding=1)
            for number in range(doublings)
        )
    )


def _inputs(spec: VQVAE2Spec) -> tuple[Input, ...]:
    pixels = Input((spec.channels, spec.image, spec.image))
    return (pixels, Input((), vocabulary=spec.classes)) if spec.classes else (pixels,)


VQVAE2_FAMILY = Family(
    landmark=Landmark(
        name="vqvae2",
        title="VQ-VAE-2",
        family="generative",
        year=2019,
        paper="Razavi et al. 2019, Generating Diverse High-Fidelity Images with VQ-VAE-2",
        constraint="architecture",
        summary="two levels of codes part what an image shows from how it looks; each gets the prior that it needs",
        proof="losses and gradients equal a reference written out; the bound is below log p(x), summed over all "
        "grids of both levels; either level's codes matter to the decoder (tests/models/test_vqvae2.py)",
    ),
    task="generation",
    spec_type=VQVAE2Spec,
    module=VQVAE2,
    fit=fit_generation,
    inputs=_inputs,
    dial="width",
)


@VQVAE2_FAMILY.preset("paper", parameters=592_444_356)
def vqvae2() -> VQVAE2Spec:
    """256x256x3 pixels become 32x32 and 64x64 of 512 codes, by class; widths and depths are ours."""
    return VQVAE2Spec(classes=1000)


@VQVAE2_FAMILY.preset("laptop")
def vqvae2_small() -> VQVAE2Spec:
    """For 8x8 digits of 17 grey levels by class: 2x2 and 4x4 places of 16 codes, and two small priors."""
    return VQVAE2Spec(
        image=8,
        channels=1,
        classes=10,
        width=32,
        inner=16,
        blocks=1,
        bottom_halvings=1,
        codes=16,
        code_width=16,
        revived_below=0.1,
        output="logistic",
        levels=17,
        prior_width=32,
        prior_layers=2,
        prior_kernel=3,
        prior_attention_every=2,
        prior_heads=2,
        prior_context_blocks=1,
        dropout=0.1,
        autoencoder_share=0.6,
    )
