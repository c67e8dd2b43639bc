"""The action behind ``sevenfold generate``: a text from a language model, of a run or of a checkpoint.

A run's prompt is encoded as its training text was, and a run that learned from prompts with answers is asked and
answers; a checkpoint's prompt by the folder's tokenizer.json, and its text ends with the end-of-text token that
config.json names.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sevenfold.errors import InputFileError, UsageError

if TYPE_CHECKING:
    from sevenfold.actions.load import Loaded

SCHEMA_VERSION = "1.0"


@dataclass(frozen=True)
class GeneratedText:
    """What a model went on with."""

    source: str  # the run's id, or the folder
    model: str  # the run's preset, or the checkpoint's model_type
    prompt: str
    text: str  # without the prompt
    prompt_tokens: int
    new_tokens: int
    ended: bool  # by an end-of-text token, before max_new_tokens
    method: str  # greedy or sample
    temperature: float
    top_k: int | None
    top_p: float | None
    seed: int

    def to_dict(self) -> dict[str, Any]:
        """The object that ``--json`` prints."""
        return {"schema_version": SCHEMA_VERSION, **asdict(self)}


def generate(
    source: str | os.PathLike[str],
    prompt: str = "\n",
    *,
    max_new_tokens: int = 200,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int = 0,
) -> GeneratedText:
    """The text that a language model goes on with after a prompt.

    >>> generate("python-docs-gpt-s0", "The ", max_new_tokens=50, temperature=0.8).text  # doctest: +SKIP
    'statement is the object of the class of the object'

    ``source`` is the id of a finished causal-lm run or a beginning of it, or a checkpoint folder that
    `sevenfold.load` reads. ``temperature=0`` takes the most likely token each time; otherwise tokens are drawn,
    from the ``top_k`` most likely ones, and from the fewest that together have probability ``top_p``. A seed gives
    one text.

    Raises UnknownNameError for a run that is not there, UsageError for a run that is not finished, a model of
    another task, a character that the run's text never had, or a folder without a tokenizer.
    """
    import torch

    from sevenfold.models._generating import generate as generate_tokens

    loaded, name = _loaded(source)
    tokens = _encoded(loaded, prompt)
    method = "greedy" if temperature == 0 else "sample"
    context = loaded.spec.to_dict().get("context")
    result = generate_tokens(
        loaded.module,
        torch.tensor([tokens]),
        max_new_tokens=max_new_tokens,
        method="greedy" if temperature == 0 else "sample",
        temperature=temperature or 1.0,
        top_k=top_k,
        top_p=top_p,
        seed=seed,
        stop=(stop := _stop_tokens(loaded)),
        context=context if isinstance(context, int) else None,
    )
    (new,) = result.continuations()
    ended = bool(new) and new[-1] in stop
    assert loaded.tokenizer is not None
    return GeneratedText(
        source=name,
        model=loaded.model_type,
        prompt=prompt,
        text=_decoded(loaded, tokens, new[:-1] if ended else new),
        prompt_tokens=len(tokens),
        new_tokens=len(new),
        ended=ended,
        method=method,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        seed=seed,
    )


def _loaded(source: str | os.PathLike[str]) -> tuple[Loaded, str]:
    from sevenfold.actions.load import load

    folder = Path(source).expanduser()
    if folder.is_dir():
        loaded = load(folder)
        _require_language_model(loaded, str(folder))
        return loaded, str(folder)
    run_id = _finished_run(str(source))
    from sevenfold.runs.home import data_home

    return load(data_home() / "runs" / run_id), run_id


def _finished_run(given: str) -> str:
    """The id of a finished causal-lm run whose weights were kept; UsageError where it is not one."""
    from sevenfold.checkpoints import weights_path
    from sevenfold.runs.home import data_home
    from sevenfold.runs.store import RunStore

    record = RunStore().require(given)
    task = record.run_recipe().model_task
    if task != "causal-lm":
        raise UsageError(f"run {record.id} is no language model", got=f"task {task}", expected="task causal-lm")
    if record.state != "finished":
        raise UsageError(
            f"run {record.id} has no final weights",
            got=f"state {record.state}",
            expected="a finished run",
            hint="`sevenfold train` with the same recipe, which goes on where it stopped",
        )
    if not weights_path(data_home() / "runs" / record.id).is_file():
        raise InputFileError(
            f"the weights of run {record.id} were not kept", hint="`sevenfold train --fresh` with the same recipe"
        )
    return record.id


def _require_language_model(loaded: Loaded, name: str) -> None:
    from sevenfold.models import MODELS

    tasks = {MODELS[known].task for known in MODELS if MODELS[known].spec_type is type(loaded.spec)}
    if "causal-lm" not in tasks:
        raise UsageError(
            f"{name} is no language model",
            got=f"a {loaded.model_type} ({', '.join(sorted(tasks)) or 'of no task here'})",
            expected="a model of task causal-lm",
        )
    if loaded.tokenizer is None:
        raise InputFileError(
            f"{name} has no tokenizer",
            expected="tokenizer.json beside config.json",
            hint="the model's own tokenizer",
        )


def _encoded(loaded: Loaded, prompt: str) -> list[int]:
    tokenizer = loaded.tokenizer
    if tokenizer is None:
        raise UsageError(f"the data of {loaded.model_type} is no text", expected="a run on a text data set")
    asked = loaded.prompting
    tokens: list[int] = list(tokenizer.encode(prompt).ids) if asked is None else asked.tokens(prompt)
    if not tokens:
        raise UsageError("a prompt needs a token", got=repr(prompt), hint="--prompt 'The '")
    return tokens


def _decoded(loaded: Loaded, prompt: list[int], new: list[int]) -> str:
    """What the new tokens add to the prompt's text: some tokenizers drop the space before a text's first word."""
    assert loaded.tokenizer is not None
    before, whole = str(loaded.tokenizer.decode(prompt)), str(loaded.tokenizer.decode([*prompt, *new]))
    return whole[len(before) :] if whole.startswith(before) else str(loaded.tokenizer.decode(new))


def _stop_tokens(loaded: Loaded) -> tuple[int, ...]:
    if loaded.prompting is not None:
        return (loaded.prompting.end,)
    named = loaded.config.get("eos_token_id") if loaded.kind == "hugging-face" else None
    return () if named is None else tuple(named) if isinstance(named, list) else (int(named),)
