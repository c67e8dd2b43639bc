"""The replay gives back exactly what was seen: held to a list that forgets nothing."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sevenfold.errors import UsageError
from sevenfold.training.reinforcement.replay import Replay


def played(capacity, stack, streams, lengths, seed=0):
    """A replay and the whole history, as (observation, action, reward, led_to, ended) by the frame's number."""
    draw = torch.Generator().manual_seed(seed)
    replay = Replay(capacity, (1, 2, 2), stack=stack, streams=streams, dtype=torch.uint8)
    history, number = {}, 0
    for episode, length in enumerate(lengths):
        stream = episode % streams
        frames = [torch.zeros(1, 2, 2, dtype=torch.uint8)] * (stack - 1)
        current = torch.tensor([number // 256, number % 256, stream, 1], dtype=torch.uint8).reshape(1, 2, 2)
        for step in range(length):
            number += 1
            frames = [*frames, current]
            ends = step == length - 1
            over = ends and episode % 2 == 0
            action = int(torch.randint(5, (), generator=draw))
            replay.add(stream, current, action, float(number), over)
            led_to = torch.tensor([number // 256, number % 256, stream, 1], dtype=torch.uint8).reshape(1, 2, 2)
            history[float(number)] = (
                torch.cat(frames[-stack:]),
                action,
                torch.cat([*frames, led_to][-stack:]),
                over,
            )
            current = led_to
        number += 1
        replay.add_last(stream, current)
    return replay, history


@settings(max_examples=40, deadline=None)
@given(
    stack=st.integers(1, 4),
    streams=st.integers(1, 3),
    rows=st.integers(8, 60),
    lengths=st.lists(st.integers(1, 12), min_size=6, max_size=25),
)
def test_every_sample_is_what_was_seen(stack, streams, rows, lengths):
    replay, history = played(rows * streams, stack, streams, lengths)
    torch.manual_seed(0)
    batch = replay.sample(64)
    for row in range(64):
        observation, action, led_to, over = history[float(batch.rewards[row])]
        assert torch.equal(batch.observations[row], observation)
        assert torch.equal(batch.led_to[row], led_to)
        assert int(batch.actions[row]) == action
        assert bool(batch.ended[row]) == over


def test_all_that_is_held_is_drawn_about_equally():
    replay, _ = played(400, 2, 1, [10] * 30)
    torch.manual_seed(0)
    drawn, counts = torch.unique(replay.sample(30_000).rewards, return_counts=True)
    held = 300  # transitions of thirty episodes, all in the ring
    assert len(drawn) == held
    assert counts.float().std() / counts.float().mean() < 0.2


def test_a_replay_survives_its_state():
    replay, _ = played(100, 3, 2, [9] * 20)
    again = Replay(100, (1, 2, 2), stack=3, streams=2, dtype=torch.uint8)
    again.restore({name: tensor.clone() for name, tensor in replay.state().items()})
    torch.manual_seed(4)
    first = replay.sample(20)
    torch.manual_seed(4)
    second = again.sample(20)
    assert torch.equal(first.observations, second.observations)
    assert torch.equal(first.rewards, second.rewards)


def test_a_million_atari_frames_take_less_than_seven_and_a_half_gigabytes():
    small = Replay(10_000, (1, 84, 84), stack=4, dtype=torch.uint8)
    held = sum(
        t.element_size() * t.nelement()
        for t in (small.frames, small.actions, small.rewards, small.ended, small.last)
    )
    assert held == small.num_bytes
    assert small.num_bytes * 100 <= 7.5e9


def test_a_replay_that_cannot_fit_is_told_before_anything_is_allocated():
    with pytest.raises(UsageError, match="does not fit this machine's memory") as told:
        Replay(10**9, (1, 84, 84), stack=4, dtype=torch.uint8)
    assert "model.replay=" in str(told.value)
    with pytest.raises(UsageError, match="room for more than one"):
        Replay(5, (1, 84, 84), stack=4, dtype=torch.uint8)
