"""How fast a diffusion forgets its data, and which of its steps are walked when sampling.

A schedule is beta_t, t = 0 .. T-1 (the papers count from 1): the share of the variance that step t replaces by
noise, q(x_t | x_{t-1}) = N(sqrt(1 - beta_t) x_{t-1}, beta_t I). What is left of the data after it is
alpha_bar_t = prod_{s <= t} (1 - beta_s). All of it in float64, on the CPU.

    linear         DDPM (Ho et al. 2020, section 4): 1e-4 to 0.02 over 1000 steps; for another T both ends are
                   scaled by 1000 / T, as the authors of improved DDPM do, so that alpha_bar ends about there too
    scaled-linear  latent diffusion: the root of beta is linear
    cosine         improved DDPM (Nichol & Dhariwal 2021, equation 17), s = 0.008, beta at most 0.999:
                   alpha_bar(u) = cos^2((u + s) / (1 + s) pi / 2)
    erasing        Sohl-Dickstein et al. 2015: every step erases the same share of the data's variance
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from sevenfold.errors import SpecError, UsageError

__all__ = ["ScheduleName", "Spacing", "betas", "cosine_betas", "erasing_betas", "linear_betas", "path"]

ScheduleName = Literal["linear", "scaled-linear", "cosine", "erasing"]
Spacing = Literal["leading", "proportional", "trailing", "even"]


def betas(
    name: ScheduleName,
    steps: int,
    *,
    first: float | None = None,
    last: float | None = None,
    offset: float = 0.008,
) -> Tensor:
    """The schedule [T] float64 of that name; ``first`` and ``last`` are the ends of the two linear ones,
    ``offset`` the s of the cosine.

    Without them: DDPM's 1e-4 and 0.02, or latent diffusion's 0.0015 and 0.0195, scaled by 1000 / T.

    >>> betas("linear", 1000)[[0, -1]].tolist()
    [0.0001, 0.02]
    """
    if steps < 1:
        raise SpecError("a diffusion has steps", got=steps, expected="at least 1")
    if name == "cosine":
        return cosine_betas(steps, offset=offset)
    if name == "erasing":
        return erasing_betas(steps)
    ends = (1e-4, 0.02) if name == "linear" else (0.0015, 0.0195)
    scale = 1000 / steps
    return linear_betas(
        steps,
        scale * ends[0] if first is None else first,
        scale * ends[1] if last is None else last,
        of_the_root=name == "scaled-linear",
    )


def linear_betas(steps: int, first: float, last: float, *, of_the_root: bool = False) -> Tensor:
    """From ``first`` to ``last``, the value itself or its root linear; SpecError where one is not in 0..1.

    >>> linear_betas(3, 0.1, 0.3).tolist()
    [0.1, 0.2, 0.3]
    """
    if not (0 < first < 1 and 0 < last < 1):
        raise SpecError(
            "a step's share of noise lies between 0 and 1",
            got=f"beta from {first:g} to {last:g} over {steps} steps",
            hint="more steps, or the cosine schedule, which fits any number",
        )
    power = 0.5 if of_the_root else 1.0
    ramp = torch.linspace(first**power, last**power, steps, dtype=torch.float64, device="cpu")
    return ramp ** (1 / power)


def cosine_betas(steps: int, *, offset: float = 0.008, largest: float = 0.999) -> Tensor:
    """Improved DDPM, equation 17; ``largest`` keeps the last steps from a singularity.

    >>> alpha_bar = torch.cumprod(1 - cosine_betas(1000), 0)
    >>> round(alpha_bar[499].item(), 6)
    0.493844
    """

    def left(share: float) -> float:
        return math.cos((share + offset) / (1 + offset) * math.pi / 2) ** 2

    values = [min(1 - left((t + 1) / steps) / left(t / steps), largest) for t in range(steps)]
    return torch.tensor(values, dtype=torch.float64, device="cpu")


def erasing_betas(steps: int, *, first: float = 0.001, least: float = 1e-6, left: float = 1e-5) -> Tensor:
    """1 / beta evenly from T to 2: every step erases about the same share of the data's variance.

    As Sohl-Dickstein et al. 2015 release it: at least ``least``, at most 1 - ``left``, the first ``first`` more.
    The paper's binomial schedule is 1 / T .. 1, which leaves none.

    >>> [round(left, 3) for left in torch.cumprod(1 - erasing_betas(4, first=0.0), 0).tolist()]
    [0.75, 0.525, 0.328, 0.164]
    """
    lowest = torch.full((steps,), least, dtype=torch.float64, device="cpu")
    lowest[0] += first
    return lowest + (1 - lowest - left) / torch.linspace(steps, 2.0, steps, dtype=torch.float64, device="cpu")


def path(steps: int, walked: int | None = None, *, spacing: Spacing = "even") -> list[tuple[int, int]]:
    """The pairs (t, s), from noise to data, that sampling walks; s is the t of the next pair, and -1 the data.

    ``even``: from T-1 to 0 with both ends, evenly, rounded (improved DDPM); ``leading``: every (T // walked)th
    from 0, which leaves noise out where the number does not divide T; ``proportional``: floor(i T / walked), the
    same where it does (DDIM, appendix D.2); ``trailing``: every (T / walked)th from T-1 down.

    >>> path(1000, 4)
    [(999, 666), (666, 333), (333, 0), (0, -1)]
    >>> path(1000, 4, spacing="leading"), path(1000, 4, spacing="trailing")[-1]
    ([(750, 500), (500, 250), (250, 0), (0, -1)], (249, -1))
    """
    count = steps if walked is None else walked
    if not 1 <= count <= steps:
        raise UsageError("a diffusion is not walked in that many steps", got=count, expected=f"1 to {steps}")
    if spacing == "leading":
        taken = [place * (steps // count) for place in range(count)]
    elif spacing == "proportional":
        taken = [place * steps // count for place in range(count)]
    elif spacing == "trailing":
        taken = [round(steps - place * steps / count) - 1 for place in range(count)][::-1]
    else:
        stride = (steps - 1) / (count - 1) if count > 1 else 0.0
        # One step alone has to start where there is noise.
        taken = [round(place * stride) for place in range(count)] if count > 1 else [steps - 1]
    return list(zip(reversed(taken), [*reversed(taken[:-1]), -1], strict=True))
