"""The seven rows: each says which probes it wants next, and turns their outcomes into its row of the result."""

from __future__ import annotations

from sevenfold.diagnosis.result import ConstraintName
from sevenfold.diagnosis.rows._row import Case, Row
from sevenfold.diagnosis.rows.architecture import Architecture
from sevenfold.diagnosis.rows.compute import Compute
from sevenfold.diagnosis.rows.data import Data
from sevenfold.diagnosis.rows.efficiency import Efficiency
from sevenfold.diagnosis.rows.energy import Energy
from sevenfold.diagnosis.rows.optimization import Optimization
from sevenfold.diagnosis.rows.parameters import Parameters

__all__ = ["Case", "Row", "rows_for"]


def rows_for(case: Case) -> dict[ConstraintName, Row]:
    """One row a constraint, in the order of the result."""
    compute = Compute(case)
    rows: tuple[Row, ...] = (
        Data(case), Parameters(case), Optimization(case), Architecture(case), compute,
        Efficiency(case, compute), Energy(case, compute),
    )  # fmt: skip
    return {row.name: row for row in rows}
