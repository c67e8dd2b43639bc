"""What to do, in order, and the first sentence of every report.

Levers that are free come first, the largest first; then what has to be bought, by nats per dollar where a price is
known, else per doubling. Advice is given only where the simultaneous interval lies above zero, and promises no more
digits than the interval supports.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sevenfold.diagnosis.result import TITLES, Advice, Constraint, ConstraintName, Effect
from sevenfold.diagnosis.showing import ranked_effect, shown_effect, shown_value

_DOUBLED: dict[ConstraintName, str] = {
    "data": "doubling the training set",
    "parameters": "doubling the parameters",
    "compute": "doubling the training steps",
    "energy": "doubling the joules",
}
_PULLED: dict[ConstraintName, str] = {
    "optimization": "better training settings",
    "architecture": "another architecture at equal MACs",
    "efficiency": "a training step at the chip's roofline, in the same time,",
}


def advise(
    rows: Mapping[ConstraintName, Constraint],
    gains: Mapping[ConstraintName, Effect],
    tests: Mapping[ConstraintName, Effect],
) -> list[Advice]:
    """Advice from the rows with a significant effect.

    ``gains`` has what the exact change of a row gained on the validation split, ``tests`` on the test split.
    """
    found = [one for row in rows.values() if (one := _advice(row, gains, tests)) is not None]
    free = sorted((one for one in found if one.kind == "free"), key=lambda one: -one.gain.value)
    priced = {row.name: row.per_usd for row in rows.values() if row.per_usd is not None}
    worth = {row.name: 0.0 if (effect := ranked_effect(row)) is None else effect.value for row in rows.values()}
    buy = sorted(
        (one for one in found if one.kind == "buy"),
        key=lambda one: (-priced.get(one.constraint, 0.0), -worth[one.constraint]),
    )
    return [*free, *buy]


def _advice(
    row: Constraint, gains: Mapping[ConstraintName, Effect], tests: Mapping[ConstraintName, Effect]
) -> Advice | None:
    ranked = ranked_effect(row)
    unused = row.name == "data" and row.change is not None
    if ranked is None or ranked.simultaneous_low <= 0 or not (row.active or unused):
        return None
    gain = gains.get(row.name, ranked) if row.change else ranked
    return Advice(
        constraint=row.name, kind="free" if row.name in _PULLED or unused else "buy",
        text=_text(row, shown_effect(gain), unused), change=row.change, gain=gain, test_gain=tests.get(row.name),
        evidence=row.evidence,
    )  # fmt: skip


def _text(row: Constraint, gain: str, unused: bool) -> str:
    if unused:
        return f"use the examples that are there, {row.change}: {gain} nats lower"
    if row.name == "efficiency":
        factor = "" if row.headroom_factor is None else f" (up to {row.headroom_factor:.2g} times faster)"
        return f"make the training step faster{factor} and spend the time on steps: {gain} nats lower, predicted"
    if row.name in _PULLED:
        return f"{row.change}: {gain} nats lower, at no extra resource"
    if row.name == "parameters":
        return f"a larger model, {row.change}: {gain} nats lower"
    how = f" ({row.change})" if row.change else ""
    told = ", predicted by the fitted law" if row.method == "predicted" else ""
    return f"{_DOUBLED[row.name]}{how}: {gain} nats lower{told}"


def sentence(
    binding: Sequence[ConstraintName], rows: Mapping[ConstraintName, Constraint], advice: Sequence[Advice],
    min_effect: float, caveats: Sequence[str] = (),
) -> str:  # fmt: skip
    """The first sentence: what binds, what relieving it is worth, and what to do first."""
    note = f" ({'; '.join(caveats)})" if caveats else ""
    if not binding:
        known = [row for row in rows.values() if row.active and ranked_effect(row) is not None]
        if not known:
            return f"No verdict: no effect was measured{note}."
        # Who has not looked everywhere does not know the floor.
        whole = all(row.method not in ("not reached", "failed") for row in rows.values())
        floor = "Nothing binds at this size: the recipe is at its floor"
        first = floor if whole else "Nothing that was measured binds"
        return f"{first}{_largest(known, min_effect)}{note}{_first_step(binding, advice)}."
    if len(binding) == 1:
        return f"{_name(binding[0])} binds: {_worth(rows[binding[0]])}{note}{_first_step(binding, advice)}."
    names = [TITLES[name] for name in binding]
    listed = f"{', '.join(names[:-1])} and {names[-1]}"
    worths = "; ".join(_worth(rows[name]) for name in binding)
    return f"{listed[0].upper()}{listed[1:]} tie within the noise: {worths}{note}{_first_step(binding, advice)}."


def _largest(rows: Sequence[Constraint], min_effect: float) -> str:
    """How little is surely there, and what the largest effect measured is."""
    effects = [(effect, row) for row in rows if (effect := ranked_effect(row)) is not None]
    effect, row = max(effects, key=lambda pair: pair[0].value)
    smallest = shown_value(min_effect, min_effect * 0.3)
    return (
        f" (no effect is surely above {smallest} nats; the largest, {TITLES[row.name]}, is {shown_effect(effect)})"
    )


def _name(name: ConstraintName) -> str:
    title = TITLES[name]
    return title[0].upper() + title[1:]


def _worth(row: Constraint) -> str:
    effect = ranked_effect(row)
    assert effect is not None
    what = _DOUBLED.get(row.name) or _PULLED[row.name]
    if row.name == "architecture":
        # Ranked at equally tuned rates, which is less than what the change gains where the recipe's rate is off.
        return f"{row.change} is {shown_effect(effect)} nats better at equally tuned rates"
    if row.name == "optimization":
        what = str(row.change)
    told = {"predicted": " (extrapolated by the fitted law)", "modelled": " (modelled)"}.get(row.method, "")
    if row.name == "efficiency":
        told = " (predicted through the compute curve)"
    return f"{what} would lower validation loss by {shown_effect(effect)} nats{told}"


def _first_step(binding: Sequence[ConstraintName], advice: Sequence[Advice]) -> str:
    """The first free lever, unless the sentence has just named it alone."""
    lever = next((one for one in advice if one.kind == "free"), None)
    if lever is None or tuple(binding) == (lever.constraint,):
        return ""
    what = lever.change or lever.text
    return f"; first pull the {TITLES[lever.constraint]} lever: {what} gains {shown_effect(lever.gain)} nats"
