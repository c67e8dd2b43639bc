"""Two answers to each of some prompts, drawn from a trained language model, for a person to compare."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sevenfold.errors import InputFileError, UsageError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from sevenfold.data import Dataset
    from sevenfold.data._tokenizing import TextTokenizer
    from sevenfold.data.comparisons import Candidates
    from sevenfold.training.workload import Workload

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

    Prompts are the lines of a file, or those of the run's validation split (of plain text, its beginnings). One
    seed gives the same answers. Raises UsageError for a run that is no language model or not finished, a word that
    it does not know, and where every prompt has but one answer.
    """
    from sevenfold.data.comparisons import Candidates
    from sevenfold.training.trained import trained_workload

    if num < 1:
        raise UsageError("pairs of answers", got=f"--num {num}", expected="1 or more")
    if not temperature > 0:
        raise UsageError(
            "two answers of one model differ by chance",
            got=f"--temperature {temperature:g}",
            expected="more than 0",
        )
    record, workload = trained_workload(run)
    if workload.entry.task != "causal-lm":
        raise UsageError(
            f"run {record.id} is no language model",
            got=f"task {record.run_recipe().task}",
            expected="task causal-lm",
        )
    speaker = _Speaker(workload, max_new_tokens, temperature)
    asked = _own_prompts(workload.dataset, num) if prompts is None else _lines(prompts)[:num]
    found = []
    for number, prompt in enumerate(asked):
        answers = speaker.two(prompt, seed + 2 * _TRIES * number)
        if answers is not None:
            found.append(Candidates(prompt, answers))
    if not found:
        raise UsageError(
            "the model has one answer to each prompt", got=f"{len(asked)} prompts", hint="a higher --temperature"
        )
    return found


@dataclass(frozen=True)
class _Speaker:
    """A model with how it is asked: as its data asks, or by going on from the prompt."""

    workload: Workload
    max_new_tokens: int
    temperature: float

    def two(self, prompt: str, seed: int) -> tuple[str, str] | None:
        """The first two different answers; None where there are none after some tries."""
        import torch

        from sevenfold.models._generating import generate

        prompting, context = self.workload.dataset.prompting, self.workload.settings.get("context")
        tokens = self._tokenizer.encode(prompt).ids if prompting is None else prompting.tokens(prompt)
        answers: list[str] = []
        for attempt in range(_TRIES):
            result = generate(
                self.workload.model,
                torch.tensor([tokens, tokens], device=self.workload.device),
                max_new_tokens=self.max_new_tokens,
                temperature=self.temperature,
                seed=seed + 2 * attempt,
                stop=() if prompting is None else (prompting.end,),
                context=context if isinstance(context, int) else None,
            )
            answers += [self._text(tokens, new) for new in result.continuations()]
            different = list(dict.fromkeys(answers))
            if len(different) > 1:
                return different[0], different[1]
        return None

    def _text(self, tokens: list[int], new: list[int]) -> str:
        """What the new tokens add to the prompt's text."""
        prompting = self.workload.dataset.prompting
        if prompting is not None:
            return prompting.answer(new)
        before, whole = self._tokenizer.decode(tokens), self._tokenizer.decode([*tokens, *new])
        return whole[len(before) :] if whole.startswith(before) else self._tokenizer.decode(new)

    @property
    def _tokenizer(self) -> TextTokenizer:
        tokenizer = self.workload.dataset.tokenizer
        if tokenizer is None:
            raise UsageError(
                f"the data of {self.workload.entry.name} is no text", expected="a run on a text data set"
            )
        return tokenizer


def _lines(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputFileError("cannot read prompts", got=f"{path} ({error})") from None
    found = list(dict.fromkeys(line.strip() for line in lines if line.strip()))
    if not found:
        raise InputFileError("no prompts", got=f"{path} is empty", expected="a prompt a line")
    return found


def _own_prompts(dataset: Dataset, num: int) -> list[str]:
    """Prompts of the validation split, or the beginnings of windows of its text; ``num`` evenly spaced ones."""
    import numpy as np

    from sevenfold.data import parts_of

    def spread(size: int) -> npt.NDArray[np.int64]:
        return np.unique(np.linspace(0, size - 1, min(num, size)).astype(np.int64))

    if dataset.prompting is not None:
        return [dataset.prompting.prompts[place] for place in spread(len(dataset.prompting.prompts))]
    split, tokenizer = dataset.validation, dataset.tokenizer
    if tokenizer is None:
        raise UsageError(f"the data of {dataset.name} is no text", expected="a run on a text data set")
    (windows,) = parts_of(split.batch(spread(len(split)))[0])
    length = max(1, round(_PROMPT_SHARE * windows.shape[1]))
    texts = (tokenizer.decode(row[:length].tolist()) for row in windows)
    return list(dict.fromkeys(text for text in texts if text.strip()))
