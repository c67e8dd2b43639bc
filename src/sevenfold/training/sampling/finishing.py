"""The end of a ``generation`` run: its samples' figures, and two sheets in its folder.

samples.png    up to 64 samples; with classes sorted by class
real.png       test images in the same places
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from sevenfold.training.sampling.drawing import OnSample
from sevenfold.training.sampling.scores import score_samples
from sevenfold.training.sampling.sheets import sheet, write_png
from sevenfold.training.workload import Workload

__all__ = ["REAL_SHEET", "SAMPLE_SHEET", "finish_generation"]

SAMPLE_SHEET, REAL_SHEET = "samples.png", "real.png"
_SHOWN = 64


def finish_generation(
    workload: Workload, folder: Path | None, *, classifiers: Path, run_id: str, on_sample: OnSample
) -> dict[str, float | None]:
    """The figures of the summary; the sheets go into ``folder`` where there is one."""
    scores = score_samples(workload, classifiers=classifiers, on_sample=on_sample)
    if folder is not None:
        shown = _shown(scores.conditions, len(scores.samples))
        for name, images in ((SAMPLE_SHEET, scores.samples), (REAL_SHEET, scores.real)):
            write_png(folder / name, sheet(images[shown], columns=8), {"run": run_id, "shown": name})
    return scores.summary


def _shown(conditions: Tensor | None, count: int) -> Tensor:
    """Which samples the sheet shows: the first 64, those of one class beside each other."""
    first = torch.arange(min(_SHOWN, count))
    if conditions is None or conditions.dim() != 1:
        return first
    return first[conditions[first].sort(stable=True).indices]
