"""Environments stepped in processes of their own; what they do is what `Worlds` does, step for step.

Worth it where an environment's step takes longer than a message (an Atari step 0.7 ms, a message 0.1 ms) and cores
are free. Each process holds an equal share of the environments; its seeds are those that `Worlds` would give them.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sevenfold.errors import RunError, UsageError
from sevenfold.runs.recipe import DataChoice
from sevenfold.training.reinforcement.worlds import Array, Episode, Moved

__all__ = ["ProcessWorlds"]


class ProcessWorlds:
    """N environments of ``choice``, stepped by ``processes`` of them at a time. Close it, or use it in ``with``.

    ``mode`` is training or evaluation.
    """

    def __init__(self, choice: DataChoice, mode: str, num: int, seed: int, processes: int) -> None:
        shares = [share.tolist() for share in np.array_split(np.arange(num), min(processes, num))]
        self._helpers: list[_Helper] = []
        try:
            for share in shares:
                given = {"data": choice.to_dict(), "mode": mode, "indices": share, "seed": seed}
                self._helpers.append(_Helper(given, len(share)))
            self.observations: Array = np.concatenate([helper.begun() for helper in self._helpers])
        except BaseException:
            self.close()
            raise

    def __len__(self) -> int:
        return len(self.observations)

    def step(self, actions: npt.NDArray[np.int64]) -> Moved:
        """Take one action [N] in each environment."""
        self._ask("step", [int(action) for action in actions])
        facts, led_to, following = [], [], []
        for helper in self._helpers:
            facts.append(helper.facts())
            led_to.append(helper.array())
            following.append(helper.array())
        self.observations = np.concatenate(following)
        return Moved(
            observations=self.observations,
            led_to=np.concatenate(led_to),
            rewards=np.array([one for each in facts for one in each["rewards"]]),
            terminated=np.array([one for each in facts for one in each["terminated"]]),
            truncated=np.array([one for each in facts for one in each["truncated"]]),
            finished=tuple(Episode(*one) for each in facts for one in each["finished"]),
        )

    def state(self) -> dict[str, Tensor]:
        """What `restore` needs, as `Worlds` gives it."""
        self._ask("state", [0] * len(self))
        held = [one for helper in self._helpers for one in helper.facts()["state"]]
        return {
            "episodes": torch.tensor([episode for episode, _ in held]),
            "lengths": torch.tensor([len(actions) for _, actions in held]),
            "actions": torch.tensor([one for _, actions in held for one in actions], dtype=torch.int64),
        }

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Bring every environment to where `state` found it."""
        played = torch.split(state["actions"], state["lengths"].tolist())
        self._ask(
            "restore",
            [[one, part.tolist()] for one, part in zip(state["episodes"].tolist(), played, strict=True)],
        )
        for helper in self._helpers:
            helper.facts()
        self.observations = np.concatenate([helper.array() for helper in self._helpers])

    def picture(self, index: int) -> npt.NDArray[np.uint8]:
        """Pictures are taken where environments are stepped in this process."""
        raise UsageError("environments in other processes show no pictures", hint="--set data.processes=0")

    def close(self) -> None:
        """End the processes."""
        for helper in self._helpers:
            helper.close()
        self._helpers = []

    def _ask(self, what: str, each: Sequence[Any]) -> None:
        at = 0
        for helper in self._helpers:
            helper.ask({what: each[at : at + helper.num]})
            at += helper.num


class _Helper:
    """One process and its ``num`` environments."""

    def __init__(self, given: dict[str, Any], num: int) -> None:
        self.num = num
        self._process = subprocess.Popen(
            [sys.executable, "-m", "sevenfold.training.reinforcement.stepping"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._shape: tuple[int, ...] = ()
        self._dtype = np.dtype(np.uint8)
        self.ask(given)

    def begun(self) -> Array:
        """The first observations; what an observation is, is known from here on."""
        facts = self.facts()
        self._shape, self._dtype = (self.num, *facts["shape"]), np.dtype(facts["dtype"])
        return self.array()

    def ask(self, request: dict[str, Any]) -> None:
        """Send a request; its answer has to be read before the next one."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # found at the end of its answers
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()

    def facts(self) -> dict[str, Any]:
        """The line of an answer; raises RunError where there is none."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        answer: dict[str, Any] = json.loads(line) if line else {"error": "it ended"}
        if "error" in answer:
            raise RunError("a process that steps environments failed", got=answer["error"])
        return answer

    def array(self) -> Array:
        """An array of an answer."""
        assert self._process.stdout is not None
        size = int(np.prod(self._shape)) * self._dtype.itemsize
        held = self._process.stdout.read(size)
        if len(held) < size:
            raise RunError("a process that steps environments failed", got="it ended")
        return np.frombuffer(held, dtype=self._dtype).reshape(self._shape).copy()

    def close(self) -> None:
        """End the process."""
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
