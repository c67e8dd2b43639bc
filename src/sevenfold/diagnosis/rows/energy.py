"""Energy: joules a training step, against the least the same operators could take on this chip.

Active only where a limit in joules was stated and stopped the run; otherwise the row says what the price would be.
Joules turn into steps, and steps into loss through the compute curve.
"""

from __future__ import annotations

from sevenfold.diagnosis.effects import Estimate
from sevenfold.diagnosis.ledger import Probe
from sevenfold.diagnosis.result import Amount, Constraint, ConstraintName
from sevenfold.diagnosis.rows._row import Case, Row, amounts
from sevenfold.diagnosis.rows.compute import LARGEST_FACTOR, MEASURED_FACTOR, Compute
from sevenfold.units import JOULES, show


class Energy(Row):
    """What another doubling of the joules would be worth, and the factor up to the chip's best."""

    name: ConstraintName = "energy"

    def __init__(self, case: Case, compute: Compute) -> None:
        super().__init__(case)
        self.compute = compute

    def unavailable(self) -> str | None:
        if self.case.facts.energy is None:
            return self.case.facts.no_energy_reason
        return self.compute.unavailable()

    def active(self) -> bool:
        return self.unavailable() is None and self.case.stopped_by() == "energy"

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
        """How many times fewer joules the same step could take."""
        energy = self.case.facts.energy
        assert energy is not None
        return max(1.0, energy.joules_per_step / energy.bound_joules_per_step)

    def estimate(self) -> Estimate | None:
        """Twice the joules are twice the steps."""
        return None if self.unavailable() else self.compute.estimate()

    def constraint(self, num_compared: int) -> Constraint:
        if reason := self.unavailable():
            return self.blank("unavailable", reason)
        energy = self.case.facts.energy
        assert energy is not None
        factor, estimate = self.factor(), self.estimate()
        fields = {**self._amounts(), "headroom_factor": factor}
        if estimate is None:
            return self.missing_row([self.compute.half, self.compute.double], **fields)
        headroom = self.compute.gain_at(factor)
        used = min(factor, LARGEST_FACTOR)
        why = (
            f"{show(energy.joules_per_step, JOULES)} a step ({energy.method}, {energy.source}), "
            f"{factor:,.0f} times the chip's best; joules become steps, and steps loss through the compute curve"
        )
        if used > MEASURED_FACTOR:
            why += f", the headroom extrapolated to {used:.2g} times"
        if not self.active():
            why = "no limit in joules stopped the run; what the price would be: " + why
        evidence = self.evidence([self.compute.half, self.compute.double], self.compute.seeds)
        return self.row(
            estimate.effect(num_compared), energy.method, why, evidence=evidence,
            headroom=None if headroom is None else headroom.effect(num_compared), **fields,
        )  # fmt: skip

    def _amounts(self) -> dict[str, object]:
        energy, limit_j = self.case.facts.energy, self.case.recipe.limits.energy_j
        assert energy is not None
        steps = self.case.summary_mean("steps") or float(self.case.recipe.steps)
        used_j = self.case.summary_mean("energy_j") or energy.joules_per_step * steps
        usage = Amount(value=used_j, unit="J", text=show(used_j, JOULES))
        if limit_j is None:
            return amounts(None, usage)
        usage = usage.with_changes({"value": min(used_j, limit_j)}) if self.active() else usage
        return amounts(Amount(value=limit_j, unit="J", text=show(limit_j, JOULES)), usage)
