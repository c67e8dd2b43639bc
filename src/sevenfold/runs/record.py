"""The record of a run, as readers get it: what was run, on what, how it stands, and what came out.

It knows nothing of how it is stored.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict, Field

from sevenfold.runs.recipe import Recipe
from sevenfold.spec import Spec

RunState = Literal["running", "finished", "failed", "interrupted"]


class RunRecord(Spec):
    """A recipe carried out, and what it left.

    ``running`` means that the writing process is alive; a run whose process died reads ``interrupted``.
    """

    # A diverged run ends with losses that are not finite; they are kept as they were.
    model_config = ConfigDict(allow_inf_nan=True)

    id: str
    recipe_name: str
    recipe: dict[str, Any]
    state: RunState
    created: str  # ISO 8601, UTC
    updated: str
    seed: int
    summary: dict[str, int | float | str | None] = Field(default={})
    provenance: dict[str, Any] = Field(default={})  # the data set: source, licence, examples, SHA-256
    environment: dict[str, Any] = Field(default={})  # the machine and the versions
    error: str | None = None  # why it failed
    num_rows: int = 0  # rows of metrics that are on disk
    notes: list[str] = Field(default=[])  # resumed elsewhere, flushes lost to a power cut

    def run_recipe(self) -> Recipe:
        """The recipe, checked."""
        return Recipe.from_dict(self.recipe)
