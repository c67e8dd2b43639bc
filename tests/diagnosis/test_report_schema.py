"""The JSON schema is committed, true of real diagnoses, and versioned."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import example_verdicts
import pytest

from sevenfold.diagnosis.report.schema import fingerprint, schema, schema_text
from sevenfold.diagnosis.result import CONSTRAINTS, SCHEMA_VERSION, Diagnosis

COMMITTED = Path(__file__).parents[2] / "docs" / "diagnosis-schema.json"

# One fingerprint a version. A schema that differs from its version's fingerprint needs a new version, and a new
# line here: whoever reads the JSON goes by the version.
FINGERPRINTS = {"1.0": "311ea263679cc76878b2d8e325f1d9bd371dcee6182b03ace2fcbeff4ae63570"}


def test_a_changed_schema_has_a_new_version() -> None:
    assert SCHEMA_VERSION in FINGERPRINTS, f"add the fingerprint of {SCHEMA_VERSION}: {fingerprint()}"
    assert fingerprint() == FINGERPRINTS[SCHEMA_VERSION], "the schema changed: raise SCHEMA_VERSION in result.py"


def test_the_committed_schema_is_the_models() -> None:
    assert COMMITTED.read_text("utf-8") == schema_text(), (
        "stale: python -m sevenfold.diagnosis.report.schema docs/diagnosis-schema.json"
    )


def test_the_contract_for_machines() -> None:
    made = schema()
    assert made["properties"]["binding"]["type"] == "array"
    assert made["properties"]["binding"]["items"]["enum"] == list(CONSTRAINTS)
    constraints = made["properties"]["constraints"]
    assert constraints["required"] == list(CONSTRAINTS) == list(constraints["properties"])
    assert len(constraints["required"]) == 7
    assert constraints["additionalProperties"] is False
    promised = {"limit", "usage", "slack", "headroom", "shadow_price", "interval", "evidence", "method"}
    assert promised <= set(made["$defs"]["Constraint"]["required"])


@pytest.mark.parametrize("name", example_verdicts.ALL)
def test_diagnoses_follow_the_schema_and_come_back(name: str) -> None:
    diagnosis = example_verdicts.ALL[name]()
    data = json.loads(json.dumps(diagnosis.to_dict(), allow_nan=False))
    assert faults(data, schema(), schema()["$defs"]) == []
    assert Diagnosis.from_dict(data) == diagnosis


def test_faults_are_found() -> None:
    """The small validator of this file is no yes-man."""
    data = example_verdicts.data_binds().to_dict()
    made = schema()
    del data["constraints"]["energy"]
    assert faults(data, made, made["$defs"]) == ["constraints: lacks energy"]
    data = example_verdicts.data_binds().to_dict()
    data["constraints"]["data"]["method"] = "guessed"
    data["binding"] = ["money"]
    data["advice"][0]["gain"]["low"] = "0.1"
    assert len(faults(data, made, made["$defs"])) == 3


def faults(value: Any, rule: dict[str, Any], defs: dict[str, Any], where: str = "") -> list[str]:
    """What of the value the schema does not allow; for the keywords that our schema uses, and no others."""
    known = {"$ref", "$defs", "$schema", "title", "description", "type", "properties", "required", "items", "enum"}
    assert set(rule) <= known | {"additionalProperties", "anyOf", "const", "propertyNames"}, rule
    if "$ref" in rule:
        return faults(value, defs[rule["$ref"].rpartition("/")[2]], defs, where)
    if "anyOf" in rule:
        return (
            []
            if any(not faults(value, one, defs, where) for one in rule["anyOf"])
            else [f"{where}: no choice fits"]
        )
    if "const" in rule:
        return [] if value == rule["const"] else [f"{where}: not {rule['const']}"]
    if "enum" in rule and value not in rule["enum"]:
        return [f"{where}: {value} is not allowed"]
    if "type" in rule and not _is_type(value, rule["type"]):
        return [f"{where}: not of type {rule['type']}"]
    found: list[str] = []
    if isinstance(value, dict):
        found += [f"{where}: lacks {key}" for key in rule.get("required", []) if key not in value]
        for key, item in value.items():
            if key in rule.get("properties", {}):
                found += faults(item, rule["properties"][key], defs, f"{where}.{key}".lstrip("."))
            elif rule.get("additionalProperties") is False:
                found.append(f"{where}: does not know {key}")
    elif isinstance(value, list) and "items" in rule:
        for number, item in enumerate(value):
            found += faults(item, rule["items"], defs, f"{where}[{number}]")
    return found


def _is_type(value: Any, name: str) -> bool:
    if isinstance(value, bool):
        return name == "boolean"
    kinds: dict[str, Any] = {
        "object": dict, "array": list, "string": str, "integer": int, "number": (int, float), "null": type(None),
    }  # fmt: skip
    return name in kinds and isinstance(value, kinds[name])
