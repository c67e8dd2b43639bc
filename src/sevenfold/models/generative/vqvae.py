"""VQ-VAE: an autoencoder whose bottleneck is a grid of learned codes, and a prior over the grids.

B batch, C channels, S image side, s side of the grid, K codes of D numbers, n maps a channel of the output.

    pixels [B, C, S, S] -4x4 convolutions of stride 2, residual blocks, 1x1-> z_e [B, D, s, s]
    z_q = the nearest of K codes at each place; gradients pass straight through          equations 1 and 2
    z_q -3x3, residual blocks, transposed convolutions-> maps [B, n C, S, S]             p(x | z_q)

    autoencoder   -log p(x | z_q) / dimensions + ||sg[z_e] - e||^2 + 0.25 ||z_e - sg[e]||^2      equation 3
                  the squares are means; with moving codes the middle term falls away (appendix A.1)
    prior         -log p(z), a PixelCNN over the grid of indices, trained after the autoencoder
    log p(x) >= log p(x | z_q) + log p(z_q)                                              end of section 3.2

van den Oord, Vinyals & Kavukcuoglu 2017, Neural Discrete Representation Learning. How wide a code is on images the
paper does not say: 64 is the example's in the authors' release; nor does it say the prior's sizes.
"""

from __future__ import annotations

import math
from typing import Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from sevenfold.errors import SpecError
from sevenfold.layers import Generative, Likelihood, Noise, Played, Player, Reconstructs, Sampling, require_images
from sevenfold.layers.generative import OnStep, require_sampling, untold
from sevenfold.layers.pixel_outputs import PixelOutputName, Shown, pixel_output
from sevenfold.layers.pixelcnn import PixelCNN, require_prior
from sevenfold.layers.quantizing import Codebook, MovingCodebook, Quantized
from sevenfold.layers.strided import Growing, Shrinking
from sevenfold.models._entry import Family, Input, Landmark, fit_generation
from sevenfold.spec import Spec


class VQVAESpec(Spec):
    """Settings of VQ-VAE."""

    image: int = Field(default=128, ge=2, description="pixels a side; a multiple of 2^halvings")
    channels: int = Field(default=3, ge=1, description="channels of the image")
    classes: int = Field(default=0, ge=0, description="classes that the prior is told; 0: none")
    width: int = Field(default=256, ge=1, description="maps of every convolution in encoder and decoder")
    inner: int | None = Field(default=None, ge=1, description="maps inside a residual block; none is width")
    blocks: int = Field(default=2, ge=1, description="residual blocks, in the encoder and in the decoder")
    halvings: int = Field(default=2, ge=1, description="convolutions of stride 2")
    codes: int = Field(default=512, ge=2, description="codes of the codebook")
    code_width: int = Field(default=64, ge=1, description="numbers of a code")
    codebook: Literal["moving", "gradient"] = Field(
        default="gradient", description="how codes learn: by the gradient of their loss, or as moving averages"
    )
    decay: float = Field(default=0.99, ge=0, lt=1, description="of the moving averages")
    revived_below: float = Field(
        default=0.0, ge=0, description="moving codes chosen less often a step are put where inputs are; 0: never"
    )
    commitment: float = Field(default=0.25, ge=0, description="weight of the loss that holds inputs to their codes")
    output: PixelOutputName = Field(
        default="shared-gaussian", description="distribution of a pixel; shared-gaussian is the squared error"
    )
    levels: int = Field(default=256, ge=2, description="values a pixel can take, for logistic and categorical")
    shown: Shown = Field(
        default="mean", description="samples: the expected pixels, or pixels drawn from their distribution"
    )
    prior_width: int = Field(default=256, ge=1, description="maps of the prior; a multiple of prior_heads")
    prior_layers: int = Field(default=15, ge=1, description="gated layers of the prior")
    prior_kernel: int = Field(default=5, ge=3, description="side of the prior's kernels; odd")
    prior_attention_every: int = Field(
        default=0, ge=0, description="the prior attends after so many layers; 0: never"
    )
    prior_heads: int = Field(default=1, ge=1, description="attention heads of the prior")
    dropout: float = Field(default=0.0, ge=0, lt=1, description="share left out in the prior's layers, in training")
    autoencoder_share: float = Field(
        default=0.5, gt=0, lt=1, description="share of the run in which the autoencoder learns; then the prior does"
    )

    @property
    def side(self) -> int:
        """Places a side of the grid of codes."""
        return self.image >> self.halvings

    @model_validator(mode="after")
    def _sizes_fit(self) -> Self:
        require_prior(self.prior_width, self.prior_heads, self.prior_kernel)
        if self.image % (1 << self.halvings):
            raise SpecError("image does not fit", got=self.image, expected=f"a multiple of {1 << self.halvings}")
        return self


class VQVAE(Generative, Played, Likelihood, Reconstructs):
    """[B, C, S, S] in 0..1, and labels [B] where it has classes -> loss [B] in nats a dimension.

    The loss is the autoencoder's and the prior's, together -log p(x) at most, and what holds codes and inputs
    together (0.25 of a mean square with moving codes).
    """

    def __init__(self, spec: VQVAESpec) -> None:
        super().__init__()
        self.spec = spec
        self.condition = "class" if spec.classes else "none"
        self.output = pixel_output(spec.output, spec.levels)
        inner = spec.inner or spec.width
        self.encoder = Shrinking(spec.channels, spec.width, inner, spec.blocks, spec.halvings)
        self.to_code = nn.Conv2d(spec.width, spec.code_width, 1)
        self.codebook: Codebook | MovingCodebook = (
            MovingCodebook(spec.codes, spec.code_width, decay=spec.decay, revived_below=spec.revived_below)
            if spec.codebook == "moving"
            else Codebook(spec.codes, spec.code_width)
        )
        maps = spec.channels * self.output.maps
        self.decoder = Growing(spec.code_width, spec.width, inner, spec.blocks, spec.halvings, maps)
        self.prior = PixelCNN(
            symbols=spec.codes,
            side=spec.side,
            width=spec.prior_width,
            layers=spec.prior_layers,
            kernel=spec.prior_kernel,
            attention_every=spec.prior_attention_every,
            heads=spec.prior_heads,
            classes=spec.classes,
            dropout=spec.dropout,
        )

    def players(self) -> tuple[Player, ...]:
        prior = tuple(self.prior.parameters())
        others = {id(parameter) for parameter in prior}
        autoencoder = tuple(one for one in self.parameters() if id(one) not in others)
        return (
            Player("autoencoder", autoencoder, self._autoencoder_mean, ends=self.spec.autoencoder_share),
            Player("prior", prior, self._prior_mean, begins=self.spec.autoencoder_share),
        )

    def forward(self, *inputs: Tensor) -> Tensor:
        autoencoder, quantized = self._autoencoder(inputs[0])
        prior = self.prior.log_likelihood(quantized.indices, labels=self._labels(inputs))
        return autoencoder - prior / self._dimensions

    def encode(self, images: Tensor) -> Tensor:
        """The indices [B, s, s] of each image's codes."""
        return self.codebook.indices(self._encoded(images))

    def decode(self, indices: Tensor) -> Tensor:
        """The maps [B, n C, S, S] of p(x | z) for indices [B, s, s]."""
        maps: Tensor = self.decoder(self.codebook.lookup(indices))
        return maps

    def speaks_of(self, levels: int | None) -> bool:
        return self.output.speaks_of(levels)

    def bits_per_dimension(self, *inputs: Tensor) -> Tensor:
        self.output.require_levels(inputs[0])
        indices = self.encode(inputs[0])
        log_likelihood = self.output.log_likelihood(self.decode(indices), inputs[0])
        log_prior = self.prior.log_likelihood(indices, labels=self._labels(inputs))
        return -(log_likelihood + log_prior) / (self._dimensions * math.log(2))

    def sample(
        self,
        num: int,
        *,
        noise: Noise,
        condition: Tensor | None = None,
        sampling: Sampling = Sampling(),
        on_step: OnStep = untold,
    ) -> Tensor:
        require_sampling("VQ-VAE", sampling, "temperature")
        indices = self.prior.sample(noise, labels=condition, temperature=sampling.temperature, on_step=on_step)
        maps = self.decode(indices)
        return self.output.shown(maps, self.spec.shown, noise)

    def reconstruct(self, images: Tensor) -> Tensor:
        return self.output.mean(self.decode(self.encode(images))).clamp(0, 1)

    def _encoded(self, images: Tensor) -> Tensor:
        require_images("the encoder of VQ-VAE", images, self.spec.channels, self.spec.image)
        encoded: Tensor = self.to_code(self.encoder(images - 0.5))
        return encoded

    def _autoencoder(self, images: Tensor) -> tuple[Tensor, Quantized]:
        """The autoencoder's loss [B] (equation 3, the likelihood a dimension), and what it was computed from."""
        quantized: Quantized = self.codebook(self._encoded(images))
        log_likelihood = self.output.log_likelihood(self.decoder(quantized.codes), images)
        to_codes = quantized.codebook_loss + self.spec.commitment * quantized.commitment_loss
        return to_codes - log_likelihood / self._dimensions, quantized

    def _autoencoder_mean(self, *inputs: Tensor) -> Tensor:
        return self._autoencoder(inputs[0])[0].mean()

    def _prior_mean(self, *inputs: Tensor) -> Tensor:
        """The mean loss [] of the prior, in nats a code."""
        with torch.no_grad():
            indices = self.encode(inputs[0])
        return -self.prior.log_likelihood(indices, labels=self._labels(inputs)).mean() / self.spec.side**2

    def _labels(self, inputs: tuple[Tensor, ...]) -> Tensor | None:
        return inputs[1] if len(inputs) > 1 else None

    @property
    def _dimensions(self) -> int:
        return self.spec.channels * self.spec.image**2


def inputs_of(channels: int, image: int, classes: int) -> tuple[Input, ...]:
    """What a model is called with: pixels, and labels where it has classes."""
    pixels = Input((channels, image, image))
    return (pixels, Input((), vocabulary=classes)) if classes else (pixels,)


VQVAE_FAMILY = Family(
    landmark=Landmark(
        name="vqvae",
        title="VQ-VAE",
        family="generative",
        year=2017,
        paper="van den Oord et al. 2017, Neural Discrete Representation Learning",
        constraint="compute",
        summary="images become small grids of learned symbols, on which an autoregressive prior is affordable",
        proof="the codebook equals vector_quantize_pytorch's moving averages and diffusers' losses, its gradient "
        "is the identity; losses and gradients equal a reference written out; the bound is below log p(x), summed "
        "over all grids (tests/models/test_vqvae.py, tests/layers/test_quantizing.py)",
    ),
    task="generation",
    spec_type=VQVAESpec,
    module=VQVAE,
    fit=fit_generation,
    inputs=lambda spec: inputs_of(spec.channels, spec.image, spec.classes),
    dial="width",
)


@VQVAE_FAMILY.preset("paper", parameters=44_832_836)
def vqvae() -> VQVAESpec:
    """Section 4.2: 128x128x3 pixels of ImageNet become 32x32 of 512 codes; the prior's sizes are ours."""
    return VQVAESpec()


@VQVAE_FAMILY.preset("laptop")
def vqvae_small() -> VQVAESpec:
    """For 8x8 digits of 17 grey levels: 2x2 places of 64 codes, and a prior of two layers."""
    return VQVAESpec(
        image=8,
        channels=1,
        width=32,
        blocks=1,
        codes=64,
        code_width=16,
        codebook="moving",
        revived_below=0.1,
        output="logistic",
        levels=17,
        prior_width=32,
        prior_layers=2,
        prior_kernel=3,
        dropout=0.2,
    )
