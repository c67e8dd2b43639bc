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

import torch
from torch import Tensor

from sevenfold.errors import UsageError

__all__ = ["Batch", "Replay"]

_SHARE_OF_MEMORY = 0.8  # what a replay may take of it


@dataclass(frozen=True)
class Batch:
    """B transitions: observations and what they led to [B, K * C, ...], actions, rewards, ended [B]."""

    observations: Tensor
    actions: Tensor
    rewards: Tensor
    led_to: Tensor
    ended: Tensor  # by the game: nothing follows


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
        rows = capacity // streams
        if rows < stack + 2:
            raise UsageError(
                "a replay needs room for more than one observation",
                got=f"{capacity} frames for {streams} environments",
                expected=f"at least {(stack + 2) * streams}",
            )
        self.stack, self.streams, self.rows = stack, streams, rows
        frame_bytes = torch.Size(frame_shape).numel() * dtype.itemsize
        self.num_bytes = rows * streams * (frame_bytes + 14)
        _require_memory(self.num_bytes, capacity)
        self.frames = torch.zeros((streams, rows, *frame_shape), dtype=dtype)
        self.actions = torch.zeros((streams, rows), dtype=torch.int64)
        self.rewards = torch.zeros((streams, rows))
        self.ended = torch.zeros((streams, rows), dtype=torch.bool)
        self.last = torch.zeros((streams, rows), dtype=torch.bool)  # of its episode: no action was taken on it
        self._written = [0] * streams  # frames ever, by stream

    def __len__(self) -> int:
        """Frames held."""
        return sum(min(written, self.rows) for written in self._written)

    def add(self, stream: int, frame: Tensor, action: int, reward: float, ended: bool) -> None:
        """A frame, the action taken on it, and what that paid; ``ended`` where the game was over after it."""
        self._write(stream, frame, last=False)
        at = (self._written[stream] - 1) % self.rows
        self.actions[stream, at], self.rewards[stream, at], self.ended[stream, at] = action, reward, ended

    def add_last(self, stream: int, frame: Tensor) -> None:
        """The frame that an episode ended on."""
        self._write(stream, frame, last=True)

    def sample(self, size: int) -> Batch:
        """Transitions drawn uniformly, with replacement, from torch's random numbers."""
        streams, at = self._drawn(size)
        return Batch(
            observations=self._observations(streams, at),
            actions=self.actions[streams, at],
            rewards=self.rewards[streams, at],
            led_to=self._observations(streams, (at + 1) % self.rows),
            ended=self.ended[streams, at],
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

    def _write(self, stream: int, frame: Tensor, *, last: bool) -> None:
        at = self._written[stream] % self.rows
        self.frames[stream, at] = frame
        self.last[stream, at] = last
        self._written[stream] += 1

    def _drawn(self, size: int) -> tuple[Tensor, Tensor]:
        """Streams and rows of transitions whose frames are all still held."""
        found_streams, found_rows = [], []
        missing = size
        while missing:
            streams = torch.randint(self.streams, (2 * missing,))
            written = torch.tensor(self._written)[streams]
            held = written.clamp(max=self.rows)
            # Ages 1 ... held - 1: the newest row has no successor yet.
            age = 1 + (torch.rand(2 * missing, dtype=torch.float64) * (held - 1)).long()
            rows = (written - 1 - age) % self.rows
            fits = (held > 1) & ~self.last[streams, rows] & self._whole(streams, rows, age, held)
            found_streams.append(streams[fits][:missing])
            found_rows.append(rows[fits][:missing])
            missing -= len(found_rows[-1])
        return torch.cat(found_streams), torch.cat(found_rows)

    def _whole(self, streams: Tensor, rows: Tensor, age: Tensor, held: Tensor) -> Tensor:
        """Whether the earlier frames of the observation are held, or before the episode."""
        open_ = torch.ones_like(age, dtype=torch.bool)
        whole = torch.ones_like(open_)
        for back in range(1, self.stack):
            overwritten = age + back >= held
            before = (held < self.rows) & overwritten  # of the first frame ever
            begins = before | self.last[streams, (rows - back) % self.rows] & ~overwritten
            open_ = open_ & ~begins
            whole = whole & ~(open_ & overwritten)
        return whole

    def _observations(self, streams: Tensor, rows: Tensor) -> Tensor:
        if self.stack == 1:
            return self.frames[streams, rows]
        frames = []
        present = torch.ones(len(rows), dtype=torch.bool)
        for back in range(self.stack):
            at = (rows - back) % self.rows
            if back:
                before_all = torch.tensor(self._written)[streams] <= self.rows
                present = present & ~self.last[streams, at] & ~(before_all & (rows - back < 0))
            kept = present.reshape(-1, *[1] * (self.frames.dim() - 2))
            frames.append(self.frames[streams, at] * kept)
        return torch.cat(frames[::-1], dim=1)


def _require_memory(num_bytes: int, capacity: int) -> None:
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if num_bytes > _SHARE_OF_MEMORY * machine:
        raise UsageError(
            "the replay does not fit this machine's memory",
            got=f"{capacity:,} frames, {num_bytes / 1e9:.1f} GB",
            expected=f"at most {_SHARE_OF_MEMORY * machine / 1e9:.1f} GB",
            hint=f"--set model.replay={int(capacity * _SHARE_OF_MEMORY * machine / num_bytes)}",
        )
