"""From noise to data by any reverse process, and what can be done on the way.

B examples [B, C, ...]; a path is pairs (t, s) from noise to data (`schedules.path`).

    walk       Ho et al. 2020, algorithm 2, or DDIM's steps (Song et al. 2020, section 4)
    encode     DDIM walked backwards, from data to noise                                Song et al. 2020, 4.3
    inpaint    after every step the kept pixels are replaced by the picture's own, as noisy; with ``repeats`` > 1
               each step is undone and done again, so that both parts agree             Lugmayr et al. 2022, alg. 1
    slerp      between two noises

A picture made noisy up to a step and walked from there is Meng et al. 2021 (SDEdit).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sevenfold.layers.diffusion.denoiser import Denoiser, ReverseProcess
from sevenfold.layers.diffusion.process import spread
from sevenfold.layers.generative import OnStep, untold
from sevenfold.layers.noise import Noise

__all__ = ["encode", "inpaint", "slerp", "walk"]

Pairs = Sequence[tuple[int, int]]


@torch.no_grad()
def walk(
    denoiser: ReverseProcess,
    start: Tensor,
    pairs: Pairs,
    noise: Noise,
    *,
    eta: float | None = None,
    on_step: OnStep = untold,
) -> Tensor:
    """x_0 of x_t for the first t of ``pairs`` (`path`), as DDPM walks it, or DDIM with ``eta``."""
    x = start
    for done, (t, s) in enumerate(pairs, start=1):
        x = denoiser.step(x, _of(x, t), _of(x, s), _fresh(x, noise, needed=s >= 0 and eta != 0), eta=eta)
        on_step(done, len(pairs))
    return x


@torch.no_grad()
def encode(denoiser: Denoiser, data: Tensor, pairs: Pairs) -> Tensor:
    """The noise that DDIM without noise or clipping would walk to this data: its steps backwards.

    The prediction is taken where a step starts and not where it ends, so that the way back is nearly the same, the
    nearer the more steps there are.
    """
    process, x = denoiser.process, data
    for t, s in reversed(pairs):
        here = _of(x, max(s, 0))
        prediction, _ = denoiser.said(x, here)
        noise = denoiser.noise(prediction, x, here)
        left_s, left_t = process.alpha_bar[_of(x, s) + 1], process.alpha_bar[_of(x, t) + 1]
        origin = (x - spread((1 - left_s).sqrt(), x) * noise) / spread(left_s.sqrt(), x)
        x = spread(left_t.sqrt(), x) * origin + spread((1 - left_t).sqrt(), x) * noise
    return x


@torch.no_grad()
def inpaint(
    denoiser: ReverseProcess,
    known: Tensor,
    kept: Tensor,
    pairs: Pairs,
    noise: Noise,
    *,
    repeats: int = 1,
    eta: float | None = None,
    on_step: OnStep = untold,
) -> Tensor:
    """Data that equals ``known`` [B, C, ...] where ``kept`` (bool, spreads over it), and is drawn elsewhere."""
    process = denoiser.process
    x = noise.normal(*known.shape[1:]).to(known)
    for done, (t, s) in enumerate(pairs, start=1):
        t_b, s_b = _of(x, t), _of(x, s)
        for again in range(repeats):
            x = denoiser.step(x, t_b, s_b, _fresh(x, noise), eta=eta)
            own = process.noised(known, s_b, _fresh(x, noise)) if s >= 0 else known
            x = torch.where(kept, own, x)
            if s < 0 or again == repeats - 1:
                break
            x = process.noised_from(x, s_b, t_b, _fresh(x, noise))
        on_step(done, len(pairs))
    return x


def slerp(first: Tensor, second: Tensor, share: Tensor) -> Tensor:
    """Between two noises on their great circle, [N, ...] for ``share`` [N]: Song et al. 2020, appendix D.5.

    >>> slerp(torch.tensor([2.0, 0.0]), torch.tensor([0.0, 2.0]), torch.tensor([0.5])).square().round().tolist()
    [[2.0, 2.0]]
    """
    cosine = torch.dot(first.flatten(), second.flatten()) / (first.norm() * second.norm())
    angle = torch.arccos(cosine.clamp(-1, 1))
    wide = share.to(first).reshape(-1, *(1 for _ in first.shape))
    if float(torch.sin(angle)) < 1e-6:
        return (1 - wide) * first + wide * second
    return (torch.sin((1 - wide) * angle) * first + torch.sin(wide * angle) * second) / torch.sin(angle)


def _of(x: Tensor, t: int) -> Tensor:
    return torch.full((len(x),), t, dtype=torch.int64, device=x.device)


def _fresh(x: Tensor, noise: Noise, *, needed: bool = True) -> Tensor:
    return noise.normal(*x.shape[1:]).to(x) if needed else torch.zeros_like(x)
