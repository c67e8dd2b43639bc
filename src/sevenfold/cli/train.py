"""``sevenfold train``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sevenfold.cli._output import Json, Set, emit, tell

if TYPE_CHECKING:
    from rich.console import RenderableType

    from sevenfold.actions.train import Progress, RunRecord

_REFRESH_S = 0.1
_LINE_S = 10.0  # between lines where stderr is no terminal


def train(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="A recipe's name, or my_file.py:recipe.")],
    changes: Set = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Start anew, also where the run is finished or was interrupted.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Train a recipe; an interrupted run goes on where it was, a finished one is shown."""
    from sevenfold.actions.train import train as action
    from sevenfold.spec import parse_assignments

    settings = parse_assignments(changes or [])
    with watching(quiet=as_json) as on_step:
        record = action(recipe, settings, fresh=fresh, on_step=on_step, on_event=tell)
    emit(record, as_json, _render)


@contextmanager
def watching(*, quiet: bool) -> Iterator[Callable[[Progress], None] | None]:
    """A progress bar on stderr, a line now and then where that is no terminal, nothing with ``--json``."""
    if quiet:
        yield None
    elif not sys.stderr.isatty():
        yield _Lines()
    else:
        with _Bar() as bar:
            yield bar


class _Lines:
    """Progress for logs: one line every few seconds."""

    def __init__(self) -> None:
        self._last: float | None = None

    def __call__(self, progress: Progress) -> None:
        if self._last is None:
            self._last = monotonic()
            if progress.resumed_from:
                tell(_going_on(progress))
        if monotonic() - self._last < _LINE_S:
            return
        self._last = monotonic()
        if progress.samples:
            tell(f"sample {progress.sampled:.0f}/{progress.samples}")
        else:
            tell(f"step {progress.step}/{progress.steps}, {_losses(progress)}, {_time_left(progress)} left")


class _Bar:
    """Progress for people: steps, losses, time left."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[losses]}"),
            TextColumn("{task.fields[left]}"),
            console=Console(stderr=True),
            transient=True,
        )
        self._task: Any = None
        self._samples: Any = None
        self._last = 0.0

    def __enter__(self) -> _Bar:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def __call__(self, progress: Progress) -> None:
        now = monotonic()
        if now - self._last < _REFRESH_S and (progress.samples or progress.step < progress.steps):
            return
        self._last = now
        if progress.samples:
            self._show_samples(progress)
            return
        shown: dict[str, Any] = {"losses": _losses(progress), "left": f"{_time_left(progress)} left"}
        if self._task is None:
            if progress.resumed_from:
                self._bar.console.print(_going_on(progress))
            self._task = self._bar.add_task("training", total=progress.steps, **shown)
        self._bar.update(self._task, completed=progress.step, **shown)

    def _show_samples(self, progress: Progress) -> None:
        if self._samples is None:
            self._samples = self._bar.add_task("sampling", total=progress.samples, losses="", left="")
        self._bar.update(self._samples, completed=progress.sampled)


def _going_on(progress: Progress) -> str:
    return f"going on from step {progress.resumed_from} of {progress.steps}"


def _losses(progress: Progress) -> str:
    known = {"loss": progress.train_loss, "validation": progress.validation_loss}
    return ", ".join(f"{name} {value:.4f}" for name, value in known.items() if value is not None)


def _time_left(progress: Progress) -> str:
    from sevenfold.units import SECONDS, show

    return show(progress.seconds_left, SECONDS, digits=2)


def _render(record: RunRecord) -> RenderableType:
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from sevenfold.actions.train import kept_weights, loss_unit

    summary = record.summary
    if "test_return" in summary:
        return _render_play(record)
    if "test_true_reward" in summary:
        return _render_answers(record)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    unit = loss_unit(record)
    table.add_column("")
    table.add_column(f"loss ({unit})", justify="right")
    accuracies = {"validation": summary["validation_accuracy"], "test": summary["test_accuracy"]}
    if any(value is not None for value in accuracies.values()):
        table.add_column("accuracy", justify="right")
    losses = ("final_train_loss_eval", "validation_loss", "test_loss")
    for split, key in zip(("training", "validation", "test"), losses, strict=True):
        accuracy = accuracies.get(split)
        cells = [split, f"{summary[key]:.4f}", "" if accuracy is None else f"{accuracy:.1%}"]
        table.add_row(*cells[: len(table.columns)])
    weights = kept_weights(record)
    return Group(
        Text(f"run {record.id}"),
        table,
        Text(_facts(summary)),
        *([Text(_samples(summary), overflow="fold")] if "sample_frechet" in summary else []),
        Text(
            f"weights: {weights}" if weights else "weights were not kept; --fresh trains it again", overflow="fold"
        ),
    )


def _render_play(record: RunRecord) -> RenderableType:
    """An agent's return beside those of playing at random and of the environment's own baseline."""
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from sevenfold.actions.train import kept_weights
    from sevenfold.units import SECONDS, show

    summary = record.summary
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("")
    table.add_column(f"mean return of {summary['evaluation_episodes']} episodes", justify="right")
    for player, key in (("agent", "test"), ("at random", "random"), ("baseline", "baseline")):
        mean, deviation = summary.get(f"{key}_return"), summary.get(f"{key}_return_deviation")
        if isinstance(mean, float):
            table.add_row(player, f"{mean:.2f}" + ("" if deviation is None else f" ± {deviation:.2f}"))
    weights = kept_weights(record)
    seconds = show(float(summary["train_seconds"] or 0), SECONDS)
    facts = f"{summary['steps']:,} agent steps, {summary['episodes']:,} episodes in {seconds}; "
    return Group(
        Text(f"run {record.id}"),
        table,
        Text(f"{facts}{summary['parameters']:,} parameters; ± is the standard deviation over episodes"),
        Text(f"weights: {weights}" if weights else "weights were not kept", overflow="fold"),
    )


def _render_answers(record: RunRecord) -> RenderableType:
    """What a policy's answers are worth, beside those before it learned from rewards."""
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from sevenfold.actions.train import kept_weights
    from sevenfold.units import SECONDS, show

    summary = record.summary
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    titles = ("true reward", "reward", "divergence (nats)", "tokens", "plain text (nats a token)")
    keys = ("true_reward", "reward", "divergence", "answer_tokens", "plain_loss")
    table.add_column("answers to test prompts")
    for title in titles:
        table.add_column(title, justify="right")
    for when, prefix in (("before", "start"), ("after", "test")):
        table.add_row(when, *(f"{summary[f'{prefix}_{key}']:.3f}" for key in keys))
    weights = kept_weights(record)
    seconds = show(float(summary["train_seconds"] or 0), SECONDS)
    return Group(
        Text(f"run {record.id}"),
        table,
        Text(f"{summary['steps']:,} steps, {summary['examples_seen']:,} answers in {seconds}"),
        Text(f"weights: {weights}" if weights else "weights were not kept", overflow="fold"),
    )


def _samples(summary: dict[str, Any]) -> str:
    """What the samples are worth, beside the baselines."""
    baselines = (("real", "real images"), ("pixel", "independent pixels"), ("mean", "mean image"))
    beside = ", ".join(f"{title} {summary[f'{key}_frechet']:.3g}" for key, title in baselines)
    facts = [f"Fréchet distance of {summary['num_samples']} samples {summary['sample_frechet']:.3g} ({beside})"]
    shares = (
        ("sample_precision", "precision"),
        ("sample_recall", "recall"),
        ("caption_accuracy", "captions right"),
        ("sample_class_accuracy", "taken for the asked digit"),
    )
    facts += [f"{title} {summary[key]:.1%}" for key, title in shares if summary.get(key) is not None]
    if "test_bits_per_dimension" in summary:
        facts.append(f"{summary['test_bits_per_dimension']:.3f} bits a dimension")
    return "; ".join([*facts, "`sevenfold runs report` shows them"])


def _facts(summary: dict[str, Any]) -> str:
    from sevenfold.units import JOULES, SECONDS, show

    training, step = show(summary["train_seconds"], SECONDS), show(summary["step_seconds_median"], SECONDS)
    facts = [
        f"{summary['steps']:,} steps, {summary['epochs']:.3g} epochs of {summary['num_train_examples']:,}",
        f"{summary['parameters']:,} parameters",
        f"{training} of training, {step} a step",
    ]
    if summary["energy_j"] is not None:
        facts.append(f"{show(summary['energy_j'], JOULES)} {summary['energy_method']}")
    if summary["stopped_by"] != "steps":
        facts.append(f"stopped by the {summary['stopped_by']} limit")
    return "; ".join(facts)
