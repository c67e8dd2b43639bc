"""Latent diffusion: an autoencoder makes small images of large ones, and the diffusion runs there.

B images, C channels, S side, F = S / s the factor, Z channels of the latent, K classes, T tokens of a caption.

    first stage    x in -1..1 [B, C, S, S] -encoder-> z [B, Z, s, s] -decoder-> x'                     section 3.1
                   |x - x'| + 1e-6 KL(q(z | x) || N(0, I)), or with a codebook equation 3 of VQ-VAE
    second stage   z / deviation of z is what diffuses; L = |eps(z_t, t, tau(y)) - noise|^2        equation 2, 3
                   the U-Net's pixels look at the tokens tau(y): a row a class, or an encoder of captions
    sampling       DDIM in the latent, then the decoder; with eps = none + guidance (told - none)  appendix, Ho 2022
    deviation      of the first batch's latents when the second stage begins                       appendix G

Not the paper's: the first stage has neither a perceptual nor an adversarial loss, which need a VGG network trained
on ImageNet, and a discriminator. Both stages are players of one run; the first is done when the second begins.

Rombach, Blattmann, Lorenz, Esser & Ommer 2021, High-Resolution Image Synthesis with Latent Diffusion Models.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from sevenfold.errors import UsageError
from sevenfold.layers import (
    AveragedWeights,
    Generative,
    Noise,
    OnStep,
    Played,
    Player,
    Reconstructs,
    Sampling,
    Translates,
    untold,
)
from sevenfold.layers.caption_encoder import CaptionEncoder, ClassTokens
from sevenfold.layers.checking import require_images, require_rows
from sevenfold.layers.diffusion import Denoiser, Process, betas, mean_square, path, walk
from sevenfold.layers.diffusion.images import from_pixels, to_pixels
from sevenfold.layers.diffusion_unet import DiffusionUNet
from sevenfold.layers.generative import require_sampling
from sevenfold.layers.image_autoencoder import AutoencoderKL, VQAutoencoder, gaussian_divergence
from sevenfold.models._entry import Family, Input, Landmark, fit_generation
from sevenfold.models.generative._latent_diffusion_spec import LatentDiffusionSpec


class LatentDiffusion(Generative, Played, Reconstructs, Translates):
    """Images [B, C, S, S] in 0..1 (and labels [B] or tokens [B, T]) -> both stages' losses together, [B]."""

    deviation: Tensor  # [] of the latents, 0 until it is measured

    def __init__(self, spec: LatentDiffusionSpec) -> None:
        super().__init__()
        self.spec = spec
        self.condition = "class" if spec.classes else "tokens" if spec.vocabulary else "none"
        self.process = Process(betas("scaled-linear", spec.steps, first=spec.first_beta, last=spec.last_beta))
        first = spec.autoencoder()
        self.autoencoder = AutoencoderKL(first) if spec.codes is None else VQAutoencoder(first)
        self.unet = DiffusionUNet(spec.unet())
        self.told = _token_encoder(spec)
        self.register_buffer("deviation", torch.zeros(()))
        self.average = AveragedWeights(self.unet, spec.average)
        self.average.follows = "denoiser"

    def players(self) -> tuple[Player, ...]:
        """The autoencoder, and after it the U-Net with what encodes the condition."""
        second = [*self.unet.parameters(), *(self.told.parameters() if self.told is not None else ())]
        share = self.spec.first_share
        return (
            Player(
                "autoencoder",
                tuple(self.autoencoder.parameters()),
                lambda *inputs: self.first_loss(inputs[0]).mean(),
                ends=share,
            ),
            Player("denoiser", tuple(second), lambda *inputs: self.second_loss(*inputs).mean(), begins=share),
        )

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.first_loss(inputs[0]) + self.second_loss(*inputs)

    def first_loss(self, images: Tensor) -> Tensor:
        """The autoencoder's loss of each image [B], the mean over its pixel values."""
        require_images("latent diffusion", images, self.spec.channels, self.spec.image)
        data = from_pixels(images)
        if isinstance(self.autoencoder, VQAutoencoder):
            latents = self.autoencoder.encode(data)
            return _error(self.autoencoder.decode(latents), data) + self.autoencoder.codebook_loss(latents)
        mean, log_variance = self.autoencoder.encode(data)
        drawn = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        divergence = gaussian_divergence(mean, log_variance) / data[0].numel()
        return _error(self.autoencoder.decode(drawn), data) + self.spec.divergence * divergence

    def second_loss(self, *inputs: Tensor) -> Tensor:
        """The mean square error of the noise in each image's latent [B]; in training with what is told left out."""
        images, *rest = inputs
        condition = rest[0] if rest else None
        self._require_told(condition)
        with torch.no_grad():
            latents = self._latents(images, measured=self.training)
        t = torch.randint(self.process.steps, (len(latents),), device=latents.device)
        noise = torch.randn_like(latents)
        if self.training and condition is not None:
            left_out = torch.rand(len(latents), device=latents.device) < self.spec.untold
            left_out = left_out.reshape(-1, *(1 for _ in condition.shape[1:]))
            condition = torch.where(left_out, self._nothing(condition), condition)
        return mean_square(self._noise_in(self.process.noised(latents, t, noise), t, condition), noise)

    @torch.no_grad()
    def sample(
        self,
        num: int,
        *,
        noise: Noise,
        condition: Tensor | None = None,
        sampling: Sampling = Sampling(),
        on_step: OnStep = untold,
    ) -> Tensor:
        inner = self.unet.spec
        start = noise.normal(inner.channels, inner.image, inner.image)
        return self._walk(start, 1.0, noise, condition, sampling, on_step)

    @torch.no_grad()
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
        """The latent made noisy by ``strength`` of the steps and walked back: Meng et al. 2021, SDEdit."""
        if not 0 <= strength <= 1:
            raise UsageError("the strength of a translation is a share", got=strength, expected="0 to 1")
        return self._walk(self._latents(images), strength, noise, condition, sampling, on_step)

    @torch.no_grad()
    def reconstruct(self, images: Tensor) -> Tensor:
        return to_pixels(self.autoencoder(from_pixels(images)))

    def _walk(
        self,
        start: Tensor,
        strength: float,
        noise: Noise,
        condition: Tensor | None,
        sampling: Sampling,
        on_step: OnStep,
    ) -> Tensor:
        """Images of latents: noise for strength 1, else latents that are made noisy first."""
        require_sampling("latent diffusion", sampling, "steps", "eta", *(["guidance"] if self.told else []))
        self._require_told(condition)
        pairs = path(self.process.steps, sampling.steps or self.spec.walked)
        pairs = pairs[len(pairs) - round(strength * len(pairs)) :]
        if strength < 1 and pairs:
            t = torch.full((len(start),), pairs[0][0], dtype=torch.int64, device=start.device)
            start = self.process.noised(start, t, noise.normal(*start.shape[1:]).to(start))
        guidance = self.spec.guidance if sampling.guidance is None else sampling.guidance
        eta = self.spec.eta if sampling.eta is None else sampling.eta
        with self.average.applied():
            denoiser = Denoiser(
                self.process, lambda noisy, t: self.guided_noise(noisy, t, condition, guidance), clip=None
            )
            found = walk(denoiser, start, pairs, noise, eta=eta, on_step=on_step)
        return to_pixels(self.autoencoder.decode(found * self._deviation()))

    def guided_noise(self, noisy: Tensor, t: Tensor, condition: Tensor | None, guidance: float) -> Tensor:
        """none + guidance (told - none) [B, Z, s, s]: Ho & Salimans 2022, equation 6; one evaluation for both."""
        if condition is None or guidance == 1:
            return self._noise_in(noisy, t, condition)
        condition = condition.to(noisy.device)
        both = torch.cat([condition, self._nothing(condition)])
        told, free = self._noise_in(noisy.repeat(2, 1, 1, 1), t.repeat(2), both).chunk(2)
        return free + guidance * (told - free)

    def _noise_in(self, noisy: Tensor, t: Tensor, condition: Tensor | None) -> Tensor:
        """eps(z_t, t, tau(y)); t is told as if there were 1000 steps."""
        tokens = None if self.told is None else self.told(condition)
        return self.unet(noisy, t * (1000 / self.process.steps), None, tokens)  # type: ignore[no-any-return]

    def _latents(self, images: Tensor, *, measured: bool = False) -> Tensor:
        """z / deviation [B, Z, s, s], the mean of a Gaussian latent; ``measured``: the first batch tells which."""
        require_images("latent diffusion", images, self.spec.channels, self.spec.image)
        found = self.autoencoder.encode(from_pixels(images))
        latents = found if isinstance(found, Tensor) else found[0]
        if measured:
            std = latents.std(correction=0).to(self.deviation.dtype)
            self.deviation.copy_(torch.where(self.deviation > 0, self.deviation, std))
        return latents / self._deviation()

    def _deviation(self) -> Tensor:
        """1 until it is measured."""
        return torch.where(self.deviation > 0, self.deviation, torch.ones_like(self.deviation))

    def _nothing(self, condition: Tensor) -> Tensor:
        """What stands for "not told": the class K, or a caption of zeros."""
        return torch.full_like(condition, self.spec.classes if self.spec.classes else 0)

    def _require_told(self, condition: Tensor | None) -> None:
        if (condition is None) != (self.told is None):
            kind = {"class": "labels [batch]", "tokens": "tokens [batch, time]", "none": "none"}[self.condition]
            got = "no condition" if condition is None else "a condition"
            raise UsageError("what latent diffusion is told", got=got, expected=kind)
        if condition is not None and self.spec.classes:  # the embedding has a row more, for "not told"
            require_rows("the class embedding of latent diffusion", condition, self.spec.classes)


def _error(reconstruction: Tensor, data: Tensor) -> Tensor:
    return (reconstruction - data).abs().flatten(1).mean(1)


def _token_encoder(spec: LatentDiffusionSpec) -> nn.Module | None:
    if spec.classes:
        return ClassTokens(spec.classes, spec.token_width)
    if not spec.vocabulary:
        return None
    return CaptionEncoder(
        vocabulary=spec.vocabulary,
        context=spec.context,
        width=spec.token_width,
        layers=spec.token_layers,
        heads=spec.token_heads,
        causal=spec.token_encoder == "causal",
    )


def _inputs(spec: LatentDiffusionSpec) -> tuple[Input, ...]:
    pixels = Input((spec.channels, spec.image, spec.image))
    if spec.classes:
        return pixels, Input((), vocabulary=spec.classes)
    return (pixels, Input((spec.context,), vocabulary=spec.vocabulary)) if spec.vocabulary else (pixels,)


LATENT_DIFFUSION = Family(
    landmark=Landmark(
        name="latent-diffusion",
        title="Latent diffusion",
        family="generative",
        year=2021,
        paper="Rombach et al. 2021, High-Resolution Image Synthesis with Latent Diffusion Models",
        constraint="compute",
        summary="an autoencoder takes away what the eye does not miss; diffusion on what is left is affordable",
        proof=(
            "published counts of every part; autoencoders and U-Nets equal diffusers', outputs and gradients, and "
            "read its folders; the caption's encoder equals LDMBert and CLIP's text tower "
            "(tests/models/test_latent_diffusion.py, test_diffusers_unets.py, test_diffusers_autoencoders.py)"
        ),
        preset="latent-diffusion-imagenet",
    ),
    task="generation",
    spec_type=LatentDiffusionSpec,
    module=LatentDiffusion,
    fit=fit_generation,
    inputs=_inputs,
    dial="width",
    dial_multiple=lambda spec: math.lcm(spec.groups, spec.head_width),
)


@LATENT_DIFFUSION.preset("paper", parameters=400_920_579 + 55_322_782 + 1001 * 512)
def latent_diffusion_imagenet() -> LatentDiffusionSpec:
    """LDM-4 for ImageNet 256x256: a codebook of 8192, 64x64x3 latents, classes."""
    return LatentDiffusionSpec(
        image=256,
        latent=3,
        codes=8192,
        encoder_multiples=(1, 2, 4),
        width=192,
        multiples=(1, 2, 3, 5),
        attention=(1, 2, 3),
        classes=1000,
        guidance=1.5,
    )


@LATENT_DIFFUSION.preset("paper", parameters=872_300_484 + 83_653_863 + 542_895_360)
def latent_diffusion_text() -> LatentDiffusionSpec:
    """LDM-8 (KL) of text to image: 32x32x4 latents, captions by an encoder of 32 layers."""
    return LatentDiffusionSpec(
        image=256,
        encoder_multiples=(1, 2, 4, 4),
        width=320,
        multiples=(1, 2, 4, 4),
        attention=(0, 1, 2),
        heads=8,
        vocabulary=30_522,
        token_width=1280,
        token_layers=32,
        first_beta=0.00085,
        last_beta=0.012,
        guidance=1.5,
    )


@LATENT_DIFFUSION.preset("paper", parameters=859_520_964 + 83_653_863 + 123_060_480)
def stable_diffusion_1() -> LatentDiffusionSpec:
    """Stable Diffusion 1: the same for 512x512 pixels, captions by CLIP's text tower (ViT-L/14)."""
    return LatentDiffusionSpec(
        image=512,
        encoder_multiples=(1, 2, 4, 4),
        width=320,
        multiples=(1, 2, 4, 4),
        attention=(0, 1, 2),
        heads=8,
        vocabulary=49_408,
        token_width=768,
        token_layers=12,
        token_heads=12,
        token_encoder="causal",
        first_beta=0.00085,
        last_beta=0.012,
        guidance=7.5,
    )


@LATENT_DIFFUSION.preset("laptop")
def latent_diffusion_small() -> LatentDiffusionSpec:
    """Digits of 16x16 pixels as 4x4x4 latents, a U-Net of two levels that reads the class as a token."""
    return LatentDiffusionSpec(
        image=16,
        channels=1,
        latent=4,
        encoder_width=8,
        encoder_multiples=(1, 2, 4),
        encoder_blocks=1,
        width=32,
        multiples=(1, 2),
        blocks=1,
        attention=(0, 1),
        head_width=16,
        groups=8,
        classes=10,
        token_width=16,
        first_share=0.35,
        steps=100,
        walked=25,
        eta=1.0,
        guidance=1.5,
        average=0.995,
    )
