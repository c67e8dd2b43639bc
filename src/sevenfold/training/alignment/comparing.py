"""Before a run on comparisons: answers are drawn and ranked, and DPO's reference says how likely it finds them.

Answers come from the model of a finished run, several to a prompt of ``requests``; equal ones are drawn again.
They depend on that run and the data settings alone, and are kept as files (`sevenfold.data.drawn_comparisons`).
After a reward model's run the zero of its rewards is set.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import torch
from torch import nn

from sevenfold.data import Split, requests
from sevenfold.data._comparing import PairSplit, RankingSplit
from sevenfold.data.comparisons import Judgement
from sevenfold.data.drawn_comparisons import DRAWN, DrawnComparisonsSettings, comparisons_folder
from sevenfold.errors import StorageError, UsageError
from sevenfold.layers import CachedDecoder
from sevenfold.models.transformer.instructgpt import InstructGPT
from sevenfold.models.transformer.rlhf2019 import RLHF2019
from sevenfold.runs.home import made_folder
from sevenfold.runs.recipe import DataChoice
from sevenfold.training.alignment.answers import sample_answers
from sevenfold.training.alignment.preferring import answer_log_probabilities
from sevenfold.training.workload import Workload

__all__ = ["draw_comparisons", "normalize_rewards", "ranked_answers", "with_reference", "worth_of_answers"]

_AT_ONCE = 512  # texts
_ROUNDS = 3  # times that as many answers are drawn as are wanted, until enough differ


def draw_comparisons(choice: DataChoice) -> None:
    """Draw and rank the answers that ``drawn-comparisons`` compares, where that is still to be done.

    Raises UsageError for a run that is not finished or whose model answers no requests.
    """
    from sevenfold.training.trained import trained_workload

    settings = DrawnComparisonsSettings.from_dict(choice.settings)
    folder = comparisons_folder(settings, choice.split_seed)
    if folder.is_dir():
        return
    record, workload = trained_workload(settings.of)
    model = workload.model
    if not isinstance(model, CachedDecoder) or workload.dataset.name != "requests":
        raise UsageError(
            "whose answers are compared is a language model of requests",
            got=f"run {record.id} of {workload.entry.name} on {workload.dataset.name}",
            hint="data.of=recipe:sft-requests",
        )
    parts: dict[requests.SplitName, list[Judgement]] = {}
    for number, part in enumerate(("train", "validation", "test")):
        split = cast(requests.SplitName, part)
        prompts = requests.prompts(split, choice.split_seed)[: settings.num_prompts]
        parts[split] = ranked_answers(
            model,
            prompts,
            answers=settings.answers,
            error_rate=0.0 if split == "test" else settings.error_rate,
            seed=number,
            compare_equals=split != "test",
        )
    _write(folder, parts)


def ranked_answers(
    model: CachedDecoder,
    prompts: Sequence[str],
    *,
    answers: int,
    error_rate: float,
    seed: int,
    compare_equals: bool = True,
) -> list[Judgement]:
    """Up to ``answers`` different answers to each prompt, ranked by a labeller who errs on a share of the pairs.

    ``compare_equals=False`` keeps one answer of each worth. A prompt to which a model has one answer alone is left
    out.
    """
    found: list[dict[str, None]] = [{} for _ in prompts]
    generator = torch.Generator().manual_seed(seed)
    model.eval()
    for _ in range(_ROUNDS):
        wanting = [
            index for index, given in enumerate(found) for _ in range(answers - len(given))
        ]  # a prompt as often as it wants an answer
        for start in range(0, len(wanting), _AT_ONCE):
            part = wanting[start : start + _AT_ONCE]
            drawn = sample_answers(
                model,
                [requests.prompt_tokens(prompts[index]) for index in part],
                longest=requests.LONGEST_ANSWER - 1,  # one that does not end is given an end
                end=requests.END_TOKEN,
                pad=requests.PADDING_TOKEN,
                generator=generator,
            )
            for index, tokens in zip(part, drawn.lists(), strict=True):
                found[index][requests.answer_text(tokens)] = None
    judgements = []
    for index, (prompt, given) in enumerate(zip(prompts, found, strict=True)):
        worth = {requests.true_reward(prompt, answer): answer for answer in given}
        texts = list(given) if compare_equals else list(worth.values())
        if len(texts) > 1:
            judgements.append(requests.simulated_judgement(prompt, texts, error_rate, 1_000_000 * seed + index))
    return judgements


def normalize_rewards(workload: Workload) -> None:
    """Set the zero of a reward model, about which comparisons say nothing; other models are left as they are.

    InstructGPT's: demonstrations come to a mean of 0, or where there are none the answers of the validation split.
    That of 2019: those answers come to mean 0 and variance 1.
    """
    model, data = workload.model, workload.dataset.validation
    if not isinstance(model, InstructGPT | RLHF2019) or not isinstance(data, RankingSplit):
        return
    texts = data.tokens[data.places >= 0]
    if isinstance(model, InstructGPT) and data.demonstrations is not None:
        texts = data.demonstrations
    was_training = model.training
    model.eval()
    with torch.no_grad():
        rewards = torch.cat([model(part.to(workload.device)) for part in _parts(texts)])
        model.reward.normalize(rewards, variance=isinstance(model, RLHF2019))
    model.train(was_training)


def worth_of_answers(workload: Workload) -> dict[str, float]:
    """The mean true reward of a drawn answer to each test prompt of requests; nothing of other models."""
    model, recipe = workload.model, workload.recipe
    if not isinstance(model, CachedDecoder) or workload.dataset.prompting is None:
        return {}
    if workload.dataset.name not in ("requests", DRAWN):
        return {}
    prompts = requests.prompts("test", recipe.data.split_seed)
    was_training = model.training
    drawn = sample_answers(
        model.eval(),
        [requests.prompt_tokens(prompt) for prompt in prompts],
        longest=requests.LONGEST_ANSWER,
        end=requests.END_TOKEN,
        pad=requests.PADDING_TOKEN,
        generator=torch.Generator().manual_seed(0),
    )
    model.train(was_training)
    answers = [requests.answer_text(tokens) for tokens in drawn.lists()]
    worth = [requests.true_reward(prompt, answer) for prompt, answer in zip(prompts, answers, strict=True)]
    return {"test_true_reward": sum(worth) / len(worth)}


def with_reference(workload: Workload) -> Workload:
    """The workload of the task preference whose pairs know how likely its model, as it is now, finds them."""
    dataset = workload.dataset
    train, validation, test = (
        _referred(workload.model, split, workload.device)
        for split in (dataset.train, dataset.validation, dataset.test)
    )
    return replace(workload, dataset=replace(dataset, train=train, validation=validation, test=test))


def _referred(model: nn.Module, split: Split, device: torch.device) -> PairSplit:
    assert isinstance(split, PairSplit)
    was_training = model.training
    model.eval()
    with torch.no_grad():
        found = [
            answer_log_probabilities(model, tokens.to(device), answered.to(device))
            for tokens, answered in zip(_parts(split.tokens), _parts(split.answered), strict=True)
        ]
    model.train(was_training)
    return split.referred(torch.cat(found).to(split.tokens.device))


def _parts(rows: torch.Tensor) -> list[torch.Tensor]:
    return [rows[start : start + _AT_ONCE] for start in range(0, len(rows), _AT_ONCE)]


def _write(folder: Path, parts: dict[requests.SplitName, list[Judgement]]) -> None:
    """All files at once, under another name until they are whole."""
    above = made_folder(folder.parent)
    temporary = Path(tempfile.mkdtemp(dir=above, suffix=".tmp"))
    try:
        for part, judgements in parts.items():
            text = "".join(one.to_json() + "\n" for one in judgements)
            (temporary / f"{part}.jsonl").write_text(text, encoding="utf-8")
        os.replace(temporary, folder)
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        if not folder.is_dir():  # another process has drawn the same in the meantime
            raise StorageError("cannot store comparisons", got=f"{folder} ({error.strerror})") from None
