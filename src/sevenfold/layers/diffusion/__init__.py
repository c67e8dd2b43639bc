"""Diffusion: schedules, the process that adds noise, samplers that take it away, losses, and the choice of steps.

>>> import torch
>>> from sevenfold.layers.noise import Noise
>>> process = Process(betas("cosine", 100))
>>> denoiser = Denoiser(process, lambda noisy, t: torch.zeros_like(noisy))
>>> walk(denoiser, torch.zeros(1, 1, 8, 8), path(100, 10), Noise([0])).shape
torch.Size([1, 1, 8, 8])
"""

from sevenfold.layers.diffusion.denoiser import (
    Clip,
    Denoiser,
    Network,
    ReverseProcess,
    Variance,
    clipped,
    dynamically_clipped,
)
from sevenfold.layers.diffusion.importance import StepChooser
from sevenfold.layers.diffusion.losses import (
    bits_per_dimension,
    bound_terms,
    level_nll,
    mean_square,
    normal_kl,
    prior_kl,
    step_term,
)
from sevenfold.layers.diffusion.process import Gaussian, Predicts, Process, spread
from sevenfold.layers.diffusion.samplers import encode, inpaint, slerp, walk
from sevenfold.layers.diffusion.schedules import ScheduleName, Spacing, betas, path

__all__ = [
    "Clip",
    "Denoiser",
    "Gaussian",
    "Network",
    "Predicts",
    "Process",
    "ReverseProcess",
    "ScheduleName",
    "Spacing",
    "StepChooser",
    "Variance",
    "betas",
    "bits_per_dimension",
    "bound_terms",
    "clipped",
    "dynamically_clipped",
    "encode",
    "inpaint",
    "level_nll",
    "mean_square",
    "normal_kl",
    "path",
    "prior_kl",
    "slerp",
    "spread",
    "step_term",
    "walk",
]
