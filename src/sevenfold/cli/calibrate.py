"""``sevenfold calibrate``: measure this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from sevenfold.cli._output import Json, emit, tell

if TYPE_CHECKING:
    from sevenfold.actions.calibrate import CalibrateResult


def calibrate(
    quick: Annotated[
        bool,
        typer.Option(
            "--quick", help="Fewer and smaller benchmarks: about half a minute in place of one and a half."
        ),
    ] = False,
    threads: Annotated[
        list[int] | None,
        typer.Option(help="Calibrate with so many threads, 0 for all cores; may be repeated. Default: 1 and 0."),
    ] = None,
    check: Annotated[
        bool,
        typer.Option(help="Hold the prediction against measured training steps of digits-cnn and gpt-10m."),
    ] = True,
    as_json: Json = False,
) -> None:
    """Measure this machine and store it as the chip this-machine; best while nothing else runs."""
    from sevenfold.actions.calibrate import HELD_AGAINST
    from sevenfold.actions.calibrate import calibrate as action

    result = action(
        quick=quick, threads=tuple(threads or (1, 0)), check=HELD_AGAINST if check else (), on_event=tell
    )
    emit(result, as_json, _render)


def _render(result: CalibrateResult) -> Any:
    from rich.console import Group
    from rich.text import Text

    calibration = result.chip.calibration
    assert calibration is not None
    parts: list[Any] = [Text(f"this-machine: {result.chip.title}", style="bold"), _figures(result), Text()]
    if result.checks:
        parts += [_checks(result), Text()]
    if calibration.busy_share > 0.1:
        busy = f"other processes had the processor {calibration.busy_share:.0%} of the time"
        parts.append(Text(f"note: {busy}; calibrate again when nothing else runs"))
    parts.append(Text(f"stored in {result.path} after {calibration.seconds:.0f} s"))
    return Group(*parts)


def _figures(result: CalibrateResult) -> Any:
    from rich.table import Table

    from sevenfold.units import BYTES_PER_SECOND, FLOPS_PER_SECOND, SECONDS, show

    calibration = result.chip.calibration
    assert calibration is not None
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    for variant in calibration.variants:
        table.add_column(f"{variant.threads} thread{'s' if variant.threads > 1 else ''}", justify="right")
    variants = calibration.variants
    for dtype in variants[0].matmul_flops_per_s:
        table.add_row(
            f"matrix product {dtype}", *(show(v.matmul_flops_per_s[dtype], FLOPS_PER_SECOND) for v in variants)
        )
    for name in variants[0].bandwidth_bytes_per_s:
        table.add_row(name, *(show(v.bandwidth_bytes_per_s[name], BYTES_PER_SECOND) for v in variants))
    for label, field in (
        ("forward operator's call", "forward_op_s"),
        ("backward operator's call", "backward_op_s"),
        ("parameter tensor, forward", "forward_parameter_s"),
        ("parameter tensor, backward", "backward_parameter_s"),
        ("training loop, a step", "step_s"),
    ):
        table.add_row(label, *(show(getattr(v.overheads, field), SECONDS) for v in variants))
    for name in variants[0].optimizers:
        table.add_row(f"{name} update, a step", *(show(v.optimizers[name].fixed_s, SECONDS) for v in variants))
        table.add_row(f"{name} update, a tensor", *(show(v.optimizers[name].tensor_s, SECONDS) for v in variants))
    return table


def _checks(result: CalibrateResult) -> Any:
    from rich.table import Table

    from sevenfold.units import SECONDS, show

    table = Table(title="a training step", title_justify="left", box=None, pad_edge=False, header_style="bold")
    for name, side in (
        ("recipe", "left"), ("threads", "right"), ("predicted", "right"), ("measured", "right"),
        ("5% to 95%", "right"), ("error", "right"), ("bound by", "left"),
    ):  # fmt: skip
        table.add_column(name, justify=side)  # type: ignore[arg-type]
    for check in result.checks:
        table.add_row(
            check.recipe,
            str(check.threads),
            show(check.predicted_s, SECONDS),
            show(check.measured_s, SECONDS),
            f"{show(check.low_s, SECONDS)} to {show(check.high_s, SECONDS)}",
            f"{check.error:+.1%}",
            check.bound_by,
        )
    return table
