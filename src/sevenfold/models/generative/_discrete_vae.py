"""DALL-E's discrete variational autoencoder: a picture as a small grid of codes, and back.

B pictures, C channels, S side, F = 2^(groups - 1) pixels a code, G = S / F codes a side, K codes, W hidden.

    pixels [B, C, S, S] -7x7, groups of bottleneck blocks, max-pooling between-> logits [B, K, G, G] of q(z | x)
    z ~ q, one-hot [B, K, G, G] -1x1, groups of blocks, nearest upsampling between-> mu, ln b [B, C, S, S]

    -ln f(x | mu, b) = ln 2b + ln x(1 - x) + |logit x - mu| / b        logit-Laplace, of phi(x) in 0.1..0.9  (2, 3)
    loss = (-ln f(x | z) + beta KL(q(z | x) || uniform)) / values of the picture                            (1, A.2)

In training z is relaxed: softmax((logits + Gumbel noise) / tau), with tau from 1 to 1/16 and beta from 0 to 6.6,
both by a cosine over the first updates. In evaluation z is the likeliest code itself, and beta stays 6.6.
Drawings, whose values are 0 or 1, have a Bernoulli likelihood instead: of a Laplace distribution the middle is what
counts, and that of nearly every pixel is the background.

Ramesh et al. 2021, Zero-Shot Text-to-Image Generation, section 2.1 and appendix A; the blocks as in the authors'
release (https://github.com/openai/DALL-E). Not the paper's: weights are not averaged over the updates.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sevenfold.layers import AfterUpdate, require_images

__all__ = ["Annealing", "DiscreteVAE", "logit_laplace_nll", "mapped", "unmapped"]

Likelihood = Literal["logit-laplace", "bernoulli"]
EPSILON = 0.1  # pixels are held this far from 0 and 1, where a logit is infinite


def mapped(pixels: Tensor) -> Tensor:
    """phi (3): pixels in 0..1 to 0.1..0.9.

    >>> mapped(torch.tensor([0.0, 1.0])).tolist()
    [0.10000000149011612, 0.8999999761581421]
    """
    return (1 - 2 * EPSILON) * pixels.clamp(0, 1) + EPSILON


def unmapped(values: Tensor) -> Tensor:
    """phi's inverse, cut to 0..1."""
    return ((values - EPSILON) / (1 - 2 * EPSILON)).clamp(0, 1)


def logit_laplace_nll(values: Tensor, mean: Tensor, log_scale: Tensor) -> Tensor:
    """-ln of the density (2) at each value between 0 and 1: a Laplace distribution of the logit.

    >>> logit_laplace_nll(torch.tensor([0.5]), torch.tensor([0.0]), torch.tensor([0.0])).exp().item()
    0.5
    """
    jacobian = values.log() + torch.log1p(-values)
    return math.log(2) + log_scale + jacobian + (torch.logit(values) - mean).abs() * torch.exp(-log_scale)


class Annealing(AfterUpdate):
    """A number that goes from ``first`` to ``last`` by a cosine over the first updates, and stays there.

    >>> annealing = Annealing(1.0, 0.0, updates=2, follows=None)
    >>> annealing.after_update(); round(float(annealing.value), 6)
    0.5
    """

    count: Tensor

    def __init__(self, first: float, last: float, *, updates: int, follows: str | None) -> None:
        super().__init__()
        self.first, self.last, self.updates, self.follows = first, last, updates, follows
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))

    def after_update(self) -> None:
        self.count += 1

    @property
    def value(self) -> Tensor:
        """The number now, []."""
        share = (self.count / self.updates).clamp(max=1)
        return self.last + (self.first - self.last) * (1 + torch.cos(math.pi * share)) / 2


class _Convolution(nn.Conv2d):
    """Padded to keep the size; weights N(0, 1 / inputs of a unit), biases 0."""

    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__(inputs, outputs, kernel, padding=kernel // 2)

    def reset_parameters(self) -> None:
        nn.init.normal_(self.weight, std=self.weight[0].numel() ** -0.5)
        assert self.bias is not None
        nn.init.zeros_(self.bias)


class Bottleneck(nn.Module):
    """x + gain * (four convolutions, a ReLU before each): [B, inputs, H, W] -> [B, outputs, H, W].

    The three inner widths are outputs / 4; the gain is 1 / blocks^2 of the whole encoder or decoder.
    """

    def __init__(self, inputs: int, outputs: int, kernels: tuple[int, int, int, int], *, blocks: int) -> None:
        super().__init__()
        inner = outputs // 4
        widths = (inputs, inner, inner, inner, outputs)
        self.gain = 1 / blocks**2
        self.shortcut = _Convolution(inputs, outputs, 1) if inputs != outputs else nn.Identity()
        self.convolutions = nn.ModuleList(
            _Convolution(widths[place], widths[place + 1], kernel) for place, kernel in enumerate(kernels)
        )

    def forward(self, x: Tensor) -> Tensor:
        residual = x
        for convolution in self.convolutions:
            residual = convolution(F.relu(residual))
        out: Tensor = self.shortcut(x) + self.gain * residual
        return out


def _groups(
    first: int, widths: list[int], blocks: int, kernels: tuple[int, int, int, int], between: type[nn.Module]
) -> nn.Sequential:
    """Groups of ``blocks`` blocks of these widths, with ``between`` after each but the last."""
    layers: list[nn.Module] = []
    for group, width in enumerate(widths):
        for _ in range(blocks):
            layers.append(Bottleneck(first, width, kernels, blocks=blocks * len(widths)))
            first = width
        if group < len(widths) - 1:
            layers.append(between())
    return nn.Sequential(*layers)


class _Halved(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return F.max_pool2d(x, 2)


class _Doubled(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return F.interpolate(x, scale_factor=2.0, mode="nearest")


class Encoder(nn.Module):
    """phi(pixels) [B, C, S, S] -> logits [B, K, G, G]."""

    def __init__(self, *, channels: int, hidden: int, groups: int, blocks: int, codes: int) -> None:
        super().__init__()
        widths = [hidden * 2**group for group in range(groups)]
        self.input = _Convolution(channels, hidden, 7)
        self.groups = _groups(hidden, widths, blocks, (3, 3, 3, 1), _Halved)
        self.output = _Convolution(widths[-1], codes, 1)

    def forward(self, x: Tensor) -> Tensor:
        logits_bkgg: Tensor = self.output(F.relu(self.groups(self.input(x))))
        return logits_bkgg


class Decoder(nn.Module):
    """One-hot or relaxed codes [B, K, G, G] -> mu and ln b [B, 2 C, S, S]."""

    def __init__(self, *, channels: int, hidden: int, first: int, groups: int, blocks: int, codes: int) -> None:
        super().__init__()
        widths = [hidden * 2**group for group in reversed(range(groups))]
        self.input = _Convolution(codes, first, 1)
        self.groups = _groups(first, widths, blocks, (1, 3, 3, 3), _Doubled)
        self.output = _Convolution(hidden, 2 * channels, 1)

    def forward(self, z: Tensor) -> Tensor:
        statistics: Tensor = self.output(F.relu(self.groups(self.input(z))))
        return statistics


class Statistics(NamedTuple):
    """Of the logit-Laplace distributions of a picture, each [B, C, S, S]."""

    mean: Tensor
    log_scale: Tensor


class DiscreteVAE(nn.Module):
    """pixels [B, C, S, S] in 0..1 -> the loss of each picture [B], nats a value of the picture."""

    def __init__(
        self,
        *,
        channels: int,
        codes: int,
        hidden: int,
        first: int,
        groups: int,
        blocks: int,
        likelihood: Likelihood,
        kl_weight: Annealing,
        temperature: Annealing,
    ) -> None:
        super().__init__()
        self.channels, self.codes = channels, codes
        self.likelihood = likelihood
        self.encoder = Encoder(channels=channels, hidden=hidden, groups=groups, blocks=blocks, codes=codes)
        self.decoder = Decoder(
            channels=channels, hidden=hidden, first=first, groups=groups, blocks=blocks, codes=codes
        )
        self.kl_weight, self.temperature = kl_weight, temperature

    def logits(self, pixels: Tensor) -> Tensor:
        """Of q(z | x), [B, K, G, G]."""
        require_images("DALL-E's encoder", pixels, self.channels)
        logits_bkgg: Tensor = self.encoder(mapped(pixels))
        return logits_bkgg

    def encode(self, pixels: Tensor) -> Tensor:
        """The likeliest codes [B, G, G] int64."""
        return self.logits(pixels).argmax(dim=1)

    def one_hot(self, codes_bgg: Tensor, like: Tensor) -> Tensor:
        """Codes [B, G, G] as [B, K, G, G] of another tensor's type."""
        return F.one_hot(codes_bgg, self.codes).movedim(-1, 1).to(like.dtype)

    def statistics(self, z_bkgg: Tensor) -> Statistics:
        """What the decoder says of the picture of codes."""
        return Statistics(*self.decoder(z_bkgg).chunk(2, dim=1))

    def nll(self, pixels: Tensor, z_bkgg: Tensor) -> Tensor:
        """-ln p(x | z) of each picture [B], summed over its values."""
        mean, log_scale = self.statistics(z_bkgg)
        if self.likelihood == "bernoulli":
            of_each = F.binary_cross_entropy_with_logits(mean, pixels.clamp(0, 1), reduction="none")
        else:
            of_each = logit_laplace_nll(mapped(pixels), mean, log_scale)
        return of_each.flatten(1).sum(dim=1)

    def decode(self, codes_bgg: Tensor) -> Tensor:
        """The picture [B, C, S, S] in 0..1 of codes: phi^-1(sigmoid(mu)), or sigmoid(mu)."""
        z_bkgg = self.one_hot(codes_bgg, self.encoder.output.weight)
        middle = torch.sigmoid(self.statistics(z_bkgg).mean)
        return middle if self.likelihood == "bernoulli" else unmapped(middle)

    def forward(self, pixels: Tensor) -> Tensor:
        logits_bkgg = self.logits(pixels)
        weight: Tensor | float = self.kl_weight.last
        if self.training:
            z_bkgg = F.softmax((logits_bkgg + _gumbel_like(logits_bkgg)) / self.temperature.value, dim=1)
            weight = self.kl_weight.value
        else:
            z_bkgg = self.one_hot(logits_bkgg.argmax(dim=1), logits_bkgg)
        return (self.nll(pixels, z_bkgg) + weight * self.kl(logits_bkgg)) / pixels[0].numel()

    def kl(self, logits_bkgg: Tensor) -> Tensor:
        """KL(q || uniform) of each picture [B], summed over its G^2 places, in nats."""
        log_q = F.log_softmax(logits_bkgg, dim=1)
        return (log_q.exp() * (log_q + math.log(self.codes))).flatten(1).sum(dim=1)


def _gumbel_like(tensor: Tensor) -> Tensor:
    """Gumbel(0, 1) noise: -ln(-ln u) as -ln of an exponentially distributed number, which is never 0."""
    return -torch.empty_like(tensor).exponential_().log()
