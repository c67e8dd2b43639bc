"""``sevenfold sample``: images from a run that learned to sample."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from sevenfold.cli._output import Json, emit
from sevenfold.cli._sampling import watching_samples

if TYPE_CHECKING:
    from sevenfold.actions.sample import SampledImages


def sample(
    run: Annotated[
        str, typer.Argument(metavar="RUN", help="A finished generation run: its id, or the beginning of it.")
    ],
    num: Annotated[int, typer.Option(help="Images to draw.")] = 16,
    steps: Annotated[int | None, typer.Option(help="Denoising steps; the model's own without it.")] = None,
    guidance: Annotated[
        float | None, typer.Option(help="How far to follow the condition; the model's own without it.")
    ] = None,
    temperature: Annotated[float, typer.Option(help="Below 1: nearer to the likeliest image.")] = 1.0,
    eta: Annotated[float | None, typer.Option(help="Fresh noise a denoising step: 0 is DDIM, 1 is DDPM.")] = None,
    condition: Annotated[
        str | None, typer.Option(help="A class (7), several in turn (0,1,2), or a caption; all in turn without it.")
    ] = None,
    seed: Annotated[int, typer.Option(help="One seed, one set of images.")] = 0,
    fresh: Annotated[bool, typer.Option("--fresh", help="Draw anew what is there already.")] = False,
    as_json: Json = False,
) -> None:
    """Draw images from a RUN that learned to sample; an interrupted call is gone on with by the same call."""
    from sevenfold.actions.sample import sample as action

    with watching_samples(quiet=as_json) as on_sample:
        result = action(
            run,
            num=num,
            steps=steps,
            guidance=guidance,
            temperature=temperature,
            eta=eta,
            condition=condition,
            seed=seed,
            fresh=fresh,
            on_sample=on_sample,
        )
    emit(result, as_json, _render)


def _render(result: SampledImages) -> Any:
    from rich.text import Text

    lines = [f"run {result.run}: {result.num} images from seed {result.seed}"]
    if result.already_there:
        lines.append(f"{result.already_there} of them were there; --fresh draws them anew")
    return Text("\n".join([*lines, f"sheet: {result.sheet}", f"images: {result.folder}"]), overflow="fold")
