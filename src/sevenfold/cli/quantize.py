"""``sevenfold quantize``: a trained model's weights as integers, and what that costs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sevenfold.cli._output import Json, emit

if TYPE_CHECKING:
    from sevenfold.actions.quantize import Quantized


def quantize(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A finished run: its id, or the beginning of it.")],
    bits: Annotated[
        int, typer.Option(help="8: weights and activations; 4: weights only, a scale for each group.")
    ] = 8,
    group: Annotated[int, typer.Option(help="Of 4 bits: weights that share a scale.")] = 32,
    weights_only: Annotated[
        bool, typer.Option("--weights-only", help="Of 8 bits: leave the activations as they are.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="The .safetensors file to write; in the run's folder without it.")
    ] = None,
    stored: Annotated[
        Path | None, typer.Option("--from", help="Score a file that was written before, and write none.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write the weights of a RUN as integers; its test loss, accuracy and bytes before and after."""
    from sevenfold.actions.quantize import quantize as action

    emit(action(run, bits=bits, group=group, weights_only=weights_only, out=out, stored=stored), as_json, _render)


def _render(found: Quantized) -> Any:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table("", "before", "after")
    table.add_row("bytes", f"{found.bytes_before:,}", f"{found.bytes_after:,}")
    table.add_row("test loss", f"{found.test_loss_before:.4f}", f"{found.test_loss_after:.4f}")
    if found.test_accuracy_before is not None and found.test_accuracy_after is not None:
        table.add_row("test accuracy", f"{found.test_accuracy_before:.1%}", f"{found.test_accuracy_after:.1%}")
    if found.perplexity_before is not None and found.perplexity_after is not None:
        table.add_row("perplexity", f"{found.perplexity_before:.3f}", f"{found.perplexity_after:.3f}")
    inputs = found.layers_with_integer_inputs
    how = f"{found.tensors} tensors of {found.bits} bits"
    how += "" if found.group is None else f", a scale for each {found.group} weights"
    how += f"; 8-bit inputs in {inputs} layers" if inputs else "; activations as they were"
    return Group(Text(f"{found.run}: {how}"), table, Text(found.file, overflow="fold"))
