"""The rate search grows while it improves, refines between neighbours, and is not moved by noise."""

from __future__ import annotations

import math

import pytest

from sevenfold.diagnosis.rows._rates import best_rate, next_rates, rounded


def search(best: float, margin: float = 0.01) -> tuple[float, int]:
    """The multiple found and the number of rates tried, on a parabola with its floor at ``best``."""
    known: dict[float, tuple[float, ...]] = {}
    while more := next_rates(known, margin):
        known |= {one: tuple(min(9.0, 0.05 * math.log2(one / best) ** 2) + s for s in (0.0, 0.1)) for one in more}
    return best_rate(known, margin), len(known)


@pytest.mark.parametrize("best", [1.0, 2.0, 4.0, 16.0, 100.0, 1 / 4, 1 / 100, 1000.0])
def test_finds_a_rate_far_off_in_few_probes(best: float) -> None:
    found, tried = search(best)
    assert abs(math.log2(found / best)) <= 0.5
    assert tried <= 12
    assert tried == 3 or best != 1


def test_a_rate_that_fails_is_not_taken() -> None:
    known = {0.5: (2.0, 2.0), 1.0: (1.0, 1.0), 2.0: (0.5, math.inf)}
    assert best_rate(known, 0.01) == 1.0
    assert next_rates(known, 0.01) == ()


def test_all_rates_failing_is_an_end() -> None:
    known = dict.fromkeys((0.5, 1.0, 2.0), (math.inf, math.inf))
    assert next_rates(known, 0.01) == ()


def test_noise_on_one_seed_moves_nothing() -> None:
    known = {0.5: (1.1, 1.1), 1.0: (1.0, 1.0), 2.0: (0.8, 1.005)}
    assert best_rate(known, 0.01) == 1.0
    assert best_rate({**known, 2.0: (0.8, 0.98)}, 0.01) == 2.0


def test_the_search_has_an_end() -> None:
    """A loss that falls for ever with the rate."""
    known: dict[float, tuple[float, ...]] = {}
    while more := next_rates(known, 0.01):
        known |= {one: (-one,) for one in more}
    assert max(known) <= 4096
    assert rounded(0.002 * 3) == 0.006
