"""What a model makes of examples, and what is done with it: held to hand-written formulas and planted structure."""

from __future__ import annotations

import io
import itertools

import numpy as np
import pytest
import torch
from PIL import Image

from sevenfold.data import load
from sevenfold.data._dataset import WindowSplit
from sevenfold.errors import SevenfoldError
from sevenfold.models import MODELS
from sevenfold.runs.recipe import DataChoice
from sevenfold.training.representing.anomalies import (
    DETECTORS,
    area_under_curve,
    bound_scores,
    detected,
    reconstruction_errors,
)
from sevenfold.training.representing.clustering import CLUSTERINGS, agreement, clustered, matched_accuracy
from sevenfold.training.representing.features import features, outputs, pixels
from sevenfold.training.representing.maps import mapped, trustworthy
from sevenfold.training.representing.probing import linear_accuracy, neighbour_accuracy
from sevenfold.training.representing.scatter import scatter_png


@pytest.fixture(scope="module")
def digits():
    return load(DataChoice(name="digits"), task="classification")


def windows():
    """Five windows of sixteen tokens."""
    tokens = torch.randint(50, (81,), generator=torch.Generator().manual_seed(0), dtype=torch.int32)
    return WindowSplit.over(tokens, 16)


def balls(num=40, distance=8.0, dimensions=5):
    """Three clouds of rows with their labels."""
    draw = np.random.default_rng(0)
    labels = np.repeat(np.arange(3), num)
    middles = distance * np.eye(3, dimensions)
    return (middles[labels] + draw.normal(size=(3 * num, dimensions))).astype(np.float32), labels


def test_features_are_what_the_last_layer_reads(digits):
    model = MODELS["lecun1989-small"].build()
    rows = features(model, digits.test, at_once=100)
    assert rows.shape == (359, 60)
    with torch.no_grad():
        assert np.allclose(
            rows @ model.output.weight.numpy().T + model.output.bias.numpy(), model(digits.test.inputs), atol=1e-5
        )
    assert np.allclose(outputs(model, digits.test), model(digits.test.inputs).detach().numpy(), atol=1e-6)
    assert model.training


def test_features_of_a_named_layer_and_of_tokens(digits):
    model = MODELS["lecun1989-small"].build()
    rows = features(model, digits.test, layer="h1")
    with torch.no_grad():
        assert np.allclose(rows, model.h1(digits.test.inputs).flatten(1).numpy(), atol=1e-6)


def test_tokens_are_averaged():
    text = windows()
    module = MODELS["gpt2-nano"].build({"context": 16, "vocabulary": 50}).eval()
    name = next(name for name, part in module.named_modules() if isinstance(part, torch.nn.LayerNorm))
    given = {}
    handle = module.get_submodule(name).register_forward_hook(lambda m, i, o: given.update(o=o))
    module(text.batch(np.arange(5))[0])
    handle.remove()
    assert np.allclose(features(module, text, layer=name), given["o"].mean(1).detach().numpy(), atol=1e-6)


def test_a_vae_is_represented_by_the_means_of_its_latents(digits):
    model = MODELS["vae-small"].build()
    with torch.no_grad():
        expected = model.encode(digits.test.inputs)[0].numpy()
    assert np.allclose(features(model, digits.test), expected, atol=1e-6)


def test_what_cannot_be_represented_is_told(digits):
    for name, layer, said in (
        ("lecun1989-small", "h4", "h3"),
        ("gan-digits", None, "does not say"),
        ("mlp-small", "hidden", "gives no numbers"),
    ):
        with pytest.raises(SevenfoldError, match=said) as told:
            features(MODELS[name].build(), digits.test, layer=layer)
        assert "\n" not in str(told.value)


def test_matched_accuracy_is_the_best_of_all_matches():
    draw = np.random.default_rng(0)
    for clusters, classes in ((3, 3), (4, 3), (2, 4)):
        groups, labels = draw.integers(clusters, size=50), draw.integers(classes, size=50)
        size = max(clusters, classes)
        best = max((np.array(p)[groups] == labels).mean() for p in itertools.permutations(range(size)))
        assert matched_accuracy(groups, labels) == pytest.approx(best)


@pytest.mark.parametrize("method", CLUSTERINGS)
def test_planted_clusters_are_found_whatever_they_are_called(method):
    rows, labels = balls()
    found = agreement(clustered(rows, method, 3), labels)
    assert (found.accuracy, found.adjusted_rand, found.mutual_information) == pytest.approx((1, 1, 1))
    assert agreement((labels + 1) % 3, labels) == agreement(labels, labels)
    guessed = agreement(np.random.default_rng(1).integers(3, size=len(labels)), labels)
    assert abs(guessed.adjusted_rand) < 0.05
    assert guessed.accuracy < 0.5


def test_clusters_that_do_not_fit_are_told():
    rows, labels = balls(num=2)
    with pytest.raises(SevenfoldError, match="clusters do not fit"):
        clustered(rows, "k_means", 7)
    with pytest.raises(SevenfoldError, match="do not fit"):
        matched_accuracy(labels[:3], labels)


@pytest.mark.parametrize("method", DETECTORS)
def test_a_planted_anomaly_is_stranger_than_the_rest(method):
    rows, labels = balls(num=100)
    normal = labels == 0
    train, test = rows[::2][normal[::2]], rows[1::2]
    scores = detected(train, test, method)
    assert area_under_curve(scores, ~normal[1::2]) > 0.97
    mixed = np.random.default_rng(0).permutation(~normal[1::2])
    assert area_under_curve(scores, mixed) == pytest.approx(0.5, abs=0.12)


def test_the_area_is_the_share_of_pairs_in_order():
    draw = np.random.default_rng(0)
    scores, strange = draw.integers(5, size=30).astype(float), draw.random(30) < 0.4
    pairs = [(a > b) + 0.5 * (a == b) for a, b in itertools.product(scores[strange], scores[~strange])]
    assert area_under_curve(scores, strange) == pytest.approx(np.mean(pairs))
    with pytest.raises(SevenfoldError, match="both kinds"):
        area_under_curve(scores, np.zeros(30, dtype=bool))


def test_scores_of_a_vae_are_its_errors_and_its_loss(digits):
    model = MODELS["vae-small"].build()
    few = digits.test.take(np.arange(4))
    with torch.no_grad():
        shown = model.reconstruct(few.inputs)
    assert np.allclose(reconstruction_errors(model, few), ((shown - few.inputs) ** 2).mean((1, 2, 3)), atol=1e-6)
    many = bound_scores(model, few, draws=400)
    torch.manual_seed(5)
    with torch.no_grad():
        expected = torch.stack([model(few.inputs) for _ in range(400)]).mean(0).numpy()
    assert np.allclose(many, expected, rtol=0.02)
    with pytest.raises(SevenfoldError, match="reconstructs nothing"):
        reconstruction_errors(MODELS["mlp-small"].build(), few)


def slow_trustworthiness(rows, points, k):
    near = lambda x: np.argsort(((x[:, None] - x[None]) ** 2).sum(-1) + np.diag([np.inf] * len(x)), axis=1)  # noqa: E731
    above, there, total = near(rows), near(points), 0
    for i in range(len(rows)):
        rank = {int(j): r for r, j in enumerate(above[i], 1)}
        total += sum(max(0, rank[int(j)] - k) for j in there[i][:k])
    n = len(rows)
    return 1 - 2 / (n * k * (2 * n - 3 * k - 1)) * total


def test_trustworthiness_is_the_formula_of_the_paper():
    rows, _ = balls(num=15)
    points = np.random.default_rng(2).normal(size=(45, 2))
    assert trustworthy(rows, points, neighbours=5) == pytest.approx(slow_trustworthiness(rows, points, 5))
    assert trustworthy(rows, rows.astype(float), neighbours=5) == 1
    with pytest.raises(SevenfoldError, match="too few rows"):
        trustworthy(rows, points, neighbours=23)


@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_a_map_keeps_planted_neighbourhoods(method):
    rows, labels = balls()
    points = mapped(rows, method, seed=1)
    assert points.shape == (120, 2)
    assert trustworthy(rows, points) > 0.75
    assert neighbour_accuracy(points[::2], labels[::2], points[1::2], labels[1::2]) > 0.95
    assert np.array_equal(points, mapped(rows, method, seed=1))


def test_few_rows_are_mapped_or_told():
    rows, _ = balls(num=2)
    assert mapped(rows, "tsne").shape == (6, 2)
    with pytest.raises(SevenfoldError, match="cannot be drawn"):
        mapped(rows[:3], "pca")


def test_probes_read_planted_classes_off_and_nothing_off_noise():
    rows, labels = balls()
    for probe in (neighbour_accuracy, linear_accuracy):
        assert probe(rows[::2], labels[::2], rows[1::2], labels[1::2]) > 0.97
        noise = np.random.default_rng(0).normal(size=rows.shape)
        assert probe(noise[::2], labels[::2], noise[1::2], labels[1::2]) < 0.6


def test_pixels_are_the_examples_themselves(digits):
    assert np.array_equal(pixels(digits.test), digits.test.inputs.flatten(1).numpy())


def test_a_picture_has_the_colours_of_its_labels():
    rows, labels = balls()
    for told in (labels, labels.astype(np.float32), None):
        picture = Image.open(io.BytesIO(scatter_png(mapped(rows, "pca"), told, "balls")))
        colours = len(np.unique(np.asarray(picture.convert("RGB")).reshape(-1, 3), axis=0))
        assert picture.size[0] >= 800
        assert colours > 10
