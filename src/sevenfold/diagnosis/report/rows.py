"""A diagnosis as texts: the seven rows, the advice and the facts that the terminal and the page both show.

What is said is decided here once; how it looks is decided by ``table`` and ``page``. Knows no colours, no markup.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Literal

from sevenfold.diagnosis.result import CONSTRAINTS, Advice, Constraint, ConstraintName, Diagnosis, Effect, Method
from sevenfold.diagnosis.showing import (
    is_significant,
    ranked_effect,
    shown_effect,
    shown_probability,
    shown_value,
)
from sevenfold.units import SECONDS, show

State = Literal["binding", "significant", "quiet", "missing"]
NOTHING = "—"


@dataclass(frozen=True)
class Row:
    """One constraint, ready to be shown."""

    name: ConstraintName
    constraint: Constraint
    state: State
    limit: str
    usage: str
    slack: str
    shadow_price: str
    headroom: str
    worth: Effect | None  # what the row is ranked by
    worth_text: str
    relief: str  # what `worth` is the worth of: "if doubled", "at the best setting", ..., "were it active"
    p_best: str
    command: str | None

    @property
    def method(self) -> Method:
        return self.constraint.method


def rows_of(diagnosis: Diagnosis) -> list[Row]:
    """The seven rows, in the order of the constraints."""
    return [_row(diagnosis, name) for name in CONSTRAINTS]


def by_worth(rows: list[Row]) -> list[Row]:
    """Rows with an effect first, largest first; the others in their own order."""
    return sorted(rows, key=lambda row: (row.worth is None, -row.worth.value if row.worth else 0.0))


def _row(diagnosis: Diagnosis, name: ConstraintName) -> Row:
    constraint = diagnosis.constraints[name]
    worth = ranked_effect(constraint)
    return Row(
        name=name,
        constraint=constraint,
        state=_state(diagnosis, constraint, worth),
        limit=constraint.limit.text if constraint.limit else NOTHING,
        usage=constraint.usage.text if constraint.usage else NOTHING,
        slack=_slack(constraint),
        shadow_price=shown_effect(constraint.shadow_price) if constraint.shadow_price else NOTHING,
        headroom=shown_effect(constraint.headroom) if constraint.headroom else NOTHING,
        worth=worth,
        worth_text=shown_effect(worth) if worth else NOTHING,
        relief=_relief(constraint, worth),
        p_best=shown_probability(constraint.p_best) if constraint.p_best is not None else NOTHING,
        command=command_for(diagnosis, constraint.change),
    )


def _state(diagnosis: Diagnosis, constraint: Constraint, worth: Effect | None) -> State:
    if constraint.name in diagnosis.binding:
        return "binding"
    if worth is None:
        return "missing"
    return "significant" if is_significant(worth) and _counts(constraint) else "quiet"


def _counts(constraint: Constraint) -> bool:
    """A hard constraint with slack is worth nothing now, whatever its price would be."""
    return constraint.active or constraint.kind == "lever"


def _relief(constraint: Constraint, worth: Effect | None) -> str:
    if worth is None:
        return ""
    if worth is constraint.headroom:
        factor = constraint.headroom_factor
        text = "at the best setting" if factor is None else f"at the bound, ×{factor:.2g}"
    else:
        text = "if doubled"
    return text if _counts(constraint) else f"{text}, were it active"


def _slack(constraint: Constraint) -> str:
    if constraint.slack is None:
        return NOTHING
    if constraint.slack_share is None:
        return constraint.slack.text
    if constraint.slack_share == 0:
        return "none"
    part = share(constraint.slack_share)
    # A text that is a share itself is not said twice.
    return f"{part} left" if "%" in constraint.slack.text else f"{constraint.slack.text} ({part})"


def share(part: float) -> str:
    """A share as a whole percentage, never rounded to all or nothing.

    >>> share(0.664), share(0.99999), share(0.001), share(-0.2)
    ('66%', '>99%', '<1%', '-20%')
    """
    return f"{100 * part:.0f}%" if part in (0, 1) or part < 0 else shown_probability(part)


def command_for(diagnosis: Diagnosis, change: str | None) -> str | None:
    """The command line that carries out a change; None for a model given in Python, where there is none.

    A diagnosis that began with its own ``--set`` keeps the full command under provenance ``train_command``.
    """
    if change is None or not change.startswith("--"):
        return None
    base = diagnosis.provenance.get("train_command")
    if not isinstance(base, str):
        model = diagnosis.recipe.get("model")
        if isinstance(model, dict) and str(model.get("name", "")).startswith("custom/"):
            return None
        base = f"sevenfold train {shlex.quote(diagnosis.recipe_name)}"
    return _merged(base, change)


def _merged(command: str, change: str) -> str:
    """The command with the change's settings in place of its own for the same keys.

    >>> _merged("sevenfold train digits-cnn --set steps=150", "--set steps=300")
    'sevenfold train digits-cnn --set steps=300'
    """
    settings: dict[str, str] = {}
    kept: list[str] = []
    try:
        words = iter(shlex.split(f"{command} {change}"))
    except ValueError:  # a text that no shell would read is shown as it is
        return f"{command} {change}"
    for word in words:
        if word == "--set":
            assignment = next(words, "")
            settings[assignment.partition("=")[0]] = assignment
        else:
            kept.append(word)
    return " ".join([*map(shlex.quote, kept), *(f"--set {shlex.quote(one)}" for one in settings.values())])


def advice_parts(advice: Advice) -> tuple[str, str]:
    """What to do, and what it brings: an advice's text says both, ``do this: 0.012 ± 0.004 nats lower``."""
    shown = shown_effect(advice.gain)
    what, found, gain = advice.text.partition(f": {shown}")
    gain = f"{shown}{gain}" if found else f"{shown} {advice.gain.unit} lower"
    if advice.test_gain is not None:
        gain += f"; on the test split {shown_effect(advice.test_gain)}"
    if what.startswith("--set "):
        what = "set " + what.removeprefix("--set ").replace(" --set ", " and ")
    return what[:1].upper() + what[1:], gain


def budget_text(diagnosis: Diagnosis) -> str:
    """``64 runs (3 reused) in 2 min 51 s of 4 min; one baseline run takes 4.1 s``."""
    budget = diagnosis.budget
    reused = f" ({budget.num_reused} reused)" if budget.num_reused else ""
    allowed = f" of {seconds(budget.seconds)}" if budget.seconds is not None else ""
    noun = "run" if budget.num_runs == 1 else "runs"
    return (
        f"{budget.num_runs} {noun}{reused} in {seconds(budget.used_s)}{allowed}; "
        f"one baseline run takes {seconds(budget.baseline_run_s)}"
    )


def min_effect_text(diagnosis: Diagnosis) -> str:
    """The smallest effect that counts, to two digits."""
    return shown_value(diagnosis.min_effect, 0.3 * diagnosis.min_effect)


def seconds(value: float) -> str:
    """A time to two digits, or minutes and seconds."""
    return show(value, SECONDS, digits=2 if value < 10 else 3)


def facts_of(diagnosis: Diagnosis) -> list[tuple[str, str]]:
    """The baseline and the budget as (label, value), for the strip under the sentence."""
    loss = diagnosis.baseline_loss
    facts = [("validation loss", f"{shown_effect(loss)} {loss.unit}")]
    if diagnosis.baseline_test_loss is not None:
        facts.append(("test loss", shown_value(diagnosis.baseline_test_loss, (loss.high - loss.low) / 2)))
    if diagnosis.baseline_accuracy is not None:
        facts.append(("accuracy", accuracy(diagnosis.baseline_accuracy)))
    facts.append(("stopped by", diagnosis.stopped_by))
    budget = diagnosis.budget
    reused = f", {budget.num_reused} reused" if budget.num_reused else ""
    facts.append(("runs", f"{budget.num_runs}{reused}"))
    allowed = f" of {seconds(budget.seconds)}" if budget.seconds is not None else ""
    facts.append(("time", f"{seconds(budget.used_s)}{allowed}"))
    return facts


def accuracy(value: float) -> str:
    """Whole percent; one decimal above 99%, where the errors are what counts.

    >>> accuracy(0.9694), accuracy(0.9983), accuracy(1.0)
    ('97%', '99.8%', '100%')
    """
    return f"{100 * value:.0f}%" if value < 0.99 or value == 1 else f"{100 * value:.1f}%"
