"""What every command prints with: data to stdout, the rest to stderr, ``--json`` for machines.

``NO_COLOR`` is respected by rich.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from typing import Annotated, Any

import typer

Json = Annotated[
    bool, typer.Option("--json", help="Print the result as JSON on stdout (errors as JSON on stderr).")
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change one setting of the recipe; may be repeated."),
]


def emit_json(data: Any) -> None:
    """One JSON document on stdout; NaN and infinity become null (they are no JSON)."""
    typer.echo(json.dumps(_finite(data), indent=2, allow_nan=False))


def emit(result: Any, as_json: bool, render: Callable[[Any], Any]) -> None:
    """Print a result object: its ``to_dict()`` as JSON, or what ``render`` makes of it (rich renderables)."""
    if as_json:
        emit_json(result.to_dict() if hasattr(result, "to_dict") else result)
        return
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = 160  # a file or a pipe has no edge to wrap at
    console.print(render(result))


def tell(message: str) -> None:
    """A note to the person, on stderr."""
    typer.echo(message, err=True)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value
