"""From a recipe of the task rlhf to its run record: answer, learn, look how it went, keep the policy's weights.

A step is one batch of prompts. What is logged of each: the mean reward and the true one, the divergence of the
answers from the reference (nats an answer), the entropy, the share of ratios that were cut. At each validation pass
and at the end, prompts of another split are answered with the same random numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from sevenfold import checkpoints
from sevenfold.checkpoints import Checkpoint
from sevenfold.errors import NonFiniteLossError
from sevenfold.layers import CachedDecoder
from sevenfold.runs.recipe import Recipe
from sevenfold.runs.store import RunRecord, RunStore, RunWriter
from sevenfold.training.alignment.answers import divergences, entropies, sample_answers
from sevenfold.training.alignment.asking import Asking, SplitName
from sevenfold.training.conditions import Interruption, random_states, restore_random_states, run_conditions
from sevenfold.training.environment import describe_environment
from sevenfold.training.evaluating import evenly_spaced
from sevenfold.training.failures import clear_failures
from sevenfold.training.progress import Progress
from sevenfold.training.workload import resolve_device

__all__ = ["AnswerScore", "answer_score", "plain_loss", "rlhf_run"]

SAVED_EVERY_S = 300.0
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


class _TextRun:
    """One run: its counters, and what is due when."""

    def __init__(self, asking: Asking, writer: RunWriter, folder: Path, note: Callable[[str], None]) -> None:
        self.asking, self.writer, self.folder, self.note = asking, writer, folder, note
        self.recipe, self.learner = asking.recipe, asking.learner()
        self.step, self.seconds, self.loss = 0, 0.0, math.nan
        self.begun: dict[str, float] = {}  # how the policy answered before it learned anything
        self._resumed_from, self._saved_at = 0, perf_counter()
        self._began_at = self._saved_at

    def restore(self) -> None:
        """Go on from the newest whole checkpoint, if there is one."""
        found = checkpoints.load_newest(
            self.folder / "checkpoints", on_damage=lambda error: self.note(f"passed over a checkpoint: {error}")
        )
        if found is not None:
            source, networks = str(found.path), self.learner.networks
            checkpoints.restore_model(networks, found.weights, source=source)
            checkpoints.restore_optimizer(networks, self.learner.optimizer, found.optimizer, source=source)
            restore_random_states(found.random, self.asking.device)
            counters = found.state["counters"]
            self.step, self.seconds, self.loss = counters["step"], counters["seconds"], counters["loss"]
            self.begun, self._resumed_from = counters["begun"], counters["step"]
            self._began_at = perf_counter() - counters["wall_seconds"]
        self.writer.truncate_after(self.step)

    def learn(self, on_step: Callable[[Progress], None] | None, interrupted: Callable[[], bool]) -> None:
        """Advance until the recipe's steps are taken or its time is up."""
        limit = self.recipe.limits.time_s
        if not self.begun:
            self.begun = self._figures("start_", "test")
        while self.step < self.recipe.steps and (limit is None or self.seconds < limit):
            began = perf_counter()
            figures = self.learner.advance(self.step)
            self.step += 1
            self.seconds += perf_counter() - began
            self._log(figures)
            if on_step is not None:
                on_step(self._progress())
            stops = interrupted()
            if stops or self._save_is_due():
                self._save()
            if stops:
                raise KeyboardInterrupt

    def finish(self, keep_weights: bool) -> None:
        """Evaluate on the test prompts, keep the policy's weights, write the summary."""
        figures = self._figures("test_", "test")
        self.writer.flush()
        if keep_weights:
            facts = {"run_id": self.recipe.run_id(), "step": str(self.step)}
            checkpoints.save_weights(self.folder, checkpoints.model_tensors(self.asking.policy), facts)
        self.writer.finish(self._summary(figures))
        checkpoints.remove_checkpoints(self.folder / "checkpoints")

    def _figures(self, prefix: str, split: SplitName) -> dict[str, float]:
        at_most, policy = self.recipe.evaluate_examples, self.asking.policy
        found = asdict(answer_score(self.asking, policy, split, at_most=at_most))
        found["plain_loss"] = plain_loss(self.asking, policy, split, at_most=at_most)
        return {f"{prefix}{name}": value for name, value in found.items()}

    def _log(self, figures: dict[str, float]) -> None:
        self.loss = figures["train_loss"]
        if not math.isfinite(self.loss):
            raise NonFiniteLossError(
                f"the training loss is not finite at step {self.step}",
                got=self.loss,
                expected="a finite loss",
                hint=f"a lower learning rate, --set optimizer.lr={self.recipe.optimizer.lr / 10:.3g}",
            )
        if self.step % self.recipe.evaluate_every == 0 or self.step == self.recipe.steps:
            figures = figures | self._figures("validation_", "validation")
        self.writer.log(self.step, figures)

    def _save_is_due(self) -> bool:
        every = self.recipe.checkpoint_every
        if every is not None:
            return self.step % every == 0
        return perf_counter() - self._saved_at >= SAVED_EVERY_S

    def _save(self) -> None:
        self.writer.flush(durable=True)
        networks = self.learner.networks
        counters = {
            "step": self.step,
            "seconds": self.seconds,
            "wall_seconds": perf_counter() - self._began_at,
            "loss": self.loss,
            "begun": self.begun,
        }
        checkpoints.save_checkpoint(
            self.folder / "checkpoints",
            Checkpoint(
                step=self.step,
                weights=checkpoints.model_tensors(networks),
                optimizer=checkpoints.optimizer_tensors(networks, self.learner.optimizer),
                random=random_states(self.asking.device),
                state={"counters": counters, "run_id": self.recipe.run_id()},
            ),
        )
        self._saved_at = perf_counter()

    def _summary(self, figures: dict[str, float]) -> dict[str, float | str | None]:
        policy = self.asking.policy
        return {
            **self.begun,
            **figures,
            "steps": self.step,
            "examples_seen": self.step * self.recipe.batch_size,
            "train_loss": None if math.isnan(self.loss) else self.loss,
            "train_seconds": self.seconds,
            "wall_seconds": perf_counter() - self._began_at,
            "parameters": sum(weight.numel() for weight in policy.parameters()),
            "stopped_by": "steps" if self.step >= self.recipe.steps else "time",
            "validation_loss": None,
            "test_loss": None,
            "energy_j": None,
            "energy_method": None,
        }

    def _progress(self) -> Progress:
        return Progress(
            run_id=self.recipe.run_id(),
            step=self.step,
            steps=self.recipe.steps,
            train_loss=None if math.isnan(self.loss) else self.loss,
            validation_loss=None,
            train_seconds=self.seconds,
            resumed_from=self._resumed_from,
        )


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
