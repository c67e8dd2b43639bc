"""The action behind ``sevenfold calibrate``: measure this machine, store it, hold its predictions against steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sevenfold.hardware import Chip

SCHEMA_VERSION = "1.0"
HELD_AGAINST = ("digits-cnn", "gpt-10m")  # recipes whose steps are predicted and measured


@dataclass(frozen=True)
class StepCheck:
    """A training step of a recipe: predicted from the benchmarks, and measured."""

    recipe: str
    threads: int
    predicted_s: float
    measured_s: float
    low_s: float
    high_s: float
    steps: int
    bound_by: str

    @property
    def error(self) -> float:
        """How far the prediction lies from the measured median, as a share of it."""
        return self.predicted_s / self.measured_s - 1


@dataclass(frozen=True)
class CalibrateResult:
    """The calibrated chip, where it is stored, and the checks."""

    chip: Chip
    path: Path
    checks: tuple[StepCheck, ...]

    def to_dict(self) -> dict[str, Any]:
        """The object that ``--json`` prints."""
        return {
            "schema_version": SCHEMA_VERSION,
            "path": str(self.path),
            "checks": [{**asdict(check), "error": check.error} for check in self.checks],
            "chip": self.chip.to_dict(),
        }


def calibrate(
    *,
    quick: bool = False,
    threads: Sequence[int] = (1, 0),
    check: Sequence[str] = HELD_AGAINST,
    on_event: Callable[[str], None] | None = None,
) -> CalibrateResult:
    """Benchmark this machine with each number of threads (0: all cores) and store it as the chip ``this-machine``.

    >>> calibrate(quick=True).checks[0].error  # doctest: +SKIP
    -0.04

    ``check`` names recipes: their training steps are measured between the benchmarks, and predicted from them;
    nothing of the chip depends on them. ``quick`` takes about half a minute, a full calibration a minute and a
    half. Raises UsageError for more threads than cores, UnknownNameError for a recipe that does not exist,
    StorageError where the result cannot be written.
    """
    from sevenfold.errors import UsageError
    from sevenfold.hardware.prediction import predict_step
    from sevenfold.hardware.stored import save_this_machine, this_machine_path
    from sevenfold.recipes import RECIPES
    from sevenfold.runs.home import made_folder
    from sevenfold.training.measuring import RecipeStep, all_cores, measure_machine

    tell = on_event or (lambda message: None)
    too_many = [count for count in threads if not 0 <= count <= all_cores()]
    if too_many:
        raise UsageError("this machine has not so many cores", got=too_many[0], expected=f"0 to {all_cores()}")
    made_folder(this_machine_path().parent)  # a read-only folder is an error before the minute, not after it
    recipes = {name: RECIPES[name].recipe() for name in check}
    counts = {count or all_cores() for count in [*threads, *(recipe.threads for recipe in recipes.values())]}
    tell(f"building {', '.join(recipes)}" if recipes else "no recipe is held against the benchmarks")
    steps = {name: RecipeStep(recipe) for name, recipe in recipes.items()}
    tell(f"benchmarks with {' and '.join(str(n) for n in sorted(counts))} thread(s); best on an idle machine")
    chip, measured = measure_machine(sorted(counts), quick=quick, beside=steps)
    path = save_this_machine(chip)
    checks = []
    for name, step in steps.items():
        recipe, took = recipes[name], measured[name]
        predicted = predict_step(step.graph(), chip, threads=recipe.threads, optimizer=recipe.optimizer.name)
        checks.append(
            StepCheck(
                recipe=name,
                threads=recipe.threads or all_cores(),
                predicted_s=predicted.seconds,
                measured_s=took.median_s,
                low_s=took.low_s,
                high_s=took.high_s,
                steps=took.steps,
                bound_by=predicted.bound_by,
            )
        )
    return CalibrateResult(chip, path, tuple(checks))
