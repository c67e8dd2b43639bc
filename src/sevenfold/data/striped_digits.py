"""``striped-digits``: two kinds of picture of digits, never of the same digit, and the true translation.

    target   the digits as they are, light on black                          y
    source   dark on striped paper: (1 - y) s, s = 1 or 1/2 in diagonal stripes two pixels wide     x

Inputs are (targets [B, 1, 8, 8], sources [B, 1, 8, 8]). In training, half of the digits are seen in the one way and
the other half in the other, so that no pair exists to learn from. Since the true translation x -> 1 - x / s is
known, what a model makes of a source can be held to it. In validation and test every digit is shown in both ways,
never beside itself.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from sevenfold.data._catalogue import DATASETS, DatasetEntry
from sevenfold.data._dataset import Dataset, ExampleSplit, Split
from sevenfold.data._generation import UnpairedSplit
from sevenfold.data._splitting import Shares
from sevenfold.data.digits import read_digits
from sevenfold.errors import UsageError

__all__ = ["plain", "striped"]

_DIM = 0.5  # of the darker stripes


def striped(images: torch.Tensor) -> torch.Tensor:
    """Digits [..., H, W], light on black, as dark ones on striped paper.

    >>> striped(torch.zeros(1, 2, 6)).tolist()
    [[[1.0, 1.0, 0.5, 0.5, 1.0, 1.0], [1.0, 0.5, 0.5, 1.0, 1.0, 0.5]]]
    """
    return (1 - images) * _stripes(images)


def plain(images: torch.Tensor) -> torch.Tensor:
    """What `striped` was made of."""
    return 1 - images / _stripes(images)


def _stripes(images: torch.Tensor) -> torch.Tensor:
    rows, columns = torch.arange(images.shape[-2]), torch.arange(images.shape[-1])
    dark = (rows[:, None] + columns[None]) // 2 % 2 == 1
    return torch.where(dark, _DIM, 1.0).to(images)


def read_striped_digits(settings: Shares, split_seed: int, task: str) -> Dataset:
    """The digits of `sevenfold.data.digits`, split as there."""
    digits = read_digits(settings, split_seed, task)
    return replace(
        digits,
        name="striped-digits",
        num_outputs=0,
        train=_halved(digits.train),
        validation=_turned(digits.validation),
        test=_turned(digits.test),
        num_train_whole=len(digits.train) // 2,
        levels=None,
        translation=plain,
        provenance=digits.provenance.with_changes(
            {
                "name": "striped-digits",
                "notes": f"{digits.provenance.notes}; in training half are plain, the others dark on stripes",
            }
        ),
    )


def _halved(digits: Split) -> UnpairedSplit:
    """The first half as targets, the second as sources."""
    images, labels = _images(digits)
    half = len(labels) // 2
    if half < 1:
        raise UsageError("nothing is left for one of the domains", got=f"{len(labels)} digits")
    return _beside(images[:half], images[half : 2 * half], labels[:half], labels[half : 2 * half])


def _turned(digits: Split) -> UnpairedSplit:
    """Each digit as a target, beside the source of one that is half the set away."""
    images, labels = _images(digits)
    away = len(labels) // 2
    return _beside(images, images.roll(away, 0), labels, labels.roll(away))


def _beside(targets: torch.Tensor, digits: torch.Tensor, *labels: torch.Tensor) -> UnpairedSplit:
    return UnpairedSplit(ExampleSplit(targets, labels[0]), ExampleSplit(striped(digits), labels[1]))


def _images(digits: Split) -> tuple[torch.Tensor, torch.Tensor]:
    assert isinstance(digits, ExampleSplit)
    return digits.stored_inputs, digits.stored_targets


DATASETS.add(
    "striped-digits",
    DatasetEntry(
        name="striped-digits",
        tasks=("generation",),
        summary="handwritten digits in two domains without pairs: plain, and dark on striped paper (scikit-learn)",
        settings=Shares,
        read=read_striped_digits,
    ),
)
