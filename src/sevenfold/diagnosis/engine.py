"""The diagnosis from the first baseline run to the verdict: rounds of probes, a budget, and who gets more seeds.

Every round asks all rows what they want next, carries it out, and lets the rows look again; when nobody wants
anything the verdict is taken, and while it is a tie the rows in it get more seeds. All decisions follow from the
ledger (and, under a budget, from the clock), so that an interrupted diagnosis goes on where it was. Torch-free: a
ProbeRunner trains.
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Sequence

from sevenfold.diagnosis.advice import advise, sentence
from sevenfold.diagnosis.decide import Verdict, decide
from sevenfold.diagnosis.effects import Estimate, JointDraws, paired_mean
from sevenfold.diagnosis.facts import Facts
from sevenfold.diagnosis.ledger import BASELINE, LOSS, TEST_LOSS, Ledger, Probe, Setting
from sevenfold.diagnosis.pace import Pace
from sevenfold.diagnosis.probes import SELECTION, ProbeRunner, measurement
from sevenfold.diagnosis.result import Budget, Constraint, ConstraintName, Diagnosis, Effect
from sevenfold.diagnosis.rows import Case, Row, rows_for
from sevenfold.errors import RunError, UsageError
from sevenfold.runs.recipe import Recipe

OnEvent = Callable[[str, str, int, int, float | None], None]  # kind, label, runs done, runs planned, seconds left
MIN_SEEDS = 3
MORE_SEEDS = (5, 8, 12)  # measurement seeds of the rows in a tie: the verdict is looked at before each
EXTRA_RUNS = 40.0  # baseline runs that ties may take where no budget is given
DEFAULT_MIN_EFFECT = 0.01


def diagnose_recipe(
    recipe: Recipe,
    facts: Facts,
    runner: ProbeRunner,
    *,
    seeds: int = MIN_SEEDS,
    min_effect: float = DEFAULT_MIN_EFFECT,
    budget_s: float | None = None,
    random_seed: int = 0,
    on_event: OnEvent | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Diagnosis:
    """Diagnose a recipe: what binds, what it is worth, and what to do first.

    ``seeds`` measurement seeds a point (at least 3; ties get more), ``min_effect`` as a share of the baseline's
    loss, ``budget_s`` seconds for everything. Raises RunError when the baseline itself cannot be trained.
    """
    if seeds < MIN_SEEDS:
        raise UsageError("too few seeds for an interval", got=seeds, expected=f"{MIN_SEEDS} or more")
    if not 0 <= min_effect < 1:
        raise UsageError(
            "min_effect is a share of the loss", got=min_effect, expected="between 0 and 1", hint="0.01"
        )
    return _Engine(
        recipe,
        facts,
        runner,
        seeds,
        min_effect,
        Pace(budget_s, max(1, runner.workers), clock),
        random_seed,
        on_event,
    ).diagnose()


class _Engine:
    """One diagnosis under way."""

    def __init__(
        self, recipe: Recipe, facts: Facts, runner: ProbeRunner, seeds: int, min_effect: float,
        pace: Pace, random_seed: int, on_event: OnEvent | None,
    ) -> None:  # fmt: skip
        self.runner, self.on_event = runner, on_event
        self.pace = pace
        self.min_effect = min_effect
        self.ledger = Ledger(recipe)
        self.case = Case(recipe, facts, self.ledger, JointDraws(random_seed), seeds, min_effect)
        self.rows: dict[ConstraintName, Row] = {}
        self.dropped: dict[ConstraintName, str] = {}
        self.warnings: list[str] = []

    def diagnose(self) -> Diagnosis:
        self._first_baselines()
        self.rows = rows_for(self.case)
        if self.pace.limited and not self._fits(sum(row.forecast() for row in self.rows.values()) + MIN_SEEDS):
            self.case.frugal = True
            self.rows = rows_for(self.case)
        self._rounds()
        self._check_baseline(measurement(self.case.min_seeds))
        self._settle_ties()
        return self._result()

    # Running ---------------------------------------------------------------------------------------------------

    def _first_baselines(self) -> None:
        """The recipe as given, on the first seeds: if it cannot be trained there is nothing to diagnose."""
        self._carry_out([(BASELINE, seed) for seed in range(max(len(SELECTION), min(4, self.pace.workers)))])
        self._check_baseline(SELECTION)

    def _check_baseline(self, seeds: Sequence[int]) -> None:
        reason = self.ledger.failure(BASELINE, seeds)
        if reason is not None and len(self.ledger.values(BASELINE, seeds)) < 2:  # no interval without two
            raise RunError(
                "the baseline recipe cannot be trained, so there is nothing to compare with",
                got=reason, expected="a run that ends with a finite validation loss",
                hint=f"`sevenfold train {self.case.recipe.name}` to see it fail",
            )  # fmt: skip

    def _rounds(self) -> None:
        """Ask, run, look again, until no row wants anything that still fits."""
        while True:
            while batch := self._next_batch():
                self._carry_out(batch)
            returning = [name for name in self.dropped if self._fits(self.rows[name].forecast())]
            if not returning:
                return
            del self.dropped[returning[0]]  # what was left out for others fits after all

    def _next_batch(self) -> list[Probe]:
        """The baselines that the rows are paired with, then the rows' wishes by what they are worth knowing."""
        most = max((row.num_seeds for row in self.rows.values()), default=self.case.min_seeds)
        wanted = self.ledger.missing(BASELINE, [*SELECTION, *measurement(most)])
        if not self._fits(len(wanted)):
            return []
        reserved = float(len(wanted))
        for row in self._by_priority():
            if row.name in self.dropped:
                continue
            wishes = row.wants()
            needed = row.forecast()
            if wishes and not self._fits(reserved + needed):
                self.dropped[row.name] = "not reached within the budget"
                continue
            reserved += needed
            wanted += wishes
        return self._part(_unique(self.ledger, wanted))

    def _fits(self, units: float) -> bool:
        return self.pace.fits(units)

    def _part(self, probes: list[Probe]) -> list[Probe]:
        """All of a round, or under a budget a part that leaves time to look at the clock again."""
        if not self.pace.limited:
            return probes
        return probes[: max(2 * self.pace.workers, self.pace.affordable_part())]

    def _by_priority(self) -> list[Row]:
        """The row whose verdict is least certain and cheapest to learn first.

        Before anything is measured the train/validation gap orders them: a large gap speaks for data and
        regularization, a small one for compute, parameters and the learning rate.
        """
        gap = self._gap_share()
        first: dict[ConstraintName, float] = {
            "data": 0.2 + gap, "compute": 0.6 - 0.4 * gap, "parameters": 0.5 - 0.3 * gap, "optimization": 0.9,
            "architecture": 0.2,
        }  # fmt: skip
        return sorted(self.rows.values(), key=lambda row: -first.get(row.name, 0.0))

    def _gap_share(self) -> float:
        train, loss = self.case.summary_mean("final_train_loss_eval"), self.case.baseline_loss()
        return 0.5 if train is None or loss <= 0 else min(1.0, max(0.0, (loss - train) / loss))

    def _carry_out(self, probes: list[Probe]) -> None:
        labels = {self.ledger.run_id(one, seed): _label(one, seed) for one, seed in probes}
        costs = {self.ledger.run_id(one, seed): one.cost for one, seed in probes}
        pending = dict(costs)
        forecast = sum(row.forecast() for row in self.rows.values() if row.name not in self.dropped)
        later = max(0.0, forecast - sum(costs.values()))
        self.pace.start_batch()
        for outcome in self.runner.run([self.ledger.recipe(one, seed) for one, seed in probes]):
            self.ledger.add(outcome)
            key = outcome.recipe.run_id()
            self.pace.finished(pending.pop(key, 1.0), outcome)
            self._tell(labels.get(key, key), outcome.error, len(pending), sum(pending.values()), later)
        lost = [key for key in labels if key not in self.ledger]
        if lost:
            raise RunError("a probe came to no outcome", got=lost[0], expected="an outcome of every probe")

    def _tell(self, label: str, error: str | None, pending: int, units: float, later: float) -> None:
        if self.on_event is not None:
            kind = "probe" if error is None else "failed"
            planned = self.pace.num_done + pending + round(later)
            self.on_event(kind, label, self.pace.num_done, planned, self.pace.seconds_left(units + later))

    # Deciding --------------------------------------------------------------------------------------------------

    def _settle_ties(self) -> None:
        """More seeds for the rows that may be the best while the verdict is open and there is time."""
        spent = 0.0
        while contenders := self._contenders():
            goal = next((more for more in MORE_SEEDS if more > self._fewest_seeds(contenders)), None)
            while goal is not None and not self._affords(contenders, goal, spent):
                goal = goal - 1 if goal - 1 > self._fewest_seeds(contenders) else None
            if goal is None:
                return
            spent += self._cost_of(contenders, goal)
            for name in contenders:
                self.rows[name].ask(goal)
            self._rounds()

    def _fewest_seeds(self, names: Sequence[ConstraintName]) -> int:
        return min(self.rows[name].num_seeds for name in names)

    def _cost_of(self, names: Sequence[ConstraintName], goal: int) -> float:
        """Baseline runs that these rows cost up to ``goal`` seeds, with the baseline's own."""
        most = max(row.num_seeds for row in self.rows.values())
        own = {self.rows[name].measured_by(): max(0, goal - self.rows[name].num_seeds) for name in names}
        return max(0, goal - most) + sum(row.seed_cost() * more for row, more in own.items())

    def _affords(self, names: Sequence[ConstraintName], goal: int, spent: float) -> bool:
        cost = self._cost_of(names, goal)
        return self._fits(cost) if self.pace.limited else spent + cost <= EXTRA_RUNS

    def _contenders(self) -> tuple[ConstraintName, ...]:
        """The rows that more seeds could decide between; none when the verdict is clear."""
        estimates = self._estimates()
        verdict = self._verdict(estimates)
        largest = max((one.value for one in self._active(estimates).values()), default=0.0)
        if verdict.is_clear or largest < self._min_effect():
            return ()
        return verdict.tied

    def _estimates(self) -> dict[ConstraintName, Estimate]:
        found = {name: row.estimate() for name, row in self.rows.items()}
        return {name: estimate for name, estimate in found.items() if estimate is not None}

    def _active(self, estimates: dict[ConstraintName, Estimate]) -> dict[ConstraintName, Estimate]:
        return {name: one for name, one in estimates.items() if self.rows[name].active()}

    def _verdict(self, estimates: dict[ConstraintName, Estimate]) -> Verdict:
        return decide(self._active(estimates), self._min_effect(), self.case.draws, len(estimates))

    def _min_effect(self) -> float:
        return self.min_effect * abs(self.case.baseline_loss())

    # Telling ---------------------------------------------------------------------------------------------------

    def _result(self) -> Diagnosis:
        estimates = self._estimates()
        verdict = self._verdict(estimates)
        rows = {name: self._constraint(name, verdict, len(estimates)) for name in self.rows}
        advice = advise(rows, self._gains(LOSS, len(estimates)), self._gains(TEST_LOSS, len(estimates)))
        seeds = self.case.baseline_seeds()
        losses = self.ledger.values(BASELINE, seeds)
        baseline = self.ledger.outcome(BASELINE, seeds[0])
        assert baseline is not None
        assert baseline.record is not None
        return Diagnosis(
            recipe=self.case.recipe.to_dict(), recipe_name=self.case.recipe.name,
            created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            sentence=sentence(verdict.binding, rows, advice, self._min_effect(), self._caveats(rows)),
            binding=list(verdict.binding), min_effect=self._min_effect(),
            baseline_loss=paired_mean(losses, self.case.draws).effect(),
            baseline_test_loss=self.case.summary_mean(TEST_LOSS),
            baseline_accuracy=self.case.summary_mean("validation_accuracy"),
            baseline_runs=self.ledger.runs(BASELINE, seeds), stopped_by=self.case.stopped_by(), constraints=rows,
            advice=advice, roofline=self.case.facts.step.roofline if self.case.facts.step else None,
            budget=self._budget(rows), provenance=dict(baseline.record.provenance), warnings=self._warnings(seeds),
        )  # fmt: skip

    def _gains(self, key: str, num_compared: int) -> dict[ConstraintName, Effect]:
        """What the exact change of each row gains on one split."""
        found = {name: row.change_gain(key) for name, row in self.rows.items()}
        return {name: one.effect(num_compared) for name, one in found.items() if one is not None}

    def _constraint(self, name: ConstraintName, verdict: Verdict, num_compared: int) -> Constraint:
        row = self.rows[name].constraint(num_compared)
        return row.model_copy(update={"p_best": verdict.p_best.get(name)})

    def _caveats(self, rows: dict[ConstraintName, Constraint]) -> list[str]:
        notes = []
        for method, text in (("not reached", "not reached within the budget"), ("failed", "failed")):
            names = [name for name, row in rows.items() if row.method == method]
            if names:
                notes.append(f"{', '.join(names)} {text}")
        return notes

    def _budget(self, rows: dict[ConstraintName, Constraint]) -> Budget:
        return Budget(
            seconds=self.pace.budget_s, used_s=self.pace.used_s(), num_runs=self.pace.num_done,
            num_reused=self.pace.num_reused,
            baseline_run_s=self.ledger.seconds(BASELINE, self.case.baseline_seeds()) or self.pace.unit_s(),
            not_reached=[name for name, row in rows.items() if row.method == "not reached"],
        )  # fmt: skip

    def _warnings(self, seeds: Sequence[int]) -> list[str]:
        found = list(self.warnings)
        failure = self.ledger.failure(BASELINE, range(self.ledger.num_seeds))
        if failure is not None:
            found.append(f"the baseline failed on some seeds, which are left out: {failure}")
        return found


def _unique(ledger: Ledger, probes: Sequence[Probe]) -> list[Probe]:
    """Each run once, in the order given."""
    found: dict[str, Probe] = {}
    for setting, seed in probes:
        found.setdefault(ledger.run_id(setting, seed), (setting, seed))
    return list(found.values())


def _label(setting: Setting, seed: int) -> str:
    what = BASELINE.lever if setting is BASELINE else f"{setting.lever}={setting.label}"
    return f"{what}, seed {seed}"


__all__ = ["DEFAULT_MIN_EFFECT", "MIN_SEEDS", "Effect", "OnEvent", "diagnose_recipe"]
