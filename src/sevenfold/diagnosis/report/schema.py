"""The JSON schema of a diagnosis, in a form that does not depend on the version of pydantic that made it.

``python -m sevenfold.diagnosis.report.schema docs/diagnosis-schema.json`` writes it; a test compares the file with
the model, and holds a fingerprint a version: a changed schema needs a new SCHEMA_VERSION.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

from sevenfold.diagnosis.result import CONSTRAINTS, SCHEMA_VERSION, Diagnosis

# What versions of pydantic write differently and what says nothing about the data.
_LEFT_OUT = ("title", "default")


def schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of what ``sevenfold diagnose --json`` prints."""
    made = _plain(Diagnosis.model_json_schema(mode="serialization"))
    made["properties"]["constraints"] = {
        "type": "object",
        "properties": {name: {"$ref": "#/$defs/Constraint"} for name in CONSTRAINTS},
        "required": list(CONSTRAINTS),
        "additionalProperties": False,
    }
    made["properties"]["schema_version"] = {"const": SCHEMA_VERSION}
    for record in (made, *made["$defs"].values()):
        if "properties" in record:  # every key is always written, defaults too
            record["required"] = list(record["properties"])
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"Sevenfold diagnosis {SCHEMA_VERSION}",
        **made,
    }


def schema_text() -> str:
    """The schema as the file holds it."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def fingerprint() -> str:
    """SHA-256 of what the schema says about the data: not of its descriptions, nor of its version."""
    bare = schema()
    bare["properties"].pop("schema_version")
    bare.pop("title")
    for record in (bare, *bare["$defs"].values()):
        record.pop("description", None)
    return hashlib.sha256(json.dumps(bare, sort_keys=True).encode()).hexdigest()


def _plain(node: Any) -> Any:
    if isinstance(node, list):
        return [_plain(item) for item in node]
    if not isinstance(node, dict):
        return node
    made = {}
    for key, value in node.items():
        if key == "properties":
            made[key] = {name: _plain(one) for name, one in value.items()}
        elif key not in _LEFT_OUT and not (key == "additionalProperties" and value is True):
            made[key] = _plain(value)
    if "const" in made:  # older versions write a single literal as an enum too
        made.pop("enum", None)
        made.pop("type", None)
    return made


if __name__ == "__main__":
    text = schema_text()
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(text, "utf-8")
    else:
        sys.stdout.write(text)
