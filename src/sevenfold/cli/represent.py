"""``sevenfold represent``: what a trained model makes of its data, as numbers and as a map."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sevenfold.cli._output import Json, emit

if TYPE_CHECKING:
    from sevenfold.actions.represent import Representation


def represent(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A finished run: its id, or the beginning of it.")],
    split: Annotated[str, typer.Option(help="train, validation or test.")] = "test",
    layer: Annotated[
        str | None,
        typer.Option(help="The part of the model whose output is meant; what its last layer reads without it."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The .npz file to write (features, labels); in the run's folder without it.")
    ] = None,
    map: Annotated[Path | None, typer.Option(help="A PNG to draw the examples in, as points of a plane.")] = None,
    method: Annotated[str, typer.Option(help="How the map is made: tsne or pca.")] = "tsne",
    as_json: Json = False,
) -> None:
    """Write what the model of a RUN makes of each example: features and labels, and a map of them."""
    from sevenfold.actions.represent import represent as action

    emit(action(run, split=split, layer=layer, out=out, map=map, method=method), as_json, _render)


def _render(found: Representation) -> Any:
    from rich.text import Text

    lines = [f"{found.rows} examples ({found.split}), {found.features} features each: {found.file}"]
    if found.map is not None:
        kept = "" if found.trustworthiness is None else f", trustworthiness {found.trustworthiness:.3f}"
        lines.append(f"map by {found.method}{kept}: {found.map}")
    return Text("\n".join(lines), overflow="fold")
