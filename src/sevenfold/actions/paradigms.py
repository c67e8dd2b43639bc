"""The action behind ``sevenfold paradigms``: ways of learning, each measured against its baselines over seeds."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sevenfold.errors import UsageError
from sevenfold.spec import Spec

if TYPE_CHECKING:
    from sevenfold.training.progress import Progress


class ParadigmLine(Spec):
    """One paradigm of the catalogue."""

    name: str
    help: str  # command, hardware, expected time and result


class ParadigmList(Spec):
    """The catalogue of paradigms."""

    schema_version: str = "1.0"
    paradigms: list[ParadigmLine]


class ParadigmFigure(Spec):
    """One figure over the seeds."""

    name: str
    mean: float
    deviation: float | None  # standard deviation (n - 1); None of one seed
    values: list[float]  # by seed
    stated: float | None  # the mean that the catalogue states for seeds 0 to 2


class ParadigmResult(Spec):
    """What a paradigm came to, and the runs that it trained or found."""

    schema_version: str = "1.0"
    name: str
    summary: str
    seeds: list[int]
    figures: list[ParadigmFigure]
    runs: list[str]


def list_paradigms() -> ParadigmList:
    """All paradigms that can be measured by name.

    >>> "classification" in [line.name for line in list_paradigms().paradigms]
    True
    """
    from sevenfold.recipes import PARADIGMS

    return ParadigmList(paradigms=[show_paradigm(name) for name in PARADIGMS.names()])


def show_paradigm(name: str) -> ParadigmLine:
    """What a paradigm compares, and what it came to; raises UnknownNameError with the nearest name.

    >>> show_paradigm("classification").name
    'classification'
    """
    from sevenfold.recipes import PARADIGMS

    entry = PARADIGMS[name]
    return ParadigmLine(name=entry.name, help=entry.help)


def run_paradigm(
    name: str,
    *,
    seeds: int = 3,
    on_seed: Callable[[int], None] | None = None,
    on_step: Callable[[Progress], None] | None = None,
    on_event: Callable[[str], None] | None = None,
) -> ParadigmResult:
    """Measure a paradigm with seeds 0 to ``seeds`` - 1; its runs are kept, finished ones are not trained again.

    >>> run_paradigm("classification", seeds=1).figures[0].mean  # doctest: +SKIP
    0.9638

    Raises UnknownNameError for a name that is not there, UsageError for no seeds, RunError for a run that fails.
    """
    import statistics

    from sevenfold.actions.train import train
    from sevenfold.recipes import PARADIGMS, Bench
    from sevenfold.runs.recipe import Recipe
    from sevenfold.runs.record import RunRecord
    from sevenfold.training.trained import trained_workload

    if seeds < 1:
        raise UsageError("a paradigm is measured over seeds", got=f"seeds={seeds}", expected="1 or more")
    entry = PARADIGMS[name]
    runs: dict[str, None] = {}

    def trainer(recipe: Recipe) -> RunRecord:
        record = train(recipe, on_step=on_step, on_event=on_event)
        runs[record.id] = None
        return record

    found: dict[str, list[float]] = {}
    for seed in range(seeds):
        if on_seed is not None:
            on_seed(seed)
        for figure, value in entry.measure(Bench(seed, trainer, lambda run: trained_workload(run)[1])).items():
            found.setdefault(figure, []).append(float(value))
    stated = {one.metric: one.mean for one in entry.measured}
    figures = [
        ParadigmFigure(
            name=figure,
            mean=statistics.fmean(values),
            deviation=statistics.stdev(values) if len(values) > 1 else None,
            values=values,
            stated=stated.get(figure),
        )
        for figure, values in found.items()
    ]
    return ParadigmResult(
        name=name, summary=entry.summary, seeds=list(range(seeds)), figures=figures, runs=list(runs)
    )
