"""VAE: an encoder that names a distribution over latents, a decoder that names one over pixels, trained as one.

B batch, C channels, S image side, D = C S S dimensions, H hidden units, J latents, n maps a channel of the output.

    pixels [B, C, S, S] -flatten, tanh layer (H)-> mean [B, J], log variance [B, J]      q(z | x)
    z = mean + exp(log variance / 2) * e,  e ~ N(0, I)                                   equation 4
    z [B, J] -tanh layer (H)-> maps [B, n C, S, S]                                       p(x | z)

    loss = KL(q(z | x) || N(0, I)) - log p(x | z) >= -log p(x)                           equation 10, with L = 1
    KL   = 1/2 sum_j (mean_j^2 + variance_j - log variance_j - 1)                        appendix B

Kingma & Welling 2013, Auto-Encoding Variational Bayes. Without hidden units and with a normal density of one shared
variance it is probabilistic PCA (Tipping & Bishop 1999), whose likelihood it reaches. The importance-weighted bound
is Burda et al. 2015, Importance Weighted Autoencoders, equation 8.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from sevenfold.errors import UsageError
from sevenfold.layers import Generative, Interpolates, Likelihood, Noise, Reconstructs, Sampling, require_images
from sevenfold.layers.generative import OnStep, require_sampling, untold
from sevenfold.layers.pixel_outputs import PixelOutputName, Shown, pixel_output
from sevenfold.layers.representing import Represents
from sevenfold.models._entry import Family, Landmark, fit_generation
from sevenfold.spec import Spec


class VAESpec(Spec):
    """Settings of the VAE."""

    image: int = Field(default=28, ge=1, description="pixels a side")
    channels: int = Field(default=1, ge=1, description="channels of the image")
    hidden: int = Field(
        default=500, ge=0, description="units of each hidden layer; 0: encoder and decoder are linear"
    )
    layers: int = Field(default=1, ge=1, description="hidden layers, in the encoder and in the decoder")
    latent: int = Field(default=20, ge=1, description="numbers that an image becomes")
    activation: Literal["tanh", "relu"] = Field(default="tanh", description="of the hidden units")
    output: PixelOutputName = Field(
        default="bernoulli",
        description="distribution of a pixel: bernoulli, gaussian, shared-gaussian, logistic or categorical",
    )
    levels: int = Field(
        default=256, ge=2, description="values a pixel can take, for the outputs logistic and categorical"
    )
    shown: Shown = Field(
        default="mean", description="samples: the expected pixels (as the paper shows), or pixels drawn from them"
    )


class VAE(Generative, Likelihood, Reconstructs, Interpolates, Represents):
    """[B, C, S, S] in 0..1 -> -log p(x) <= loss [B], in nats a dimension."""

    def __init__(self, spec: VAESpec) -> None:
        super().__init__()
        self.spec = spec
        self.output = pixel_output(spec.output, spec.levels)
        self.maps = spec.channels * self.output.maps
        dimensions = spec.channels * spec.image**2
        self.encoder, code = _hidden(spec, dimensions)
        self.mean = nn.Linear(code, spec.latent)
        self.log_variance = nn.Linear(code, spec.latent)
        self.decoder, code = _hidden(spec, spec.latent)
        self.pixels = nn.Linear(code, self.maps * spec.image**2)

    def forward(self, *inputs: Tensor) -> Tensor:
        return -self.bound(inputs[0]) / self._dimensions

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of q(z | x), each [B, J]."""
        require_images("the encoder of the VAE", images, self.spec.channels, self.spec.image)
        code = self.encoder(images.flatten(1))
        return self.mean(code), self.log_variance(code)

    def decode(self, latents: Tensor) -> Tensor:
        """The maps [B, n C, S, S] of p(x | z) for latents [B, J]."""
        maps: Tensor = self.pixels(self.decoder(latents))
        return maps.view(-1, self.maps, self.spec.image, self.spec.image)

    def bound(self, images: Tensor) -> Tensor:
        """A lower bound of log p(x) [B] in nats, with one draw of z; its expectation is below log p(x)."""
        mean, log_variance = self.encode(images)
        latents = mean + (log_variance / 2).exp() * torch.randn_like(mean)
        return self.output.log_likelihood(self.decode(latents), images) - divergence(mean, log_variance)

    def importance_weighted_bound(self, images: Tensor, num: int) -> Tensor:
        """log of the mean of p(x, z) / q(z | x) over ``num`` draws of z, [B] in nats; tends to log p(x)."""
        mean, log_variance = self.encode(images)
        weights = []
        for _ in range(num):
            noise = torch.randn_like(mean)
            latents = mean + (log_variance / 2).exp() * noise
            # log N(z; 0, I) - log N(z; mean, variance); the constants cancel.
            prior_and_posterior = 0.5 * (noise.square() + log_variance - latents.square()).sum(1)
            weights.append(self.output.log_likelihood(self.decode(latents), images) + prior_and_posterior)
        return torch.stack(weights).logsumexp(0) - math.log(num)

    def speaks_of(self, levels: int | None) -> bool:
        return self.output.speaks_of(levels)

    def bits_per_dimension(self, *inputs: Tensor) -> Tensor:
        self.output.require_levels(inputs[0])
        return -self.bound(inputs[0]) / (self._dimensions * math.log(2))

    def sample(
        self,
        num: int,
        *,
        noise: Noise,
        condition: Tensor | None = None,
        sampling: Sampling = Sampling(),
        on_step: OnStep = untold,
    ) -> Tensor:
        require_sampling("the VAE", sampling, "temperature")
        if condition is not None:
            raise UsageError("the VAE is told nothing", got="a condition", expected="none")
        maps = self.decode(sampling.temperature * noise.normal(self.spec.latent))
        images = self.output.shown(maps, self.spec.shown, noise)
        on_step(1, 1)
        return images

    def reconstruct(self, images: Tensor) -> Tensor:
        """The expected pixels of the most likely latents."""
        return self.output.mean(self.decode(self.encode(images)[0])).clamp(0, 1)

    def represent(self, *inputs: Tensor) -> Tensor:
        """The means of the latents [B, J]."""
        return self.encode(inputs[0])[0]

    def interpolate(self, first: Tensor, second: Tensor, num: int, *, noise: Noise) -> Tensor:
        """Along the straight line between the means of both images' latents; no noise is drawn."""
        ends = self.encode(torch.stack([first, second]))[0]
        shares = torch.linspace(0, 1, num, device=ends.device, dtype=ends.dtype)[:, None]
        return self.output.mean(self.decode(torch.lerp(ends[0], ends[1], shares))).clamp(0, 1)

    @property
    def _dimensions(self) -> int:
        return self.spec.channels * self.spec.image**2


def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, variance) || N(0, I)) [B] in nats, of means and log variances [B, J]. Source: appendix B.

    >>> divergence(torch.tensor([[1.0, 2.0]]), torch.zeros(1, 2)).item()
    2.5
    """
    return 0.5 * (mean.square() + log_variance.exp() - log_variance - 1).sum(1)


def _hidden(spec: VAESpec, inputs: int) -> tuple[nn.Sequential, int]:
    """The hidden layers over ``inputs`` numbers, and how many numbers they give."""
    layers: list[nn.Module] = []
    if spec.hidden:
        for _ in range(spec.layers):
            layers += [nn.Linear(inputs, spec.hidden), nn.Tanh() if spec.activation == "tanh" else nn.ReLU()]
            inputs = spec.hidden
    return nn.Sequential(*layers), inputs


VAE_FAMILY = Family(
    landmark=Landmark(
        name="vae",
        title="VAE",
        family="generative",
        year=2013,
        paper="Kingma & Welling 2013, Auto-Encoding Variational Bayes",
        constraint="optimization",
        summary="gradients through a random latent: a model with hidden causes is trained like any other network",
        proof="the divergence equals torch.distributions'; the bound is below log p(x) by quadrature, and "
        "importance weighting closes the gap; without hidden units training reaches the likelihood of "
        "probabilistic PCA as scikit-learn computes it (tests/models/test_vae.py)",
    ),
    task="generation",
    spec_type=VAESpec,
    module=VAE,
    fit=fit_generation,
    shape=lambda spec: (spec.channels, spec.image, spec.image),
    dial="hidden",
)


@VAE_FAMILY.preset("paper", parameters=815_824)
def vae() -> VAESpec:
    """The paper's network for MNIST (section 5): 500 tanh units each way, Bernoulli pixels, 20 latents."""
    return VAESpec()


@VAE_FAMILY.preset("laptop")
def vae_small() -> VAESpec:
    """For 8x8 digits of 17 grey levels: two hidden layers of 256, 8 latents, discretized logistic pixels."""
    return VAESpec(image=8, hidden=256, layers=2, latent=8, activation="relu", output="logistic", levels=17)
