"""The tree of commands."""

from __future__ import annotations

from typing import Annotated

import typer

from sevenfold.cli import (
    calibrate,
    chips,
    cost,
    count,
    diagnose,
    eyeriss,
    fit,
    generate,
    image_edits,
    label,
    load,
    mechanisms,
    models,
    paradigms,
    plan,
    play,
    quantize,
    recipes,
    represent,
    runs,
    sample,
    sweep,
    train,
)

app = typer.Typer(
    name="sevenfold",
    help="What holds this model back, and what is it worth to relieve it?",
    invoke_without_command=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _version(wanted: bool) -> None:
    if wanted:
        from sevenfold import __version__

        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _root(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


# One line per verb, the main job first.
app.command("diagnose")(diagnose.diagnose)
app.command("train")(train.train)
app.command("count")(count.count)
app.command("cost")(cost.cost)
app.command("sweep")(sweep.sweep)
app.command("load")(load.load)
app.command("generate")(generate.generate)
app.command("sample")(sample.sample)
app.command("play")(play.play)
app.command("quantize")(quantize.quantize)
app.command("label")(label.label)
app.command("represent")(represent.represent)
app.command("reconstruct")(image_edits.reconstruct)
app.command("interpolate")(image_edits.interpolate)
app.command("inpaint")(image_edits.inpaint)
app.command("translate")(image_edits.translate)
app.command("calibrate")(calibrate.calibrate)
app.add_typer(chips.app, name="chips")
app.add_typer(models.app, name="models")
app.add_typer(mechanisms.app, name="mechanisms")
app.add_typer(plan.app, name="plan")
app.add_typer(eyeriss.app, name="eyeriss")
app.command("fit")(fit.fit)
app.add_typer(recipes.app, name="recipes")
app.add_typer(paradigms.app, name="paradigms")
app.add_typer(runs.app, name="runs")
