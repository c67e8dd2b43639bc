"""``comparisons:PATH``: what people prefer, out of a file of JSON Lines (`comparisons`, `sevenfold label`).

    {"prompt": "...", "answers": ["the best", "the next"], "labeller": "optional"}

For the tasks reward and preference (`_comparing`). Prompts go to training, validation and test whole. Texts become
tokens as models of ``requests`` read them, or as bytes, which any text is: 0 padding, 1 between prompt and answer,
2 the end, byte b is 3 + b.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Literal

from pydantic import Field

from sevenfold.data._catalogue import DATASETS, DatasetEntry
from sevenfold.data._comparing import TextCode, compared, digest_of_judgements
from sevenfold.data._dataset import Dataset, Provenance
from sevenfold.data._splitting import Shares, split_by_size
from sevenfold.data.comparisons import Judgement, read_judgements
from sevenfold.data.requests import CONTEXT, END_TOKEN, RequestTokenizer, encode, prompt_tokens, vocabulary
from sevenfold.errors import SevenfoldError, UsageError

__all__ = ["BYTES", "CODES", "REQUESTS", "ComparisonFileSettings", "read_comparison_file"]

_PREFIX = "comparisons:"


class ComparisonFileSettings(Shares):
    """How a file of comparisons is read."""

    encoding: Literal["requests", "bytes"] = Field(
        default="bytes", description="bytes, or requests: the words of that data set, for models that know them"
    )
    validation_share: float = Field(default=0.1, gt=0, lt=1, description="share held out for validation")
    test_share: float = Field(default=0.1, gt=0, lt=1, description="share held out for the final test")


def _words(prompt: str, answer: str) -> tuple[Sequence[int], Sequence[int]]:
    return prompt_tokens(prompt), [*encode(answer), END_TOKEN]


def _bytes(prompt: str, answer: str) -> tuple[Sequence[int], Sequence[int]]:
    return [*(3 + byte for byte in prompt.encode()), 1], [*(3 + byte for byte in answer.encode()), 2]


REQUESTS = TextCode("requests", len(vocabulary()), _words, CONTEXT, RequestTokenizer())
BYTES = TextCode("bytes", 3 + 256, _bytes)
CODES = {code.name: code for code in (REQUESTS, BYTES)}


def read_comparison_file(path: Path, settings: ComparisonFileSettings, split_seed: int, task: str) -> Dataset:
    """The comparisons of a file, split by prompt.

    Raises InputFileError for a file that cannot be learned from (`read_judgements`), UsageError for too few prompts
    and, naming the prompt, for a word that the encoding does not have.
    """
    settings.checked()
    judgements, code = read_judgements(path), CODES[settings.encoding]
    for one in judgements:
        try:
            for answer in one.answers:
                code.encode(one.prompt, answer)
        except SevenfoldError as error:
            error.message = f"{error.message} (in {path.name}, prompt {one.prompt[:40]!r})"
            error.hint = error.hint or "the data setting encoding=bytes"
            raise
    by_prompt: dict[str, list[Judgement]] = {}
    for one in judgements:
        by_prompt.setdefault(one.prompt, []).append(one)
    groups = list(by_prompt.values())
    if len(groups) < 3:
        raise UsageError(
            "too few prompts to split into training, validation and test",
            got=f"{len(groups)} in {path.name}",
            expected="3 or more",
        )
    parts = split_by_size([len(group) for group in groups], settings, split_seed)
    chosen = {"train": parts.train, "validation": parts.validation, "test": parts.test}
    provenance = Provenance(
        name=f"{_PREFIX}{path.name}",
        source=str(path),
        licence="unknown",
        num_examples=len(judgements),
        sha256=digest_of_judgements(judgements),
        version="-",
        notes=f"{len(groups)} prompts; {len({one.labeller for one in judgements})} labellers; {code.name}",
    )
    split = {part: [one for index in indices for one in groups[index]] for part, indices in chosen.items()}
    return compared(f"{_PREFIX}{path.name}", task, split, code, provenance)


def _find(name: str) -> DatasetEntry | None:
    if not name.startswith(_PREFIX):
        return None
    path = Path(name.removeprefix(_PREFIX)).expanduser()
    return DatasetEntry(
        name=name,
        tasks=("reward", "preference"),
        summary=f"comparisons of {path.name}",
        settings=ComparisonFileSettings,
        read=partial(read_comparison_file, path),
    )


DATASETS.add_finder(_find)
