"""From a recipe of the task rlhf to its run record: answer, learn, look how it went, keep the policy's weights.

A step is one batch of prompts. What is logged of each: the mean reward and the true one, the divergence of the
answers from the reference (nats an answer), the entropy, the share of ratios that were cut. At each validation pass
and at the end, prompts of another split are answered with the same random numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from sevenfold import checkpoints
from sevenfold.layers import CachedDecoder
from sevenfold.runs.recipe import Recipe
from sevenfold.runs.store import RunRecord, RunStore, RunWriter
from sevenfold.training.alignment.answers import divergences, entropies, sample_answers
from sevenfold.training.alignment.asking import Asking, SplitName
from sevenfold.training.conditions import Interruption, run_conditions
from sevenfold.training.environment import describe_environment
from sevenfold.training.evaluating import evenly_spaced
from sevenfold.training.experience import ExperienceRun
from sevenfold.training.failures import clear_failures
from sevenfold.training.progress import Progress
from sevenfold.training.workload import resolve_device

__all__ = ["AnswerScore", "answer_score", "plain_loss", "rlhf_run"]

_AT_ONCE = 256  # prompts answered together in evaluation


@dataclass(frozen=True)
class AnswerScore:
    """How a policy answers prompts it was not trained on; means over answers."""

    reward: float  # by what it was trained with
    true_reward: float
    divergence: float  # nats an answer from the reference
    entropy: float  # nats a token
    answer_tokens: float
    ended: float  # share of the answers that ended by themselves


def answer_score(
    asking: Asking, policy: CachedDecoder, split: SplitName, *, at_most: int, seed: int = 0
) -> AnswerScore:
    """Answers to evenly spaced prompts of a split, always drawn with the same random numbers."""
    prompts = asking.prompts(split)
    chosen = [prompts.tokens[row] for row in evenly_spaced(len(prompts.tokens), at_most)]
    generator = torch.Generator().manual_seed(seed)
    found: list[Tensor] = []
    for start in range(0, len(chosen), _AT_ONCE):
        answers = sample_answers(
            policy,
            chosen[start : start + _AT_ONCE],
            longest=asking.recipe.feedback.answer_tokens,
            end=prompts.end,
            pad=prompts.pad,
            generator=generator,
        )
        with torch.no_grad():
            logits, mask = policy(answers.inputs), answers.answered
            moved = (divergences(logits, asking.reference(answers.inputs)) * mask).sum(1)
            entropy = (entropies(logits) * mask).sum(1) / mask.sum(1)
            last = answers.tokens.gather(1, answers.ends[:, None]).squeeze(1)
            columns = (asking.reward(answers), asking.true_rewards(answers), moved, entropy)
        found.append(torch.stack([*columns, answers.lengths, last == prompts.end], dim=1).double().cpu())
    return AnswerScore(*torch.cat(found).mean(0).tolist())


def plain_loss(asking: Asking, policy: CachedDecoder, split: SplitName, *, at_most: int) -> float:
    """The loss on plain texts of a split, nats a token: what the policy was pre-trained to do."""
    plain = asking.plain(split)
    inputs, targets = plain.batch(evenly_spaced(len(plain), at_most))
    assert isinstance(inputs, Tensor)
    with torch.no_grad():
        logits = policy(inputs.to(asking.device))
        return float(F.cross_entropy(logits.flatten(0, 1), targets.flatten().to(asking.device)))


def rlhf_run(
    recipe: Recipe,
    build: Callable[[], Asking],
    *,
    store: RunStore,
    home: Path,
    on_step: Callable[[Progress], None] | None = None,
    keep_weights: bool = True,
    fresh: bool = False,
    note: Callable[[str], None] = lambda text: None,
) -> RunRecord:
    """Carry a recipe of the task rlhf out; an interrupted run goes on with optimizer and random state."""
    folder = home / "runs" / recipe.run_id()
    device = resolve_device(recipe)
    with run_conditions(recipe, device), clear_failures(recipe):
        asking = build()
        environment = describe_environment(recipe, device)
        with (
            store.open(recipe, provenance=_provenance(asking), environment=environment, again=fresh) as writer,
            clear_failures(recipe),
            Interruption() as interruption,
        ):
            if fresh:
                checkpoints.remove_checkpoints(folder / "checkpoints")
            run = _TextRun(asking, writer, folder, note)
            run.restore()
            run.learn(on_step, lambda: interruption.wanted)
            run.finish(keep_weights)
    return store.require(recipe.run_id())


class _TextRun(ExperienceRun):
    """A policy that answers, beside the reference that it is held to."""

    def __init__(self, asking: Asking, writer: RunWriter, folder: Path, note: Callable[[str], None]) -> None:
        self._asking, self._learner = asking, asking.learner()
        networks, optimizer = self._learner.networks, self._learner.optimizer
        super().__init__(asking.recipe, networks, optimizer, asking.device, writer, folder, note)
        self._begun: dict[str, float] = {}  # how the policy answered before it learned anything

    def learn(self, on_step: Callable[[Progress], None] | None, interrupted: Callable[[], bool]) -> None:
        if not self._begun:
            self._begun = self._figures("start_", "test")
        super().learn(on_step, interrupted)

    def advance(self) -> tuple[int, Mapping[str, float]]:
        return 1, self._learner.advance(self.step)

    def looked_at(self) -> Mapping[str, float]:
        due = self.step % self.recipe.evaluate_every == 0 or self.step == self.recipe.steps
        return self._figures("validation_", "validation") if due else {}

    def counters(self) -> dict[str, Any]:
        return {"begun": self._begun}

    def restore_counters(self, counters: Mapping[str, Any]) -> None:
        self._begun = counters["begun"]

    def finish(self, keep_weights: bool) -> None:
        figures = {**self._begun, **self._figures("test_", "test")}
        seen: dict[str, float] = {"examples_seen": self.step * self.recipe.batch_size}
        self.finished(self._asking.policy, figures | seen, keep_weights=keep_weights)

    def _figures(self, prefix: str, split: SplitName) -> dict[str, float]:
        at_most, policy = self.recipe.evaluate_examples, self._asking.policy
        found = asdict(answer_score(self._asking, policy, split, at_most=at_most))
        found["plain_loss"] = plain_loss(self._asking, policy, split, at_most=at_most)
        return {f"{prefix}{name}": value for name, value in found.items()}


def _provenance(asking: Asking) -> dict[str, Any]:
    source = asking.source
    return {
        "name": source.name,
        "source": source.source,
        "licence": source.licence,
        "num_examples": len(asking.prompts("train").tokens),
        "sha256": "-",
        "version": "-",
        "notes": source.summary,
    }
