"""Noise: a sample depends on its own seed and on nothing else."""

from __future__ import annotations

import pytest
import torch

from sevenfold.errors import UsageError
from sevenfold.layers import Noise


def test_an_example_has_the_same_numbers_in_any_company():
    alone, beside = Noise([5]), Noise([4, 5, 6])
    for draw in (lambda n: n.normal(2, 3), lambda n: n.uniform(4), lambda n: n.normal(1)):
        assert torch.equal(draw(alone)[0], draw(beside)[1])
    assert not torch.equal(Noise([4]).normal(8), Noise([5]).normal(8))


def test_choices_follow_their_weights():
    noise = Noise(range(4000))
    counts = torch.bincount(noise.choose(torch.tensor([[1.0, 2.0, 0.0, 5.0]]).expand(4000, 4)), minlength=4) / 4000
    torch.testing.assert_close(counts, torch.tensor([1 / 8, 2 / 8, 0.0, 5 / 8]), rtol=0, atol=0.03)
    assert counts[2] == 0


def test_moments():
    drawn = Noise(range(2000)).normal(5)
    assert float(drawn.mean()) == pytest.approx(0, abs=0.03)
    assert float(drawn.std()) == pytest.approx(1, abs=0.03)
    assert 0 <= float(Noise(range(100)).uniform(3).min()) < float(Noise(range(100)).uniform(3).max()) <= 1


def test_no_seeds_and_wrong_rows_are_errors():
    with pytest.raises(UsageError, match="at least one"):
        Noise([])
    with pytest.raises(UsageError, match="one row"):
        Noise([1, 2]).choose(torch.ones(3, 4))
