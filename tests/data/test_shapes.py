"""Pictures of shapes with captions: what they show, what is held out, and the reader that checks them."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pytest
import torch

from sevenfold.data import Dataset, Split, load
from sevenfold.data._reading_scenes import Reading, read_scenes
from sevenfold.data._scenes import (
    COLOURS,
    HELD_OUT,
    RELATIONS,
    SHAPES,
    SIDES,
    THINGS,
    VOCABULARY,
    Placed,
    Scene,
    Thing,
    caption,
    mask,
    rendered,
    scene_of,
    tokenize,
)
from sevenfold.data.shapes import TEST_SCENES, TRAINING_SCENES
from sevenfold.errors import UsageError
from sevenfold.runs.recipe import DataChoice


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return load(DataChoice(name="shapes"), task="generation")


def whole(split: Split) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    inputs, targets = split.batch(np.arange(len(split)))
    assert isinstance(inputs, tuple)
    return inputs[0], inputs[1], targets


def test_captions_and_tokens_are_one_to_one() -> None:
    scenes = [*TRAINING_SCENES, *TEST_SCENES]
    tokens = tokenize([caption(scene) for scene in scenes])
    assert len({tuple(row) for row in tokens.tolist()}) == len(scenes) == (2 * 4 * 3) ** 2 * 4
    assert [scene_of(row) for row in tokens.tolist()] == scenes
    assert tokens.min() == 1
    assert (tokens.amax(dim=1) == VOCABULARY - 1).all()  # the end token, by which CLIP finds a text's end
    for wrong in ("a large red circle", "a red large circle above a small blue square", "a large red dog"):
        with pytest.raises(UsageError, match=r"not the caption of a scene|a word that no caption has"):
            tokenize([wrong])
    with pytest.raises(UsageError, match="tokens of no caption"):
        scene_of([0] * 11)


def test_what_is_held_out_is_put_together_of_what_is_not() -> None:
    assert len(TRAINING_SCENES) == 20 * 20 * 4
    assert len(TEST_SCENES) == (24 * 24 - 20 * 20) * 4
    seen = {thing for scene in TRAINING_SCENES for thing in (scene.first, scene.second)}
    assert seen == set(THINGS) - set(HELD_OUT)
    for thing in HELD_OUT:
        for places in combinations(range(3), 2):
            assert any(all(other[place] == thing[place] for place in places) for other in seen)


def test_no_picture_is_in_two_splits(dataset: Dataset) -> None:
    parts = [
        {picture.numpy().tobytes() for picture in whole(split)[0]}
        for split in (dataset.train, dataset.validation, dataset.test)
    ]
    assert [len(dataset.train), len(dataset.validation), len(dataset.test)] == [6400, 1600, 704]
    assert all(not one & other for one, other in combinations(parts, 2))
    _, tokens, numbers = whole(dataset.test)
    assert [scene_of(row) for row in tokens.tolist()] == [TEST_SCENES[number] for number in numbers.tolist()]


def test_the_same_seed_gives_the_same_pictures() -> None:
    first, again, other = (
        load(DataChoice(name="shapes", split_seed=seed, settings={"pictures": 1}), task="generation")
        for seed in (2, 2, 3)
    )
    assert first.provenance == again.provenance
    assert torch.equal(whole(first.train)[0], whole(again.train)[0])
    assert first.provenance.sha256 != other.provenance.sha256


def test_pairs_for_contrastive_training() -> None:
    split = load(DataChoice(name="shapes", settings={"pictures": 1}), task="image-text").train
    (pictures, tokens), targets = split.take(np.arange(20)).to("cpu").batch(np.array([3, 1, 4]))
    assert pictures.shape == (3, 3, 16, 16)
    assert tokens.shape == (3, 11)
    assert targets.tolist() == [0, 1, 2]


def test_every_shape_differs_from_every_other() -> None:
    for size in SIDES:
        pixels = [mask(Thing(size, "red", shape)) for shape in SHAPES]
        assert all((one != other).sum() >= 4 for one, other in combinations(pixels, 2))
        assert all(np.array_equal(one, turned) for one in pixels for turned in (one.T, one[::-1], one[:, ::-1]))
    assert [int(mask(Thing("large", "red", shape)).sum()) for shape in SHAPES] == [37, 49, 33]


# The reader.


def test_the_reader_finds_things_and_places_of_every_drawing(dataset: Dataset) -> None:
    for split in (dataset.train, dataset.validation, dataset.test):
        pictures, tokens, _ = whole(split)
        assert dataset.checker is not None
        assert dataset.checker.fits(pictures, tokens).all()
        assert (dataset.checker.parts_right(pictures, tokens) == 1).all()


def test_a_thing_is_read_at_the_very_pixel() -> None:
    draw = np.random.default_rng(0)
    for one, other in product(THINGS, THINGS):
        placed = (
            Placed(one, int(draw.integers(0, 9)), int(draw.integers(0, 2))),
            Placed(other, int(draw.integers(0, 10)), int(draw.integers(8, 10))),
        )
        (reading,) = read_scenes(torch.from_numpy(rendered(placed))[None] / 255)
        assert set(reading.placed) == set(placed) or one == other
        assert reading.left_over == 0


def test_the_relation_is_the_longer_way() -> None:
    red, blue = Thing("small", "red", "square"), Thing("small", "blue", "square")
    for (top, left), relation in {
        (6, 1): "left of",
        (6, 11): "right of",
        (1, 6): "above",
        (11, 7): "below",
    }.items():
        (reading,) = read_scenes(
            torch.from_numpy(rendered([Placed(red, top, left), Placed(blue, 6, 6)]))[None] / 255
        )
        of = [one.thing for one in reading.placed].index(red)
        assert reading.relation(of) == relation
        opposite = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}[relation]
        assert reading.relation(1 - of) == opposite


def changed(scene: Scene) -> list[Scene]:
    """The scenes that differ in one of the seven parts, and the one with its things exchanged."""
    words = (tuple(SIDES), tuple(COLOURS), SHAPES)
    scenes = [scene._replace(relation=other) for other in RELATIONS if other != scene.relation]
    for name, thing in (("first", scene.first), ("second", scene.second)):
        for place, choices in enumerate(words):
            for word in choices:
                if word != thing[place]:
                    scenes.append(scene._replace(**{name: Thing(*(*thing[:place], word, *thing[place + 1 :]))}))
    return [*scenes, Scene(scene.second, scene.relation, scene.first)]


def test_one_wrong_word_is_one_seventh_less(dataset: Dataset) -> None:
    assert dataset.checker is not None
    pictures, tokens, _ = whole(dataset.test)
    for index in range(0, 704, 50):
        scene = scene_of(tokens[index].tolist())
        others = changed(scene)
        shown = pictures[index].expand(len(others), -1, -1, -1)
        said = tokenize([caption(other) for other in others])
        fits, parts = dataset.checker.fits(shown, said), dataset.checker.parts_right(shown, said)
        same = torch.tensor([set(read_again(other)) == set(read_again(scene)) for other in others])
        assert torch.equal(fits, same)
        assert (parts[:-1] >= 6 / 7 - 1e-12).all()
        assert (parts[~same] <= 6 / 7 + 1e-12).all()


def read_again(scene: Scene) -> list[tuple[Thing, str, Thing]]:
    """A scene said from both ends."""
    turned = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}
    return [tuple(scene), (scene.second, turned[scene.relation], scene.first)]


def test_exchanged_captions_come_to_chance(dataset: Dataset) -> None:
    """A caption drawn anew fits where it says the same: 1 in 1,600, or 2 (said from the other end)."""
    assert dataset.checker is not None
    pictures, tokens, _ = whole(dataset.train)
    mixed = tokens[torch.randperm(len(tokens), generator=torch.Generator().manual_seed(0))]
    assert float(dataset.checker.fits(pictures, mixed).double().mean()) < 0.004
    assert 0.40 < float(dataset.checker.parts_right(pictures, mixed).mean()) < 0.49


@pytest.mark.parametrize(("noise", "least"), [(0.05, 1.0), (0.1, 0.995), (0.2, 0.7)])
def test_noise_that_leaves_the_picture_legible_leaves_the_reading(
    dataset: Dataset, noise: float, least: float
) -> None:
    assert dataset.checker is not None
    pictures, tokens, _ = whole(dataset.test)
    draw = torch.randn(pictures.shape, generator=torch.Generator().manual_seed(1))
    assert float(dataset.checker.fits((pictures + noise * draw).clamp(0, 1), tokens).double().mean()) >= least


def test_what_shows_no_two_things_is_not_legible() -> None:
    blank = torch.zeros(1, 3, 16, 16)
    grey = torch.full((1, 3, 16, 16), 0.5)
    white_noise = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    three = [Placed(Thing("large", "red", "square"), *place) for place in ((0, 0), (0, 9), (9, 4))]
    many = torch.from_numpy(rendered(three))[None] / 255
    readings: list[Reading] = read_scenes(torch.cat([blank, grey, white_noise, many]))
    assert not any(reading.legible for reading in readings)


@pytest.mark.parametrize("thing", THINGS)
def test_one_thing_alone_is_no_scene(thing: Thing) -> None:
    (reading,) = read_scenes(torch.from_numpy(rendered([Placed(thing, 5, 5)]))[None] / 255)
    assert not reading.legible


@pytest.mark.parametrize("strength", [0.2, 0.6])
def test_a_faint_thing_is_there_from_three_quarters_of_its_strength_on(strength: float) -> None:
    """At strength s the gain is 2 s - 1 of the energy: half of it at 0.75."""
    drawn = torch.from_numpy(rendered([Placed(Thing("large", "red", "square"), 0, 0)]))[None] / 255
    faint = torch.from_numpy(rendered([Placed(Thing("large", "blue", "square"), 8, 8)]))[None] / 255
    assert not read_scenes(drawn + strength * faint)[0].legible
    (reading,) = read_scenes(drawn + 0.8 * faint)
    assert reading.legible
    assert reading.faintest == pytest.approx(0.6, abs=1e-5)


def test_the_mean_picture_fits_no_caption(dataset: Dataset) -> None:
    assert dataset.checker is not None
    pictures, tokens, _ = whole(dataset.train)
    mean = pictures.mean(dim=0, keepdim=True)
    assert not dataset.checker.fits(mean.expand(200, -1, -1, -1), tokens[:200]).any()
