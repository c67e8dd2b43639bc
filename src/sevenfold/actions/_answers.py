"""Two answers to each of some prompts, drawn from a trained language model, for a person to compare."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sevenfold.errors import InputFileError, UsageError

if TYPE_CHECKING:
    from sevenfold.data import Dataset
    from sevenfold.data.comparisons import Candidates

_TRIES = 8  # draws of a second answer that differs from the first
_PROMPT_SHARE = 0.25  # of a validation window, where no prompts are given


def sample_answers(
    run: str,
    prompts: Path | None,
    *,
    num: int,
    max_new_tokens: int,
    temperature: float,
    seed: int,
) -> list[Candidates]:
    """Two different answers to each of ``num`` prompts; prompts to which the model has but one answer are left out.

    Prompts are the lines of a file, or the beginnings of texts that the model was validated on, evenly spaced. One
    seed gives the same answers. Raises UsageError for a run that is no language model or not finished, a word that
    it does not know, and where every prompt has but one answer.
    """
    from sevenfold.actions.generate import _finished_run
    from sevenfold.actions.load import load
    from sevenfold.data import load as load_data
    from sevenfold.data.comparisons import Candidates
    from sevenfold.runs.home import data_home
    from sevenfold.runs.store import RunStore

    if num < 1:
        raise UsageError("pairs of answers", got=f"--num {num}", expected="1 or more")
    if not temperature > 0:
        raise UsageError(
            "two answers of one model differ by chance",
            got=f"--temperature {temperature:g}",
            expected="more than 0",
        )
    run_id = _finished_run(run)
    loaded = load(data_home() / "runs" / run_id)
    recipe = RunStore().require(run_id).run_recipe()
    if prompts is None:
        asked = _beginnings(load_data(recipe.data, task=recipe.task, subset_seed=recipe.seed), num)
    else:
        asked = _lines(prompts)[:num]
    found = []
    for number, prompt in enumerate(asked):
        answers = _two(loaded, prompt, max_new_tokens, temperature, seed + 2 * _TRIES * number)
        if answers is not None:
            found.append(Candidates(prompt, answers))
    if not found:
        raise UsageError(
            "the model has one answer to each prompt", got=f"{len(asked)} prompts", hint="a higher --temperature"
        )
    return found


def _two(loaded: Any, prompt: str, max_new_tokens: int, temperature: float, seed: int) -> tuple[str, str] | None:
    import torch

    from sevenfold.actions.generate import _decoded, _encoded, _stop_tokens
    from sevenfold.models._generating import generate

    tokens = _encoded(loaded, prompt)
    stop = _stop_tokens(loaded)
    context = loaded.spec.to_dict().get("context")
    answers: list[str] = []
    for attempt in range(_TRIES):
        result = generate(
            loaded.module,
            torch.tensor([tokens, tokens]),
            max_new_tokens=max_new_tokens,
            temperature=temperature,
            seed=seed + 2 * attempt,
            stop=stop,
            context=context if isinstance(context, int) else None,
        )
        answers += [_decoded(loaded, tokens, [t for t in new if t not in stop]) for new in result.continuations()]
        different = list(dict.fromkeys(answers))
        if len(different) > 1:
            return different[0], different[1]
    return None


def _lines(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputFileError("cannot read prompts", got=f"{path} ({error})") from None
    found = list(dict.fromkeys(line.strip() for line in lines if line.strip()))
    if not found:
        raise InputFileError("no prompts", got=f"{path} is empty", expected="a prompt a line")
    return found


def _beginnings(dataset: Dataset, num: int) -> list[str]:
    """The beginnings of ``num`` windows of the validation text, evenly spaced."""
    import numpy as np

    from sevenfold.data import parts_of

    split, tokenizer = dataset.validation, dataset.tokenizer
    if tokenizer is None:
        raise UsageError(f"the data of {dataset.name} is no text", expected="a run on a text data set")
    indices = np.unique(np.linspace(0, len(split) - 1, min(num, len(split))).astype(np.int64))
    (windows,) = parts_of(split.batch(indices)[0])
    length = max(1, round(_PROMPT_SHARE * windows.shape[1]))
    texts = (tokenizer.decode(row[:length].tolist()) for row in windows)
    return list(dict.fromkeys(text for text in texts if text.strip()))
