"""Compute efficiency: the share of the attainable arithmetic rate that the training step reaches.

The factor that remains, 1/eta, is more steps in the same time; the compute curve turns them into loss. The roofline
of the operator graph on the calibrated chip comes in with the facts; nothing is measured here.
"""

from __future__ import annotations

from sevenfold.diagnosis.effects import Estimate
from sevenfold.diagnosis.ledger import Probe
from sevenfold.diagnosis.result import Amount, Constraint, ConstraintName
from sevenfold.diagnosis.rows._row import Case, Row, amounts, times_text
from sevenfold.diagnosis.rows.compute import LARGEST_FACTOR, MEASURED_FACTOR, Compute
from sevenfold.units import FLOPS_PER_SECOND, show


class Efficiency(Row):
    """What software at the roofline would be worth."""

    name: ConstraintName = "efficiency"

    def __init__(self, case: Case, compute: Compute) -> None:
        super().__init__(case)
        self.compute = compute

    def unavailable(self) -> str | None:
        if self.case.facts.step is None:
            return self.case.facts.no_step_reason
        return self.compute.unavailable()

    def measured_by(self) -> Row:
        return self.compute

    def ask(self, num_seeds: int) -> None:
        super().ask(num_seeds)
        self.compute.ask(num_seeds)

    def wants(self) -> list[Probe]:
        return []  # the compute row's probes serve this one

    def forecast(self) -> float:
        return 0.0

    def seed_cost(self) -> float:
        return self.compute.seed_cost()

    def factor(self) -> float:
        """How many times faster the chip could step."""
        step = self.case.facts.step
        assert step is not None
        return max(1.0, step.measured_step_s / step.attainable_step_s)

    def estimate(self) -> Estimate | None:
        return None if self.unavailable() else self.compute.gain_at(self.factor())

    def constraint(self, num_compared: int) -> Constraint:
        if reason := self.unavailable():
            return self.blank("unavailable", reason)
        step = self.case.facts.step
        assert step is not None
        estimate, factor = self.estimate(), self.factor()
        best, reached = step.step_flops / step.attainable_step_s, step.step_flops / step.measured_step_s
        limit = Amount(value=best, unit="FLOP/s", text=show(best, FLOPS_PER_SECOND))
        usage = Amount(value=min(best, reached), unit="FLOP/s", text=show(reached, FLOPS_PER_SECOND))
        fields = {**amounts(limit, usage), "headroom_factor": factor}
        if estimate is None:
            settings = [self.compute.half, self.compute.double]
            return self.missing_row(settings, **fields)
        used = min(factor, LARGEST_FACTOR)
        why = (
            f"the training step takes {times_text(factor)} as the roofline of its operators on {step.chip} "
            f"allows; that many more steps in the same time, through the compute curve"
        )
        if used > MEASURED_FACTOR:
            why += f", an extrapolation beyond twice the steps (taken to {used:.2g} times)"
        evidence = self.evidence([self.compute.half, self.compute.double], self.compute.seeds)
        return self.row(estimate.effect(num_compared), "predicted", why, evidence=evidence, **fields)
