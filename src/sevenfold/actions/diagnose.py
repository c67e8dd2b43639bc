"""The action behind ``sevenfold diagnose``: what holds a recipe back, and what is it worth to relieve it?"""

from __future__ import annotations

import os
import shlex
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sevenfold import units
from sevenfold.actions._limits import parse_limits
from sevenfold.diagnosis.facts import StatedLimits
from sevenfold.diagnosis.result import Diagnosis
from sevenfold.errors import UsageError
from sevenfold.runs.home import data_home, made_folder
from sevenfold.runs.recipe import Recipe

if TYPE_CHECKING:
    from torch import nn

    from sevenfold.actions.recipe import Task
    from sevenfold.data import ArrayData
    from sevenfold.recipes.custom import CustomRecipe

Event = Callable[..., None]


def diagnose(
    recipe: str | Recipe | CustomRecipe | None = None,
    *,
    model: Callable[..., nn.Module] | str | None = None,
    data: ArrayData | str | None = None,
    task: Task | None = None,
    alternatives: Sequence[Callable[..., nn.Module]] = (),
    changes: Mapping[str, Any] | None = None,
    limits: Mapping[str, str | float] | Iterable[str] = (),
    budget: str | float | None = None,
    price: str | float | None = None,
    seeds: int | None = None,
    min_effect: float = 0.01,
    workers: int | None = None,
    report: str | Path | None = None,
    on_event: Event | None = None,
) -> Diagnosis:
    """Train the recipe and its probes, and say which of the seven constraints binds.

    >>> import sevenfold
    >>> sevenfold.diagnose("digits-cnn", budget="5m").sentence  # doctest: +SKIP
    'Compute binds: ...'

    Either a recipe, or ``model`` (a callable that returns a torch module), ``data`` and ``task``. ``limits`` states
    hard limits (``{"energy": "500J", "time": "60s"}``), ``budget`` bounds the whole diagnosis (``"5m"``), ``price``
    is dollars per hour of the machine (``"$2.5/h"``), ``min_effect`` the least effect that counts, as a share of
    the baseline's loss. ``report`` is an HTML file to write; its JSON goes
    beside it. Finished runs in the run store are not repeated.

    Raises UsageError for a request that cannot be carried out, RunError where the baseline itself fails. A probe
    that fails is a row of the result.
    """
    from sevenfold.actions.recipe import pure
    from sevenfold.actions.recipe import recipe as make_recipe
    from sevenfold.diagnosis.report import write_json, write_report

    started = time.monotonic()
    stated = parse_limits(limits)
    budget_s = None if budget is None else units.parse(budget, units.SECONDS)
    if budget_s is not None and budget_s <= 0:
        raise UsageError("the budget is not positive", got=repr(budget), hint="--budget 5m")
    if recipe is None or model is not None or data is not None:
        recipe = make_recipe(
            recipe if isinstance(recipe, str) else None,
            model=model,
            data=data,
            task=task,
            alternatives=alternatives,
        )
    if report is not None:
        made_folder(Path(report).absolute().parent)
    price_usd_per_hour = None if price is None else units.parse(price, units.USD_PER_HOUR)
    with tempfile.TemporaryDirectory(prefix="sevenfold-") as folder:
        stopping = stopping_limits(stated, price_usd_per_hour)
        chosen, bundles = pure(recipe, {**(changes or {}), **stopping}, Path(folder))
        result = _carry_out(
            chosen,
            bundles,
            limits=StatedLimits(**{_FIELDS[name]: value for name, value in stated.items()}),
            price=price_usd_per_hour,
            seeds=seeds,
            min_effect=min_effect,
            budget_s=budget_s,
            workers=workers,
            started=started,
            train_command=train_command(recipe, {**(changes or {}), **stopping}),
            on_event=on_event,
        )
    _keep(result)
    if report is not None:
        write_report(result, Path(report))
        write_json(result, Path(report).with_suffix(".json"))
    return result


def stopping_limits(stated: Mapping[str, float], price_usd_per_hour: float | None) -> dict[str, float]:
    """The stated limits that stop a run, as settings of the recipe; dollars stop it as the time that they pay for.

    >>> stopping_limits({"usd": 1.0, "energy": 500.0}, 3.6)
    {'limits.energy_j': 500.0, 'limits.time_s': 1000.0}
    """
    found = {f"limits.{key}": stated[name] for name, key in _STOPPING.items() if name in stated}
    if "usd" in stated:
        if not price_usd_per_hour:
            raise UsageError("a limit in dollars needs a price", got="--limit usd", hint="--price '$2.5/h'")
        paid_s = stated["usd"] / price_usd_per_hour * 3600
        found["limits.time_s"] = min(paid_s, found.get("limits.time_s", paid_s))
    return found


_STOPPING = {"time": "time_s", "energy": "energy_j"}
_FIELDS = {
    "time": "time_s",
    "energy": "energy_j",
    "usd": "usd",
    "parameters": "parameters",
    "memory": "memory_bytes",
}


def _carry_out(
    recipe: Recipe,
    bundles: Sequence[Path],
    *,
    limits: StatedLimits,
    price: float | None,
    seeds: int | None,
    min_effect: float,
    budget_s: float | None,
    workers: int | None,
    started: float,
    train_command: str | None,
    on_event: Event | None,
) -> Diagnosis:
    from sevenfold.actions._facts import Subject, gather_facts, memory_limit_bytes
    from sevenfold.actions._pool import ProbePool
    from sevenfold.actions._step import measured_costs
    from sevenfold.diagnosis.engine import MIN_SEEDS, diagnose_recipe
    from sevenfold.diagnosis.evidence import with_evidence
    from sevenfold.runs.store import RunStore

    _require_nats(recipe)
    _require_a_beginning(recipe)
    subject = Subject.of(recipe)
    made_folder(data_home())
    costs = measured_costs(recipe, lambda text: _tell(on_event, "preparing", text))
    facts = gather_facts(
        subject, costs, memory_limit_bytes=memory_limit_bytes(recipe), price_usd_per_hour=price, limits=limits
    )
    num_workers, threads = share_cores(recipe, workers)
    with ProbePool(RunStore(), workers=num_workers, threads=threads, bundles=bundles) as pool:
        result = diagnose_recipe(
            recipe,
            facts,
            pool,
            min_effect=min_effect,
            budget_s=None if budget_s is None else max(1.0, budget_s - (time.monotonic() - started)),
            on_event=on_event,
            seeds=MIN_SEEDS if seeds is None else seeds,
        )
    # The budget as it was stated, and the time of everything: preparing counts too.
    spent = result.budget.model_copy(update={"seconds": budget_s, "used_s": time.monotonic() - started})
    result = result.model_copy(update={"budget": spent})
    return with_evidence(result, RunStore(), train_command=train_command)


def train_command(recipe: object, changes: Mapping[str, Any]) -> str | None:
    """The command line that trains what is diagnosed, for the advice to add to; None for objects in Python.

    >>> train_command("digits-cnn", {"steps": 200})
    'sevenfold train digits-cnn --set steps=200'
    """
    if not isinstance(recipe, str):
        return None
    settings = (f"--set {shlex.quote(f'{key}={value}')}" for key, value in changes.items())
    return " ".join(["sevenfold train", shlex.quote(recipe), *settings])


def share_cores(recipe: Recipe, workers: int | None = None) -> tuple[int, int]:
    """Worker processes, and threads of each: a recipe keeps its threads, the other cores take further probes.

    On CUDA one worker a device: two runs on one device would slow each other, and their step times mean nothing.
    """
    import torch

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = recipe.threads or cores
    if recipe.device != "cpu" and torch.cuda.is_available():
        return workers or 1, threads
    return workers or max(1, cores // threads), threads


def _tell(on_event: Event | None, kind: str, label: str) -> None:
    if on_event is not None:
        on_event(kind, label, 0, 0, None)


def _keep(result: Diagnosis) -> None:
    """The finished diagnosis as JSON in the user's data folder."""
    from sevenfold.diagnosis.report import write_json

    name = f"{result.recipe_name}-{result.created.replace(':', '').replace('+', '-')}.json".replace("/", "-")
    write_json(result, made_folder(data_home() / "diagnoses") / name)


def render(result: Diagnosis) -> Any:
    """What a terminal shows of a diagnosis: a rich renderable."""
    from sevenfold.diagnosis.report.table import render as render_table

    return render_table(result)


def _require_a_beginning(recipe: Recipe) -> None:
    """Probes change the width, and weights of another run fit one width alone."""
    if recipe.start is not None:
        raise UsageError(
            "a diagnosis trains from the beginning",
            got=f"start={recipe.start}",
            expected="a recipe that starts from no other run",
            hint="--set start=none",
        )


def _require_nats(recipe: Recipe) -> None:
    """Prices are told in nats; a loss that depends on the batch or has another unit cannot be priced so."""
    from sevenfold.training.objectives import TASKS

    rule = TASKS[recipe.task]
    if rule.nats and rule.cut:
        return
    own = "its loss is a squared error" if rule.measure == "squared error" else "its loss is the model's own"
    why = "its loss depends on the batch" if rule.nats else own
    told = ", ".join(task for task, other in TASKS.items() if other.nats and other.cut)
    raise UsageError(f"a diagnosis is in nats, and {recipe.task} has none: {why}", got=recipe.task, expected=told)
