"""What a finished run of the task ``generation`` says of its samples, with the baselines beside it.

N is the number of test images, 512 at most; as many samples are drawn, for the same classes or captions.

    sample_frechet    samples against the test images, in features of the digits classifier (`classifier`)
    real_frechet      as many training images against the same test images: what perfect samples would get
    pixel_frechet     images whose pixels are drawn one by one from training images, of the asked class where asked
    mean_frechet      the mean training image, N times
    sample_precision, sample_recall; real_..., pixel_...    of the same sets
    sample_copies     share of samples that a training image is nearer to than to 99 of 100 test images
    sample_class_accuracy       share of samples that the classifier takes for the asked digit
    real_class_accuracy         the same of the test images; `classifier_accuracy` of the held-out digits
    caption_accuracy            share of samples that show all that their test caption says; seen_caption_accuracy
                                the same for validation captions, shuffled_caption_accuracy with captions exchanged
    translation_error           mean absolute difference from the true translation, where the data knows it;
                                untranslated_error of the source itself, mean_translation_error of the mean image
    caption_parts_accuracy      share of what their captions say that samples show; seen_..., shuffled_... as above
    test_bits_per_dimension     -log2 p(x) a pixel value of test images, or a bound; 256 images at most
    pixel_bits_per_dimension    of the same images with every pixel drawn on its own
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from torch import Tensor

from sevenfold.data import Dataset, Split, moved, parts_of
from sevenfold.layers import Generative, Likelihood
from sevenfold.training.evaluating import evenly_spaced
from sevenfold.training.sampling.baselines import independent_pixels, pixel_bits
from sevenfold.training.sampling.classifier import DigitsClassifier, digits_classifier
from sevenfold.training.sampling.distances import NEIGHBOURS, frechet_distance, precision_and_recall
from sevenfold.training.sampling.drawing import OnSample, draw
from sevenfold.training.workload import Workload

__all__ = ["SAMPLES", "SampleScores", "score_samples"]

SAMPLES = 512  # at most; fewer where the test part is smaller
_BITS_EXAMPLES = 256
_SEED = 0
_COPY_QUANTILE = 0.01


@dataclass(frozen=True, eq=False)
class SampleScores:
    """The figures, and some samples beside real images for a sheet."""

    summary: dict[str, float | None]
    samples: Tensor  # [N, C, H, W]
    real: Tensor  # [N, C, H, W]; real[i] has the class or caption of samples[i]
    conditions: Tensor | None  # [N] labels, or [N, T] tokens


def score_samples(
    workload: Workload, *, classifiers: Path | None = None, on_sample: OnSample = lambda done, of: None
) -> SampleScores:
    """Draw samples of the workload's trained model and hold them to its data; ``classifiers`` is a folder to keep.

    Raises RunError for samples that are not finite.
    """
    model, dataset = workload.model, workload.dataset
    assert isinstance(model, Generative), type(model)
    chosen = evenly_spaced(len(dataset.test), SAMPLES)
    real, conditions = _images_of(dataset.test, chosen)
    train = _images_of(dataset.train, evenly_spaced(len(dataset.train), len(chosen)))[0]
    began = perf_counter()
    samples = draw(
        model, len(chosen), seed=_SEED, condition=conditions, device=workload.device, on_sample=on_sample
    )
    summary: dict[str, float | None] = {"num_samples": len(chosen), "sample_seconds": perf_counter() - began}
    classifier = digits_classifier(min(dataset.input_shape[1:3]), folder=classifiers)
    every, told = _images_of(dataset.train, np.arange(len(dataset.train)))
    by_class = told is not None and told.dim() == 1
    pixels = independent_pixels(every, len(chosen), *((told, conditions) if by_class else (None, None)))
    mean = every.mean(0, keepdim=True).expand_as(real)
    summary |= _distances(classifier, real, {"sample": samples, "real": train, "pixel": pixels, "mean": mean})
    summary["classifier_accuracy"] = classifier.accuracy
    summary["sample_copies"] = _copies(samples, real, every)
    if model.condition == "class":
        summary |= _class_accuracy(classifier, dataset, samples, real, conditions)
    if dataset.translation is not None and model.condition == "image" and conditions is not None:
        summary |= _translation_errors(dataset.translation(conditions), samples, conditions, mean)
    if dataset.checker is not None and model.condition == "tokens":
        summary |= _caption_accuracy(workload, samples, conditions, on_sample)
    if isinstance(model, Likelihood) and model.speaks_of(dataset.levels):
        summary |= _bits(workload, model)
    return SampleScores(summary, samples, real, conditions)


def _images_of(split: Split, indices: np.ndarray) -> tuple[Tensor, Tensor | None]:
    """Images [B, C, H, W] and their condition, if the inputs hold one; on the CPU."""
    images, *told = parts_of(split.batch(indices)[0])
    return images.cpu().float(), told[0].cpu() if told else None


def _distances(classifier: DigitsClassifier, real: Tensor, sets: dict[str, Tensor]) -> dict[str, float | None]:
    reference = classifier.features(real)
    figures: dict[str, float | None] = {}
    for name, images in sets.items():
        features = classifier.features(images)
        figures[f"{name}_frechet"] = frechet_distance(reference, features)
        if name != "mean" and len(reference) > NEIGHBOURS:
            precision, recall = precision_and_recall(reference, features)
            figures |= {f"{name}_precision": precision, f"{name}_recall": recall}
    return figures


def _copies(samples: Tensor, real: Tensor, train: Tensor) -> float:
    """The share of samples whose nearest training image is nearer than that of 99% of the real images."""
    to_train = [torch.cdist(images.flatten(1), train.flatten(1)).amin(1) for images in (samples, real)]
    return float((to_train[0] < torch.quantile(to_train[1], _COPY_QUANTILE)).float().mean())


def _class_accuracy(
    classifier: DigitsClassifier, dataset: Dataset, samples: Tensor, real: Tensor, asked: Tensor | None
) -> dict[str, float | None]:
    """The share taken for the asked digit; nothing for classes that are no digits."""
    if dataset.name != "digits" or asked is None:
        return {}
    return {
        f"{name}_class_accuracy": float((classifier.classes(images) == asked).float().mean())
        for name, images in (("sample", samples), ("real", real))
    }


def _translation_errors(true: Tensor, samples: Tensor, sources: Tensor, mean: Tensor) -> dict[str, float | None]:
    """How far translations are from the true ones, beside doing nothing and beside the mean image."""
    sets = {"translation_error": samples, "untranslated_error": sources, "mean_translation_error": mean}
    return {name: float((images - true).abs().mean()) for name, images in sets.items()}


def _caption_accuracy(
    workload: Workload, samples: Tensor, asked: Tensor | None, on_sample: OnSample
) -> dict[str, float | None]:
    checker, dataset, model = workload.dataset.checker, workload.dataset, workload.model
    assert checker is not None
    assert asked is not None
    assert isinstance(model, Generative)
    seen = _images_of(dataset.validation, evenly_spaced(len(dataset.validation), len(asked)))[1]
    assert seen is not None
    of_seen = draw(model, len(seen), seed=_SEED + 1, condition=seen, device=workload.device, on_sample=on_sample)
    others = asked[torch.randperm(len(asked), generator=torch.Generator().manual_seed(_SEED))]

    def share(right: Tensor) -> float:
        return float(right.double().mean())

    return {
        "caption_accuracy": share(checker.fits(samples, asked)),
        "caption_parts_accuracy": share(checker.parts_right(samples, asked)),
        "seen_caption_accuracy": share(checker.fits(of_seen, seen)),
        "seen_caption_parts_accuracy": share(checker.parts_right(of_seen, seen)),
        "shuffled_caption_accuracy": share(checker.fits(samples, others)),
        "shuffled_caption_parts_accuracy": share(checker.parts_right(samples, others)),
    }


def _bits(workload: Workload, model: Likelihood) -> dict[str, float | None]:
    """Bits per dimension of test images, always from the same random numbers; training's are left alone."""
    dataset, device = workload.dataset, workload.device
    chosen = evenly_spaced(len(dataset.test), min(_BITS_EXAMPLES, workload.recipe.evaluate_examples))
    per_batch = workload.recipe.batch_size
    found: list[Tensor] = []
    assert isinstance(model, Generative)
    model.eval()
    with torch.no_grad(), torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(_SEED)
        for start in range(0, len(chosen), per_batch):
            inputs = moved(dataset.test.batch(chosen[start : start + per_batch])[0], device)
            found.append(model.bits_per_dimension(*parts_of(inputs)).detach().cpu().double())
    figures: dict[str, float | None] = {"test_bits_per_dimension": float(torch.cat(found).mean())}
    if dataset.levels is not None:
        train = _images_of(dataset.train, np.arange(len(dataset.train)))[0]
        figures["pixel_bits_per_dimension"] = pixel_bits(train, _images_of(dataset.test, chosen)[0], dataset.levels)
    return figures
