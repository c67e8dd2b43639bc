"""What a recipe of the task rlhf computes: a policy, prompts, and a reward of its answers. Knows no loop.

SOURCES     who asks: prompts by split, how an answer ends, what it is really worth
reward      `Feedback.reward`: "true", or a run of the task reward
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from sevenfold.catalog import Catalogue
from sevenfold.data import Split, requests
from sevenfold.errors import UsageError
from sevenfold.layers import CachedDecoder
from sevenfold.models import MODELS, ModelEntry
from sevenfold.models.transformer.gpt2 import GPT2
from sevenfold.runs.home import data_home
from sevenfold.runs.recipe import DataChoice, Recipe, Scalar
from sevenfold.runs.store import RunStore
from sevenfold.training.alignment.answers import Answers
from sevenfold.training.alignment.critic import TokenValues
from sevenfold.training.alignment.texts import Networks, Prompts, Reward, TextLearner
from sevenfold.training.starting import begin_from
from sevenfold.training.trained import trained_workload
from sevenfold.training.workload import resolve_device, seeded

__all__ = ["SOURCES", "Asking", "PromptSource", "build_asking", "chosen_source", "true_rewards"]

SplitName = Literal["train", "validation", "test"]


@dataclass(frozen=True)
class PromptSource:
    """Who asks: prompts as tokens by split, and the true reward of (prompt, answer) as tokens, if it is known."""

    name: str
    summary: str
    context: int  # of the windows that models of this data are trained on
    vocabulary: int
    end: int
    pad: int
    prompts: Callable[[SplitName, int], Sequence[Sequence[int]]]
    true_reward: Callable[[Sequence[int], Sequence[int]], float]
    plain: Callable[[SplitName, int], Split]  # windows of what the policy was pre-trained on
    source: str
    licence: str


SOURCES: Catalogue[PromptSource] = Catalogue("source of prompts")


@dataclass(frozen=True)
class Asking:
    """What a recipe of the task rlhf computes."""

    recipe: Recipe
    entry: ModelEntry
    settings: Mapping[str, Scalar]
    policy: CachedDecoder  # with the weights at the start
    reference: CachedDecoder  # the same, frozen
    values: nn.Module
    source: PromptSource
    reward: Reward
    device: torch.device

    def prompts(self, split: SplitName) -> Prompts:
        """The prompts of a split."""
        tokens = self.source.prompts(split, self.recipe.data.split_seed)
        return Prompts(tokens, self.source.end, self.source.pad)

    def plain(self, split: SplitName) -> Split:
        """Windows of plain text."""
        return self.source.plain(split, self.recipe.data.split_seed)

    def learner(self) -> TextLearner:
        """The policy and what it learns from."""
        plain = self.plain("train") if self.recipe.feedback.pretraining else None
        networks = Networks(self.policy, self.values).to(self.device)
        return TextLearner(self.recipe, networks, self.reference, self.prompts("train"), self.reward, plain)

    def true_rewards(self, answers: Answers) -> Tensor:
        """What answers are really worth [B]."""
        return true_rewards(self.source, answers)


def true_rewards(source: PromptSource, answers: Answers) -> Tensor:
    """What answers are really worth [B]."""
    worth = [source.true_reward(*pair) for pair in zip(answers.prompts(), answers.lists(), strict=True)]
    return torch.tensor(worth, device=answers.tokens.device)


def build_asking(recipe: Recipe, *, store: RunStore | None = None, home: Path | None = None) -> Asking:
    """Build what a recipe names; raises for names, settings, runs that are not there, and what does not fit."""
    entry, source = MODELS[recipe.model.name], chosen_source(recipe.data)
    _check(recipe, entry)
    settings = dict(entry.settings_for((source.context,), source.vocabulary)) | recipe.model.settings
    entry.spec(settings)
    device = resolve_device(recipe)
    policy = seeded(recipe.seed, lambda: entry.build(settings))
    if not isinstance(policy, GPT2):
        raise UsageError(
            "answers are learned with a value network of the same kind",
            got=f"model {entry.name}",
            expected="a preset of gpt2",
        )
    assert recipe.start is not None
    begin_from(policy, recipe.start, home or data_home())
    policy = policy.to(device).eval()
    reference = copy.deepcopy(policy).requires_grad_(False)
    values = seeded(recipe.seed, lambda: TokenValues(copy.deepcopy(policy), policy.spec.width)).to(device)
    _check_room(recipe, source, policy)
    reward = _reward_of(recipe, source, store, home, device)
    return Asking(recipe, entry, settings, policy, reference, values, source, reward, device)


def chosen_source(choice: DataChoice) -> PromptSource:
    """Who asks; raises for an unknown name and for settings, of which there are none."""
    source = SOURCES[choice.name]
    if choice.settings or choice.fraction != 1.0:
        raise UsageError(
            "a source of prompts has no settings",
            got=", ".join(choice.settings) or f"data.fraction={choice.fraction:g}",
        )
    return source


def _check(recipe: Recipe, entry: ModelEntry) -> None:
    if recipe.start is None:
        raise UsageError(
            "a policy that is held to its start needs one",
            got="start=none",
            expected="a run of a language model that answers",
            hint="start=recipe:sft-requests",
        )
    if entry.task != "causal-lm":
        raise UsageError(
            f"model {entry.name} writes no answers", got=f"a model for {entry.task}", expected="one for causal-lm"
        )
    if recipe.accumulate != 1 or recipe.compile or recipe.precision != "fp32":
        raise UsageError(
            "answers are learned from in whole minibatches",
            got=f"accumulate={recipe.accumulate}, compile={recipe.compile}, precision={recipe.precision}",
            expected="accumulate=1, compile=False, precision=fp32",
        )
    if recipe.batch_size % recipe.feedback.minibatches:
        raise UsageError(
            "a batch is cut into equal minibatches",
            got=f"batch_size={recipe.batch_size}, feedback.minibatches={recipe.feedback.minibatches}",
            expected="a divisor",
        )


def _check_room(recipe: Recipe, source: PromptSource, policy: GPT2) -> None:
    longest = max(len(prompt) for prompt in source.prompts("train", recipe.data.split_seed))
    room = policy.max_length - longest
    if recipe.feedback.answer_tokens > room:
        raise UsageError(
            "prompt and answer are longer than the model's context",
            got=f"feedback.answer_tokens={recipe.feedback.answer_tokens}",
            expected=f"at most {room} after prompts of up to {longest}",
        )


def _reward_of(
    recipe: Recipe, source: PromptSource, store: RunStore | None, home: Path | None, device: torch.device
) -> Reward:
    """The reward that a recipe names: the true one, or the score of a trained reward model."""
    run = recipe.feedback.reward
    if run == "true":
        return lambda answers: true_rewards(source, answers)
    workload = trained_workload(run, store=store, home=home)[1]
    task: str = workload.recipe.task
    if task != "reward":
        raise UsageError(
            "no reward model", got=f"run {run} of the task {task}", expected="a run of the task reward, or true"
        )
    model = workload.model.to(device).eval().requires_grad_(False)

    def score(answers: Answers) -> Tensor:
        with torch.no_grad():
            scores: Tensor = model(answers.tokens)
        return scores

    return score


def _requests_prompts(split: SplitName, seed: int) -> list[list[int]]:
    return [requests.prompt_tokens(prompt) for prompt in requests.prompts(split, seed)]


def _requests_reward(prompt: Sequence[int], answer: Sequence[int]) -> float:
    return requests.true_reward(requests.decode(prompt[:-1]), requests.answer_text(answer))


def _requests_plain(split: SplitName, seed: int) -> Split:
    settings = requests.RequestsSettings(part="stories")
    dataset = requests.read_requests(settings, seed, "causal-lm")
    return {"train": dataset.train, "validation": dataset.validation, "test": dataset.test}[split]


SOURCES.add(
    "requests",
    PromptSource(
        name="requests",
        summary="people ask for two red cups; what an answer is worth is known",
        context=requests.CONTEXT,
        vocabulary=len(requests.vocabulary()),
        end=requests.END_TOKEN,
        pad=requests.PADDING_TOKEN,
        prompts=_requests_prompts,
        true_reward=_requests_reward,
        plain=_requests_plain,
        source="sentences made by rule (sevenfold.data.requests)",
        licence="as this package",
    ),
)
