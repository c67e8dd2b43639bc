"""What guidance buys and costs: share of samples of the asked class, and their distances, by scale and seed.

Each recipe is trained with seeds 0, 1 and 2 (a run that is in the data folder is not trained again); every trained
model draws the same samples at each scale, for the classes of the test images. *right* is the share that the digits
classifier takes for the asked digit, *frechet*, *precision* and *recall* are against the test images in that
classifier's features; *real_frechet* is what training images get. The scale means what the model says: of the
classifier's gradient (0: none), or 1 + w (1: the class as it was learned, 0: no class).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import numpy as np
import torch

from sevenfold.data import parts_of
from sevenfold.layers import Generative, Sampling
from sevenfold.recipes import RECIPES
from sevenfold.runs.home import data_home
from sevenfold.training.running import train_run
from sevenfold.training.sampling.classifier import digits_classifier
from sevenfold.training.sampling.distances import frechet_distance, precision_and_recall
from sevenfold.training.sampling.drawing import draw
from sevenfold.training.workload import build_workload

_SCALES = {
    "guided-diffusion-digits": (0.0, 1.0, 4.0),
    "classifier-free-digits": (0.0, 1.0, 2.0, 4.0),
    "latent-diffusion-digits": (1.0, 1.5, 2.0),
}


def run(quick: bool) -> list[dict[str, object]]:
    """One row a recipe, seed and scale."""
    torch.set_num_threads(1)
    return [
        row
        for name, scales in _SCALES.items()
        for seed in ((0,) if quick else (0, 1, 2))
        for row in _of_run(name, seed, scales[:2] if quick else scales, steps=20 if quick else None)
    ]


def _of_run(name: str, seed: int, scales: tuple[float, ...], steps: int | None) -> Iterator[dict[str, object]]:
    from sevenfold.actions.load import load

    shorter = {} if steps is None else {"steps": steps, "evaluate_every": steps}
    recipe = RECIPES[name].recipe().with_changes({"seed": seed, **shorter})
    summary = train_run(recipe).summary
    assert summary is not None
    model = load(data_home() / "runs" / recipe.run_id()).module
    assert isinstance(model, Generative)
    dataset = build_workload(recipe).dataset
    real, labels = parts_of(dataset.test.batch(np.arange(len(dataset.test)))[0])
    classifier = digits_classifier(min(dataset.input_shape[1:3]), folder=data_home() / "classifiers")
    reference = classifier.features(real)
    for scale in scales:
        samples = draw(model, len(real), seed=0, condition=labels, sampling=Sampling(guidance=scale))
        features = classifier.features(samples)
        precision, recall = precision_and_recall(reference, features)
        row = {
            "recipe": name,
            "seed": seed,
            "scale": scale,
            "right": round(float((classifier.classes(samples) == labels).float().mean()), 4),
            "frechet": round(frechet_distance(reference, features), 3),
            "precision": round(precision, 3),
            "recall": round(recall, 3),
            "real_frechet": round(float(summary["real_frechet"] or 0), 3),
        }
        print(row, file=sys.stderr, flush=True)
        yield row
