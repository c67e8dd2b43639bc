"""Experience replay that stores each frame once (Lin 1992; Mnih et al. 2013, algorithm 1).

An observation is the last K frames. Stored as such, a million observations of 4 x 84 x 84 bytes and what they led
to take 56 GB; as frames 7.1 GB. Row i of the ring is a frame, and, unless the episode ended there, the action that
was taken on seeing it, its reward, and whether the game ended; the frame that it led to is the next row of the same
stream. Frames of before the episode's first are zeros.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sevenfold.errors import UsageError

__all__ = ["Batch", "Replay", "require_room"]

Array = npt.NDArray[Any]
_SHARE_OF_MEMORY = 0.8  # what a replay may take of it


@dataclass(frozen=True)
class Batch:
    """B transitions: observations and what they led to [B, K * C, ...], actions, rewards, ended [B]."""

    observations: Tensor
    actions: Tensor
    rewards: Tensor
    led_to: Tensor
    ended: Tensor  # by the game: nothing follows


@dataclass(frozen=True)
class _Arrays:
    """The replay's tensors as NumPy sees them, in the same memory: single entries are read and written faster."""

    actions: Array
    rewards: Array
    ended: Array
    last: Array


class Replay:
    """A ring of frames for each of ``streams`` environments, ``capacity`` frames in all.

    ``frame_shape`` is (C, H, W), or (F,); K = ``stack`` frames make an observation along the first axis. Raises
    UsageError where the memory of this machine cannot hold it.

    >>> replay = Replay(1_000, (1, 84, 84), stack=4, dtype=torch.uint8)
    >>> replay.num_bytes // 1_000
    7070
    """

    def __init__(
        self, capacity: int, frame_shape: tuple[int, ...], *, stack: int = 1, streams: int = 1, dtype: torch.dtype
    ) -> None:
        self.num_bytes = require_room(capacity, frame_shape, stack=stack, streams=streams, dtype=dtype)
        rows = capacity // streams
        self.stack, self.streams, self.rows = stack, streams, rows
        self.frames = torch.zeros((streams, rows, *frame_shape), dtype=dtype)
        self.actions = torch.zeros((streams, rows), dtype=torch.int64)
        self.rewards = torch.zeros((streams, rows))
        self.ended = torch.zeros((streams, rows), dtype=torch.bool)
        self.last = torch.zeros((streams, rows), dtype=torch.bool)  # of its episode: no action was taken on it
        self._fast = _Arrays(self.actions.numpy(), self.rewards.numpy(), self.ended.numpy(), self.last.numpy())
        self._written = [0] * streams  # frames ever, by stream

    def __len__(self) -> int:
        """Frames held."""
        return sum(min(written, self.rows) for written in self._written)

    def add(self, stream: int, frame: Tensor, action: int, reward: float, ended: bool) -> None:
        """A frame, the action taken on it, and what that paid; ``ended`` where the game was over after it."""
        at = self._write(stream, frame, last=False)
        self._fast.actions[stream, at], self._fast.rewards[stream, at] = action, reward
        self._fast.ended[stream, at] = ended

    def add_last(self, stream: int, frame: Tensor) -> None:
        """The frame that an episode ended on."""
        self._write(stream, frame, last=True)

    def sample(self, size: int) -> Batch:
        """Transitions drawn uniformly, with replacement, from torch's random numbers."""
        streams, at = self._drawn(size)
        frames = torch.unflatten(self._frames(streams, at), 0, (size, self.stack + 1))
        chosen = torch.from_numpy(streams * self.rows + at)
        return Batch(
            observations=frames[:, :-1].flatten(1, 2),
            actions=self.actions.flatten()[chosen],
            rewards=self.rewards.flatten()[chosen],
            led_to=frames[:, 1:].flatten(1, 2),
            ended=self.ended.flatten()[chosen],
        )

    def state(self) -> dict[str, Tensor]:
        """All that is held, as tensors; views, not copies."""
        most = min(max(self._written), self.rows)
        names = ("frames", "actions", "rewards", "ended", "last")
        return {"written": torch.tensor(self._written)} | {name: getattr(self, name)[:, :most] for name in names}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Hold what `state` gave."""
        self._written = state["written"].tolist()
        for name in ("frames", "actions", "rewards", "ended", "last"):
            getattr(self, name)[:, : state[name].shape[1]] = state[name]

    def _write(self, stream: int, frame: Tensor, *, last: bool) -> int:
        at = self._written[stream] % self.rows
        self.frames[stream, at] = frame
        self._fast.last[stream, at] = last
        self._written[stream] += 1
        return at

    def _drawn(self, size: int) -> tuple[Array, Array]:
        """Streams and rows of transitions whose frames are all still held."""
        found_streams, found_rows = [], []
        all_written = np.array(self._written)
        missing = size
        while missing:
            streams = torch.randint(self.streams, (2 * missing,)).numpy()
            written = all_written[streams]
            held = np.minimum(written, self.rows)
            # Ages 1 ... held - 1: the newest row has no successor yet.
            age = 1 + (torch.rand(2 * missing, dtype=torch.float64).numpy() * (held - 1)).astype(np.int64)
            rows = (written - 1 - age) % self.rows
            fits = (held > 1) & ~self._fast.last[streams, rows] & self._whole(streams, rows, age, held)
            found_streams.append(streams[fits][:missing])
            found_rows.append(rows[fits][:missing])
            missing -= len(found_rows[-1])
        return np.concatenate(found_streams), np.concatenate(found_rows)

    def _whole(self, streams: Array, rows: Array, age: Array, held: Array) -> Array:
        """Whether the earlier frames of the observation are held, or before the episode."""
        open_ = np.ones(len(age), dtype=np.bool_)
        whole = open_.copy()
        for back in range(1, self.stack):
            overwritten = age + back >= held
            before = (held < self.rows) & overwritten  # of the first frame ever
            begins = before | self._fast.last[streams, (rows - back) % self.rows] & ~overwritten
            open_ = open_ & ~begins
            whole = whole & ~(open_ & overwritten)
        return whole

    def _frames(self, streams: Array, rows: Array) -> Tensor:
        """The K frames up to ``rows`` and the one after, [B (K + 1), C, ...]; both observations lie in them."""
        at = rows[:, None] + np.arange(1 - self.stack, 2)
        flat = torch.from_numpy((streams[:, None] * self.rows + at % self.rows).ravel())
        frames = self.frames.flatten(0, 1).index_select(0, flat)
        if self.stack == 1:
            return frames
        present = np.ones(at.shape, dtype=np.bool_)
        first = np.array(self._written)[streams] <= self.rows  # nothing was before row 0
        for place in range(self.stack - 2, -1, -1):
            row = at[:, place]
            gone = self._fast.last[streams, row % self.rows] | first & (row < 0)
            present[:, place] = present[:, place + 1] & ~gone
        if not present.all():
            frames[torch.from_numpy(~present.ravel())] = 0
        return frames


def require_room(
    capacity: int, frame_shape: tuple[int, ...], *, stack: int, streams: int, dtype: torch.dtype
) -> int:
    """The bytes of such a `Replay`; UsageError where it is too small to learn from, or this machine's memory is."""
    rows = capacity // streams
    if rows < stack + 2:
        raise UsageError(
            "a replay needs room for more than one observation",
            got=f"{capacity} frames for {streams} environments",
            expected=f"at least {(stack + 2) * streams}",
        )
    num_bytes = rows * streams * (torch.Size(frame_shape).numel() * dtype.itemsize + 14)
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if num_bytes > _SHARE_OF_MEMORY * machine:
        raise UsageError(
            "the replay does not fit this machine's memory",
            got=f"{capacity:,} frames, {num_bytes / 1e9:.1f} GB",
            expected=f"at most {_SHARE_OF_MEMORY * machine / 1e9:.1f} GB",
            hint=f"--set model.replay={int(capacity * _SHARE_OF_MEMORY * machine / num_bytes)}",
        )
    return num_bytes
