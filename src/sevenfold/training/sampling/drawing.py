"""Samples of a model, some at a time. Sample i is drawn from a seed of its own: it is the same in any sheet.

On the CPU the same seed, thread count and ``at_once`` give the same bits; another number at once gives the same
pictures to the rounding of the arithmetic.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from sevenfold.errors import RunError
from sevenfold.layers import Generative, Noise, Sampling

__all__ = ["OnSample", "draw", "drawn_in_parts", "sample_seeds"]

OnSample = Callable[[float, int], None]  # (samples done, a part of one counted as a part; of how many)


def sample_seeds(seed: int, start: int, count: int) -> list[int]:
    """The seeds of samples ``start`` to ``start + count - 1`` of a sheet.

    >>> sample_seeds(0, 5, 1) == sample_seeds(0, 0, 6)[5:]
    True
    """
    digests = (
        hashlib.sha256(f"sample {seed} {number}".encode()).digest() for number in range(start, start + count)
    )
    return [int.from_bytes(digest[:8], "little") >> 1 for digest in digests]


def draw(
    model: Generative,
    num: int,
    *,
    seed: int,
    condition: Tensor | None = None,
    sampling: Sampling = Sampling(),
    at_once: int = 128,
    device: torch.device | str = "cpu",
    on_sample: OnSample = lambda done, of: None,
) -> Tensor:
    """Images [num, C, H, W] float32 in 0..1, on the CPU; ``condition`` has a row for each."""
    parts = drawn_in_parts(
        model, num, seed=seed, condition=condition, sampling=sampling, at_once=at_once, device=device,
        on_sample=on_sample,
    )  # fmt: skip
    return torch.cat([images for _, images in parts])


def drawn_in_parts(
    model: Generative,
    num: int,
    *,
    seed: int,
    condition: Tensor | None = None,
    sampling: Sampling = Sampling(),
    at_once: int = 128,
    device: torch.device | str = "cpu",
    on_sample: OnSample = lambda done, of: None,
    passed_over: Callable[[int, int], bool] = lambda start, count: False,
) -> Iterator[tuple[int, Tensor]]:
    """The same part by part, as (number of the first, images); ``passed_over(start, count)`` leaves a part out.

    The model is in evaluation mode while it draws. Raises RunError for samples that are not finite.
    """
    was_training = model.training
    for start in range(0, num, at_once):
        count = min(at_once, num - start)
        if passed_over(start, count):
            on_sample(start + count, num)
            continue
        told = None if condition is None else condition[start : start + count].to(device)

        def on_step(done: int, of: int, start: int = start, count: int = count) -> None:
            on_sample(start + count * done / max(1, of), num)

        noise = Noise(sample_seeds(seed, start, count), device)
        model.eval()
        try:
            with torch.no_grad():
                images = model.sample(count, noise=noise, condition=told, sampling=sampling, on_step=on_step)
        finally:
            model.train(was_training)
        yield start, _checked(images, count)
        on_sample(start + count, num)


def _checked(images: Tensor, count: int) -> Tensor:
    assert images.dim() == 4, images.shape
    assert len(images) == count, images.shape
    if not bool(torch.isfinite(images).all()):
        raise RunError("samples are not finite", expected="pixels in 0..1", hint="a lower learning rate")
    return images.detach().cpu().float().clamp(0, 1)
