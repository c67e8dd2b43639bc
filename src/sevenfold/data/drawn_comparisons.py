"""``drawn-comparisons``: answers of a trained model to requests, ranked by a simulated labeller who errs.

The answers are drawn by `sevenfold.training.alignment.comparing` before a run begins and lie as JSON Lines beside
the runs, one file a split; here they are read. Training and validation are ranked by the labeller, the test split
by the true rewards: test accuracy is agreement with the truth, validation accuracy with the labeller. Answers of
equal worth are not compared in the test split. It must not know a model.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pydantic import Field

from sevenfold.data._catalogue import DATASETS, DatasetEntry
from sevenfold.data._comparing import RankingSplit, compared, digest_of_judgements
from sevenfold.data._dataset import Dataset, Prompting, Provenance
from sevenfold.data.comparison_files import REQUESTS
from sevenfold.data.comparisons import read_judgements
from sevenfold.data.requests import END_TOKEN, answer_text, demonstrations, prompt_tokens, prompts
from sevenfold.errors import InputFileError, UsageError
from sevenfold.runs.home import data_home
from sevenfold.spec import Spec, digest_of

__all__ = ["DRAWN", "DrawnComparisonsSettings", "comparisons_folder", "read_drawn_comparisons"]

DRAWN = "drawn-comparisons"


class DrawnComparisonsSettings(Spec):
    """Whose answers are compared, how many, and how often the labeller errs."""

    of: str = Field(description="finished run whose model answers, or recipe:NAME")
    answers: int = Field(default=4, ge=2, le=9, description="different answers a prompt that are ranked, at most")
    num_prompts: int = Field(default=2000, ge=1, description="prompts of each split, at most")
    error_rate: float = Field(default=0.1, ge=0, le=0.5, description="share of the labeller's pairs that are wrong")


def comparisons_folder(settings: DrawnComparisonsSettings, split_seed: int) -> Path:
    """Where the comparisons of these settings lie; raises UsageError while a recipe stands for a run."""
    if settings.of.startswith("recipe:"):
        raise UsageError(
            "comparisons of a recipe's answers are drawn after it is trained",
            got=f"of={settings.of}",
            hint="`sevenfold train`, which does both",
        )
    digest = digest_of({**settings.to_dict(), "split_seed": split_seed})
    return data_home() / "comparisons" / f"{settings.of}-{digest[:12]}"


def read_drawn_comparisons(settings: DrawnComparisonsSettings, split_seed: int, task: str) -> Dataset:
    """The drawn comparisons of requests; raises InputFileError where they were not drawn."""
    folder = comparisons_folder(settings, split_seed)
    if not folder.is_dir():
        raise InputFileError(
            "comparisons that were not drawn here", got=str(folder), hint="`sevenfold train`, which draws them"
        )
    parts = {part: read_judgements(folder / f"{part}.jsonl") for part in ("train", "validation", "test")}
    every = [one for judgements in parts.values() for one in judgements]
    provenance = Provenance(
        name=DRAWN,
        source=f"answers of run {settings.of} to requests, ranked by a simulated labeller",
        licence="as this package",
        num_examples=len(every),
        sha256=digest_of_judgements(every),
        version="1",
        notes=f"{settings.error_rate:g} of the labeller's pairs are wrong, none of the test split",
    )
    prompting = Prompting(prompts("validation", split_seed), prompt_tokens, answer_text, END_TOKEN)
    dataset = compared(DRAWN, task, parts, replace(REQUESTS, prompting=prompting), provenance)
    if isinstance(dataset.validation, RankingSplit):
        written = [REQUESTS.encode(*pair) for pair in demonstrations("validation", split_seed)]
        dataset = replace(dataset, validation=dataset.validation.beside(written))
    return dataset


DATASETS.add(
    DRAWN,
    DatasetEntry(
        name=DRAWN,
        tasks=("reward", "preference"),
        summary="answers of a trained model to requests, ranked by a simulated labeller who errs on a known share",
        settings=DrawnComparisonsSettings,
        read=read_drawn_comparisons,
    ),
)
