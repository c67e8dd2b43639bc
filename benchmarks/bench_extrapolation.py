"""What the law promised for twice the examples, beside what twice the examples really gave.

Learning curves that are known one doubling further: a law L = floor + scale D^-b is fitted at a quarter, half and
all of a part of the data, as the diagnosis does, and its promise is compared with training on twice that part. Each
loss is a mean over seeds. ``real_share`` is the real gain as a share of the promised one; the diagnosis widens the
interval of its promise by at least 0.6 of it.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import fmean

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "diagnosis"))

Loss = Callable[[float], float]  # mean validation loss by share of the whole


def run(quick: bool) -> list[dict[str, object]]:
    import torch

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as home:
        rows = _recipes(Path(home), quick) + _noisy_classes(Path(home), quick)
    shares = np.array([float(str(row["real_share"])) for row in rows])
    inside = float(np.mean(np.abs(shares - 1) <= 0.6))
    summary = {"curve": "all", "examples": len(rows), "promised_nats": "", "real_nats": "",
               "real_share": round(float(np.median(shares)), 2), "within_0.6": round(inside, 2)}  # fmt: skip
    return [*rows, summary]


def _row(curve: str, examples: float, part: float, loss: Loss) -> dict[str, object]:
    from sevenfold.diagnosis.laws import fit_power

    known = [loss(part * share) for share in (0.25, 0.5, 1.0)]
    promised = float(fit_power([0.25, 0.5, 1.0], np.array([known])).gain(1, 2)[0])
    real = known[-1] - loss(2 * part)
    share = real / promised
    return {"curve": curve, "examples": round(examples), "promised_nats": round(promised, 4),
            "real_nats": round(real, 4), "real_share": round(share, 2),
            "within_0.6": abs(share - 1) <= 0.6}  # fmt: skip


def _recipes(home: Path, quick: bool) -> list[dict[str, object]]:
    """The digits recipes, with an eighth, a quarter and half of the examples as what there is."""
    from sevenfold.recipes.digits import digits_cnn, digits_mlp

    rows = []
    for recipe in (digits_mlp(), *(() if quick else (digits_cnn(),))):
        loss = _by_fraction(recipe, home, 2 if quick else 5)
        for part in (0.5,) if quick else (0.25, 0.5):
            rows.append(_row(recipe.name, 1078 * part, part, loss))
    return rows


def _by_fraction(recipe: object, home: Path, num_seeds: int) -> Loss:
    known: dict[float, float] = {}

    def loss(fraction: float) -> float:
        if fraction not in known:
            changed = recipe.with_changes({"data.fraction": fraction})  # type: ignore[attr-defined]
            known[fraction] = _mean_loss(changed, home, num_seeds)
        return known[fraction]

    return loss


def _noisy_classes(home: Path, quick: bool) -> list[dict[str, object]]:
    """The planted world of too few examples, over data sets and sizes."""
    from planted import noisy_classes, planted

    rows = []
    for number in range(1 if quick else 4):
        recipe, _ = planted("data", number)
        for examples in (500,) if quick else (250, 500, 1000):
            data = noisy_classes(2 * examples, number + 50).register()
            loss = _by_fraction(recipe.with_changes({"data.name": data.name}), home, 2 if quick else 5)
            rows.append(_row(f"noisy classes {number}", examples, 0.5, loss))
    return rows


def _mean_loss(recipe: object, home: Path, num_seeds: int) -> float:
    from planted import InProcessRunner

    seeded = [recipe.with_changes({"seed": seed}) for seed in range(num_seeds)]  # type: ignore[attr-defined]
    outcomes = InProcessRunner(home).run(seeded)
    return fmean(float(outcome.record.summary["validation_loss"]) for outcome in outcomes)  # type: ignore
