"""Labels that are bought: what they cost, who gives them, and that nobody but training sees them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sevenfold.data import load
from sevenfold.data.bought_labels import BoughtLabels, buy_labels
from sevenfold.errors import SevenfoldError, UsageError
from sevenfold.recipes import recipe_from
from sevenfold.runs.recipe import DataChoice

TRUTH = np.random.default_rng(0).integers(0, 10, 3000)


def bought(errors, combine="first", labels=None, seed=0, truth=TRUTH, **more):
    settings = BoughtLabels(label_errors=errors, combine=combine, labels_bought=labels, label_seed=seed, **more)
    return buy_labels(truth, settings, 10)


@given(
    combine=st.sampled_from(["first", "majority", "judged", "dawid-skene", "one-rate"]),
    labels=st.integers(5, 400),
    rates=st.lists(st.sampled_from([0.0, 0.1, 0.5, 1.0]), min_size=3, max_size=5),
    seed=st.integers(0, 5),
)
def test_no_more_is_spent_than_there_is_and_no_item_is_left_half_labelled(combine, labels, rates, seed):
    found = bought(",".join(map(str, rates)), combine, labels, seed, TRUTH[:200])
    given_ = (found.labels >= 0).sum(1)
    assert found.cost == given_.sum() <= labels
    each = {"first": [1], "judged": [2, 3]}.get(combine, [len(rates)])
    assert set(given_) <= set(each)
    assert len(set(found.items)) == len(found.items)
    assert labels - found.cost < max(each) or len(found.items) == 200
    asked = (found.labels >= 0).sum(0)
    if combine != "judged":
        assert asked.max() - asked.min() <= 1  # everybody labels as much
    assert found.combined.min() >= 0


def test_labellers_err_as_planted_whoever_begins():
    found = bought("0.05,0.3,0.6", "majority")
    for number, rate in enumerate((0.05, 0.3, 0.6)):
        assert (found.labels[:, number] != TRUTH[found.items]).mean() == pytest.approx(rate, abs=0.03)
    first = bought("0.05,0.3,0.6")
    assert first.accuracy(TRUTH) == pytest.approx(1 - 0.95 / 3, abs=0.03)


def test_what_the_ways_of_combining_give_in_theory():
    """Three labellers who err on a share e, each of nine wrong classes as often."""
    e = 0.4
    two_right = (1 - e) ** 3 + 3 * e * (1 - e) ** 2
    # one right, the others wrong and different: a tie, and the right one began in a third of the cases
    tie = 3 * (1 - e) * e**2 * (8 / 9) / 3
    assert bought("0.4,0.4,0.4", "majority").accuracy(TRUTH) == pytest.approx(two_right + tie, abs=0.02)
    # judged: the first two right; or they differ, and the third is right
    differ = 1 - (1 - e) ** 2 - e**2 / 9
    judged = bought("0.4,0.4,0.4", "judged")
    assert judged.accuracy(TRUTH) == pytest.approx((1 - e) ** 2 + differ * (1 - e), abs=0.02)
    assert judged.cost / len(TRUTH) == pytest.approx(2 + differ, abs=0.02)


def test_errors_that_all_go_to_one_class_agree_with_each_other():
    """Then a judge is a majority, and three who err on 40% are wrong together on 3 e^2 (1 - e) + e^3."""
    e = 0.4
    vote, judged = (bought("0.4,0.4,0.4", combine, errors_to="next") for combine in ("majority", "judged"))
    assert vote.accuracy(TRUTH) == pytest.approx(1 - 3 * e**2 * (1 - e) - e**3, abs=0.02)
    assert (vote.combined == judged.combined).all()
    wrong = vote.combined != TRUTH[vote.items]
    assert (vote.combined[wrong] == (TRUTH[vote.items][wrong] + 1) % 10).all()


def test_dawid_and_skene_find_the_good_labeller_where_a_vote_does_not():
    """On 3000 items; on the digits' 1079 the paradigm label-noise measures it."""
    vote, found = (bought("0.05,0.5,0.5", combine) for combine in ("majority", "dawid-skene"))
    assert found.error_rates == pytest.approx((0.05, 0.5, 0.5), abs=0.06)
    assert found.accuracy(TRUTH) > vote.accuracy(TRUTH) + 0.08


def test_one_seed_one_purchase_and_fewer_labels_are_the_first_of_more():
    one, same, other = bought("0.2", labels=300), bought(0.2, labels=300), bought("0.2", labels=300, seed=1)
    assert (one.items == same.items).all()
    assert (one.combined == same.combined).all()
    assert set(one.items) != set(other.items)
    more = bought("0.2", labels=500)
    assert (more.items[:300] == one.items).all()
    assert (more.combined[:300] == one.combined).all()


def digits(**settings):
    return load(DataChoice(name="digits", settings=settings), task="classification")


def by_image(split):
    return {image.numpy().tobytes(): int(y) for image, y in zip(split.inputs, split.targets, strict=True)}


def test_digits_are_trained_on_what_was_bought_and_tested_on_the_truth():
    plain, noisy = digits(), digits(label_errors="0.2,0.2,0.2", combine="majority", labels_bought=1079)
    assert (len(noisy.train), noisy.num_train_whole) == (359, 359)
    for split in ("validation", "test"):
        assert torch.equal(getattr(plain, split).targets, getattr(noisy, split).targets)
        assert torch.equal(getattr(plain, split).inputs, getattr(noisy, split).inputs)
    truth = by_image(plain.train)
    right = [truth[image] == label for image, label in by_image(noisy.train).items()]
    assert f"{np.mean(right):.1%} right" in noisy.provenance.notes
    assert "1,077 labels" in noisy.provenance.notes
    assert 0.85 < np.mean(right) < 0.99
    one = digits(label_errors=0.0)
    assert sorted(one.train.targets.tolist()) == sorted(plain.train.targets.tolist())


def test_the_settings_are_a_part_of_the_run():
    plain, noisy = recipe_from("digits-cnn", {}), recipe_from("digits-cnn", {"data.label_errors": "0.2"})
    assert plain.run_id() != noisy.run_id()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"label_errors": "0.2,1.5"}, "shares of errors"),
        ({"label_errors": "some"}, "shares of errors"),
        ({"label_errors": "0.2", "combine": "majority"}, "needs 2 labellers or more"),
        ({"label_errors": "0.2,0.2", "combine": "judged"}, "needs 3 labellers or more"),
        ({"label_errors": "0.2,0.2,0.2", "combine": "majority", "labels_bought": 2}, "too few labels for one item"),
        ({"labels_bought": 100}, "labels_bought is for labels that are bought"),
        ({"errors_to": "next"}, "errors_to is"),
        ({"combine": "majority"}, "combine is for labels that are bought"),
        ({"label_errors": "0.2", "combine": "mean"}, "combine does not fit"),
    ],
)
def test_what_does_not_fit_is_told(settings, said):
    with pytest.raises(SevenfoldError, match=said):
        digits(**settings)


def test_images_to_sample_have_no_labels_to_buy():
    with pytest.raises(UsageError, match="label_errors is for the task classification"):
        load(DataChoice(name="digits", settings={"label_errors": "0.2"}), task="generation")
