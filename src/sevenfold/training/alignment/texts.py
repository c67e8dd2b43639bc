"""The learner of the task rlhf: draw answers, have them judged, update the policy (Ouyang 2022, section 3.5).

The policy, its frozen copy of the start (the reference) and the value network are networks of their own; a step is
one batch of prompts. Dropout stays off, so that the ratio of probabilities is 1 before the first update.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sevenfold.data import Split
from sevenfold.layers import CachedDecoder
from sevenfold.runs.recipe import Recipe
from sevenfold.training.alignment.answers import Answers, sample_answers
from sevenfold.training.alignment.feedback import AnswerExperience, judged_answers, policy_figures
from sevenfold.training.batches import BatchOrder
from sevenfold.training.schedules import rate_share
from sevenfold.training.steps import optimizer_over

__all__ = ["Networks", "Prompts", "Reward", "TextLearner"]

Reward = Callable[[Answers], Tensor]  # answers -> [B]


@dataclass(frozen=True)
class Prompts:
    """What is asked, and how an answer ends."""

    tokens: Sequence[Sequence[int]]
    end: int
    pad: int


class Networks(nn.Module):
    """What is trained: the policy, whose weights the run keeps, and V of each token."""

    def __init__(self, policy: CachedDecoder, values: nn.Module) -> None:
        super().__init__()
        self.policy, self.values = policy, values


class TextLearner:
    """A language model that learns from rewards of its answers."""

    def __init__(
        self,
        recipe: Recipe,
        networks: Networks,
        reference: CachedDecoder,
        prompts: Prompts,
        reward: Reward,
        plain: Split | None = None,
    ) -> None:
        self._recipe, self._settings = recipe, recipe.feedback
        self.networks, self._reference, self._prompts, self._reward = networks, reference, prompts, reward
        groups = [list(part.parameters()) for part in (networks.policy, networks.values)]
        self.optimizer = optimizer_over(recipe.optimizer, [{"params": group} for group in groups])
        self._groups = groups
        self._order = BatchOrder(seed=recipe.seed, size=len(prompts.tokens), batch_size=recipe.batch_size)
        self._plain = plain
        if plain is not None:
            part = recipe.batch_size // self._settings.minibatches
            self._plain_order = BatchOrder(seed=recipe.seed, size=len(plain), batch_size=part)
        networks.eval()

    def advance(self, step: int) -> dict[str, float]:
        """One batch of prompts: answers, rewards, updates; what it came to."""
        experience = self.experience(step)
        seen: list[Mapping[str, Tensor]] = []
        size = self._recipe.batch_size // self._settings.minibatches
        for _ in range(self._settings.epochs):
            for rows in torch.split(torch.randperm(self._recipe.batch_size), size):
                number = step * self._settings.epochs * self._settings.minibatches + len(seen)
                seen.append(self._update(experience.take(rows.to(experience.rewards.device)), step, number))
        figures = {name: float(torch.stack([one[name] for one in seen]).mean()) for name in seen[0]}
        return figures | {
            "first_ratio": float(seen[0]["ratio"]),
            "reward": float(experience.rewards.mean()),
            "divergence": float(experience.divergences.mean()),
            "entropy": float(experience.entropies.mean()),
            "answer_tokens": float(experience.answers.lengths.float().mean()),
        }

    def experience(self, step: int) -> AnswerExperience:
        """The batch of a step: answers of the policy as it is, and what they were worth."""
        prompts = [self._prompts.tokens[row] for row in self._order.indices(step)]
        answers = sample_answers(
            self.networks.policy,
            prompts,
            longest=self._settings.answer_tokens,
            end=self._prompts.end,
            pad=self._prompts.pad,
        )
        return judged_answers(
            answers,
            self._reward(answers),
            policy=self.networks.policy,
            reference=self._reference,
            values=self.networks.values,
            beta=self._settings.penalty,
            discount=self._settings.discount,
            trace=self._settings.trace,
        )

    def loss(self, batch: AnswerExperience, plain: tuple[Tensor, Tensor] | None = None) -> dict[str, Tensor]:
        """The whole loss [] of a minibatch under ``train_loss``, and its parts."""
        mask, inputs = batch.answers.answered, batch.answers.inputs
        moved = policy_figures(self.networks.policy(inputs), batch, clip=self._settings.clip)
        error = F.mse_loss(self.networks.values(inputs)[mask], batch.returns[mask]) / 2
        found = {"ratio": moved.ratio, "clipped": moved.clipped, "value_error": error}
        loss = moved.surrogate + self._settings.value_weight * error
        if plain is not None:
            texts = F.cross_entropy(self.networks.policy(plain[0]).flatten(0, 1), plain[1].flatten())
            found["plain_loss"] = texts
            loss = loss + self._settings.pretraining * texts
        return found | {"train_loss": loss}

    def _update(self, batch: AnswerExperience, step: int, number: int) -> dict[str, Tensor]:
        share = rate_share(self._recipe.schedule, step, self._recipe.steps)
        for group in self.optimizer.param_groups:
            group["lr"] = self._recipe.optimizer.lr * share
        found = self.loss(batch, self._plain_batch(number))
        self.optimizer.zero_grad(set_to_none=True)
        found["train_loss"].backward()  # type: ignore[no-untyped-call]
        if self._recipe.optimizer.clip_norm is not None:
            for network in self._groups:  # networks of their own, which share no gradient
                nn.utils.clip_grad_norm_(network, self._recipe.optimizer.clip_norm, foreach=True)
        self.optimizer.step()
        return {name: value.detach() for name, value in found.items()}

    def _plain_batch(self, number: int) -> tuple[Tensor, Tensor] | None:
        if self._plain is None:
            return None
        inputs, targets = self._plain.batch(np.asarray(self._plain_order.indices(number)))
        assert isinstance(inputs, Tensor)
        device = next(self.networks.parameters()).device
        return inputs.to(device), targets.to(device)
