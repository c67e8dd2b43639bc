"""Batches are slices of the endless sequence of epochs, whatever the batch size and wherever one starts."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sevenfold.data.order import order
from sevenfold.training.batches import BatchOrder


def endless(seed: int, size: int) -> Iterator[int]:
    """The same sequence, one index at a time."""
    for epoch in itertools.count():
        for position in range(size):
            yield int(order(seed, epoch, position, 1, size)[0])


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 5),
    size=st.integers(1, 40),
    batch_size=st.integers(1, 97),
    window=st.integers(1, 200),
    steps=st.integers(1, 12),
)
def test_batches_cut_the_endless_sequence(seed: int, size: int, batch_size: int, window: int, steps: int) -> None:
    batches = BatchOrder(seed=seed, size=size, batch_size=batch_size, window=window)
    expected = list(itertools.islice(endless(seed, size), steps * batch_size))
    got = np.concatenate([batches.indices(step) for step in range(steps)])
    assert got.tolist() == expected


@settings(deadline=None, max_examples=25)
@given(size=st.integers(1, 40), batch_size=st.integers(1, 97), step=st.integers(0, 20), window=st.integers(1, 200))
def test_any_step_can_be_asked_for_first(size: int, batch_size: int, step: int, window: int) -> None:
    walked = BatchOrder(seed=3, size=size, batch_size=batch_size, window=window)
    for number in range(step):
        walked.indices(number)
    jumped = BatchOrder(seed=3, size=size, batch_size=batch_size)
    assert walked.indices(step).tolist() == jumped.indices(step).tolist()
    assert walked.indices(0).tolist() == jumped.indices(0).tolist()


def test_every_epoch_serves_every_example_once_even_where_batches_straddle() -> None:
    batches = BatchOrder(seed=0, size=10, batch_size=4)
    served = np.concatenate([batches.indices(step) for step in range(5)])  # two epochs; batch 2 straddles
    assert sorted(served[:10]) == sorted(served[10:]) == list(range(10))
    assert served[:10].tolist() != served[10:].tolist()
