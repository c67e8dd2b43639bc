"""What a finished generation run says of its samples: figures that tell good from bad, sheets, interruptions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from painter import Painter, PainterSpec, keep_classifier, painter_recipe
from sevenfold.data import load
from sevenfold.errors import RunError, UsageError
from sevenfold.layers import Noise, Sampling
from sevenfold.runs.recipe import DataChoice
from sevenfold.runs.store import RunStore
from sevenfold.training import train_run
from sevenfold.training.evaluating import evenly_spaced
from sevenfold.training.sampling.baselines import independent_pixels, pixel_bits
from sevenfold.training.sampling.classifier import digits_classifier
from sevenfold.training.sampling.distances import frechet_distance, precision_and_recall
from sevenfold.training.sampling.drawing import draw
from sevenfold.training.sampling.sheets import read_png, sheet, write_png


@pytest.fixture(scope="module")
def classifiers(tmp_path_factory):
    return tmp_path_factory.mktemp("classifiers")


@pytest.fixture
def kept(home):
    """The home of a test, where the classifier is found trained."""
    keep_classifier(home)
    return home


def test_the_classifier_is_trained_once_and_kept(classifiers):
    first = digits_classifier(8, folder=classifiers)
    assert first.accuracy > 0.95
    test = load(DataChoice(name="digits"), task="generation").test
    assert float((first.classes(test.inputs) == test.targets).float().mean()) == pytest.approx(first.accuracy)
    again = digits_classifier(8, folder=classifiers)
    assert np.array_equal(first.features(test.inputs), again.features(test.inputs))
    assert first.features(test.inputs).shape == (len(test), 60)
    (kept,) = classifiers.iterdir()
    weights = kept / "weights.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1])  # damaged: trained again, to the same bits
    mended = digits_classifier(8, folder=classifiers)
    assert np.array_equal(first.features(test.inputs), mended.features(test.inputs))
    assert weights.read_bytes() == whole


def test_the_features_tell_damage_of_digits_by_its_size(classifiers):
    """Noise, blur, mirroring and missing modes each move a figure, and more of it moves it more."""
    classifier = digits_classifier(8, folder=classifiers)
    digits = load(DataChoice(name="digits"), task="generation")
    real = digits.test.inputs
    train = digits.train.inputs[evenly_spaced(len(digits.train), len(real))]
    reference = classifier.features(real)
    noise = torch.randn(train.shape, generator=torch.Generator().manual_seed(0))

    def far(images):
        return frechet_distance(reference, classifier.features(images))

    by_noise = [far((train + scale * noise).clamp(0, 1)) for scale in (0.0, 0.1, 0.2, 0.4)]
    assert by_noise == sorted(by_noise)
    assert by_noise[2] > 2 * by_noise[0]
    assert far(F.avg_pool2d(train, 3, 1, 1)) > 20 * by_noise[0]
    assert far(train.flip(3)) > 10 * by_noise[0]
    one_digit = digits.train.inputs[digits.train.targets == 3]
    precision, recall = precision_and_recall(reference, classifier.features(one_digit))
    assert precision > 0.85
    assert recall < 0.3


@pytest.mark.slow
@pytest.mark.parametrize(("image", "channels"), [(16, 1), (16, 3), (32, 3)])
def test_the_features_tell_damage_of_photographs(tmp_path, image, channels):
    settings = {"image": image, "channels": channels}
    patches = load(DataChoice(name="patches", settings=settings), task="generation")
    classifier = digits_classifier(image, folder=tmp_path)
    assert classifier.accuracy > 0.95
    real, train = (split.inputs[:: len(split) // 400][:400] for split in (patches.test, patches.train))
    noise = torch.randn(train.shape, generator=torch.Generator().manual_seed(0))
    reference = classifier.features(real)

    def figures(images):
        features = classifier.features(images)
        return frechet_distance(reference, features), *precision_and_recall(reference, features)

    clean, noisy = figures(train), figures((train + 0.1 * noise).clamp(0, 1))
    blurred = figures(F.avg_pool2d(F.pad(train, (2, 2, 2, 2), mode="replicate"), 5, 1))
    mean = figures(patches.train.inputs.mean(0, keepdim=True).expand_as(train))
    assert clean[0] < noisy[0] < mean[0]
    assert clean[0] < blurred[0] < mean[0]
    assert noisy[1] < clean[1]  # noise costs precision
    assert blurred[2] < clean[2]  # blur costs recall


def test_a_small_image_is_refused_and_a_large_one_averaged(classifiers):
    with pytest.raises(UsageError, match="got 7 pixels, expected at least 8"):
        digits_classifier(7)
    classifier = digits_classifier(12, folder=classifiers)
    assert classifier.side == 8
    digits = load(DataChoice(name="digits"), task="generation").test.inputs[:5]
    large = F.interpolate(digits, scale_factor=2, mode="nearest")
    assert np.allclose(classifier.features(large), classifier.features(digits), atol=1e-5)


def test_independent_pixels_in_bits():
    train = torch.tensor([[0.0, 1.0], [0.0, 0.5], [0.5, 1.0]])
    test = torch.tensor([[0.5, 1.0]])
    expected = -(math.log2(1.5 / 4.5) + math.log2(2.5 / 4.5)) / 2
    assert pixel_bits(train, test, 3) == pytest.approx(expected)
    uniform = torch.arange(256.0)[:, None] / 255
    assert pixel_bits(uniform, uniform, 256) == pytest.approx(8.0)
    with pytest.raises(UsageError, match="not of these levels"):
        pixel_bits(train, test, 16)


def test_independent_pixels_as_images_keep_each_pixels_own_histogram():
    train = torch.rand(50, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    drawn = independent_pixels(train, 4000, None, None)
    for place in range(4):
        column = drawn.flatten(1)[:, place]
        values, counts = column.unique(return_counts=True)
        assert torch.equal(values, train.flatten(1)[:, place].unique())
        assert counts.float().std() < 14  # of 80 each
    assert abs(float(torch.corrcoef(drawn.flatten(1).T)[0, 1])) < 0.05
    labels = torch.arange(50) % 2
    asked = torch.tensor([1, 0, 0])
    by_class = independent_pixels(train, 3, labels, asked)
    assert set(by_class[0].flatten().tolist()) <= set(train[1::2].flatten().tolist())
    assert set(by_class[1:].flatten().tolist()) <= set(train[::2].flatten().tolist())


def test_sample_i_is_the_same_in_every_sheet():
    model = Painter(PainterSpec())
    told: list[tuple[float, int]] = []
    ten = draw(model, 10, seed=3, at_once=4, on_sample=lambda done, of: told.append((done, of)))
    assert torch.equal(ten[:3], draw(model, 3, seed=3))
    assert not torch.equal(ten[:3], draw(model, 3, seed=4))
    assert told == [(2.0, 10), (4.0, 10), (4, 10), (6.0, 10), (8.0, 10), (8, 10), (9.0, 10), (10.0, 10), (10, 10)]
    assert model.training


def test_samples_that_are_not_finite_are_an_error():
    model = Painter(PainterSpec())
    model.mean.data[0, 0, 0, 0] = math.nan
    with pytest.raises(RunError, match="samples are not finite"):
        draw(model, 2, seed=0)


def test_sheets_enlarge_and_keep_every_pixel(tmp_path):
    images = torch.rand(5, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    picture = sheet(images, columns=2)
    assert picture.shape == (3 * 52 + 4, 2 * 52 + 4, 3)
    cell = picture[4 + 52 : 4 + 52 + 48, 4 + 52 : 4 + 52 + 48]
    assert np.array_equal(cell[::6, ::6, 0], (images[3, 0] * 255).round().byte().numpy())
    assert (picture[-48:, -48:] == 255).all()  # no sixth image
    path = write_png(tmp_path / "a" / "one.png", images[0], {"run": "x"})
    assert torch.equal((read_png(path, 1) * 255).round(), (images[0] * 255).round())
    from PIL import Image

    with Image.open(path) as opened:
        assert opened.text == {"run": "x"}


def test_a_finished_run_has_figures_baselines_and_sheets(kept):
    record = train_run(painter_recipe())
    summary = record.summary
    assert record.state == "finished"
    assert summary["num_samples"] == 359
    # Pixels on their own are far from digits, less far than the mean image; real images are near.
    assert summary["real_frechet"] < 2 < 10 < summary["sample_frechet"] < 60 < summary["mean_frechet"]
    assert summary["sample_recall"] < summary["real_recall"]
    assert summary["sample_frechet"] == pytest.approx(summary["pixel_frechet"], rel=0.5)
    assert 0.8 < summary["real_precision"] <= 1
    assert summary["classifier_accuracy"] > 0.95
    assert "sample_class_accuracy" not in summary
    assert summary["sample_copies"] < 0.02
    assert 1.5 < summary["pixel_bits_per_dimension"] < 3 < summary["test_bits_per_dimension"] < 4
    for name in ("samples.png", "real.png"):
        assert read_png(kept / "runs" / record.id / name, 1).shape == (1, 8 * 52 + 4, 8 * 52 + 4)
    assert not (kept / "runs" / record.id / "checkpoints").exists()
    from sevenfold.cli.train import _samples

    told = _samples(summary)
    assert told.startswith(f"Fréchet distance of 359 samples {summary['sample_frechet']:.3g} (real images 1.33,")
    assert f"recall {summary['sample_recall']:.1%}; {summary['test_bits_per_dimension']:.3f} bits" in told


def test_classes_are_asked_for_and_found_again(kept):
    summary = train_run(painter_recipe(data__condition="class")).summary
    assert summary["sample_class_accuracy"] > 0.9  # the right digit, though far from real ones
    # Pixels on their own, but those of a class; normal ones are further off than the histograms.
    assert summary["real_frechet"] < summary["pixel_frechet"] < summary["sample_frechet"] < 8
    assert summary["real_class_accuracy"] == pytest.approx(summary["classifier_accuracy"])


def test_a_probe_draws_nothing():
    record = train_run(painter_recipe(), keep_weights=False)
    assert record.state == "finished"
    assert "sample_frechet" not in record.summary


def test_interrupted_while_sampling_it_goes_on_without_training_again(kept):
    steps: list[int] = []

    def stop(progress):
        steps.append(progress.step)
        if progress.samples:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_run(painter_recipe(), on_step=stop)
    run_id = painter_recipe().run_id()
    assert RunStore().require(run_id).state == "interrupted"
    again: list[float] = []
    record = train_run(painter_recipe(), on_step=lambda progress: again.append(progress.sampled))
    assert record.state == "finished"
    assert again[0] > 0  # no step was taken
    assert again[-1] == 359
    fresh = train_run(painter_recipe(name="other"), fresh=True).summary
    same = ("sample_frechet", "test_loss", "sample_copies", "test_bits_per_dimension")
    assert [record.summary[key] for key in same] == [fresh[key] for key in same]


def test_sampling_reads_its_settings():
    model = Painter(PainterSpec(classes=3))
    with torch.no_grad():
        model.mean[2] = 0.5
        cold = model.sample(
            2, noise=Noise([1, 2]), condition=torch.tensor([2, 2]), sampling=Sampling(temperature=0.0)
        )
    assert torch.equal(cold, torch.full((2, 1, 8, 8), 0.5))
