"""Where the data, the machine and the numbers came from, as tables of (label, value); whatever the record holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from sevenfold.diagnosis.report.rows import min_effect_text, seconds, share
from sevenfold.diagnosis.result import Diagnosis
from sevenfold.units import BYTES, BYTES_PER_SECOND, FLOPS_PER_SECOND, JOULES, SECONDS, USD, WATTS, Unit, show

# Quantities carry their unit in their names; here the names are read. Longer endings first.
_UNITS: tuple[tuple[str, Unit], ...] = (
    ("_bytes_per_s", BYTES_PER_SECOND),
    ("_flops_per_s", FLOPS_PER_SECOND),
    ("_bytes", BYTES),
    ("_seconds", SECONDS),
    ("_usd", USD),
    ("_j", JOULES),
    ("_w", WATTS),
    ("_s", SECONDS),
)
_TITLES = {
    "data": "Data",
    "dataset": "Data",
    "machine": "Machine",
    "environment": "Machine",
    "versions": "Versions",
}
_LABELS = {"sha256": "SHA-256", "num_examples": "examples", "num_train_examples": "training examples"}


class Entry(NamedTuple):
    """One line of a table; ``is_code`` for hashes, ids and settings."""

    label: str
    value: str
    is_code: bool


def provenance_tables(diagnosis: Diagnosis) -> list[tuple[str, list[Entry]]]:
    """Tables with titles: data, machine, versions and so on as recorded; then the recipe and the baseline."""
    tables: list[tuple[str, list[Entry]]] = []
    loose: list[Entry] = []
    recorded: Mapping[str, object] = diagnosis.provenance
    if "sha256" in recorded and "source" in recorded:  # of the data set alone
        recorded = {"data": recorded}
    for key, value in recorded.items():
        if key == "train_command":
            continue  # shown with each advice
        if isinstance(value, Mapping):
            entries = _entries(value)
            if entries:
                tables.append((_TITLES.get(key, _label(key).capitalize()), entries))
        else:
            loose += _entries({key: value})
    tables.append(("Recipe", _recipe(diagnosis)))
    tables.append(("This diagnosis", [*loose, *_own(diagnosis)]))
    return tables


def _recipe(diagnosis: Diagnosis) -> list[Entry]:
    return [entry._replace(is_code=True) for entry in _entries(diagnosis.recipe, dotted=True)]


def _own(diagnosis: Diagnosis) -> list[Entry]:
    budget = diagnosis.budget
    return [
        Entry("baseline runs", ", ".join(diagnosis.baseline_runs), True),
        Entry("budget", "none stated" if budget.seconds is None else seconds(budget.seconds), False),
        Entry("smallest effect that counts", f"{min_effect_text(diagnosis)} {diagnosis.baseline_loss.unit}", False),
        Entry("schema", diagnosis.schema_version, False),
    ]


def _entries(values: Mapping[str, object], prefix: str = "", *, dotted: bool = False) -> list[Entry]:
    entries: list[Entry] = []
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            entries += _entries(value, f"{name}." if dotted else f"{name} ", dotted=dotted)
        elif value is not None and value != "":
            label = name if dotted else _label(name)
            entries.append(Entry(label, _value(str(key), value), key.endswith(("sha256", "_id"))))
    return entries


def _label(name: str) -> str:
    if name in _LABELS:
        return _LABELS[name]
    for ending, _ in _UNITS:
        name = name.removesuffix(ending)
    return name.replace("_", " ")


def _value(key: str, value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, float)):
        if key.endswith(("_share", "_fraction")) and 0 <= value <= 1:
            return share(float(value))
        for ending, unit in _UNITS:
            if key.endswith(ending):
                return show(float(value), unit)
        if isinstance(value, float):
            return f"{value:g}"
        return f"{value:,}" if value >= 10_000 else str(value)
    if isinstance(value, (list, tuple)):
        return ", ".join(_value(key, item) for item in value)
    return str(value)
