"""``sevenfold reconstruct``, ``interpolate``, ``inpaint``, ``translate``: what a generative run makes of images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from sevenfold.cli._output import Json, emit
from sevenfold.cli._sampling import watching_samples

if TYPE_CHECKING:
    from sevenfold.actions.image_edits import ImageEdit

Run = Annotated[
    str, typer.Argument(metavar="RUN", help="A finished generation run: its id, or the beginning of it.")
]
Num = Annotated[int, typer.Option(help="Test images to take.")]
Images = Annotated[list[str] | None, typer.Option("--image", help="An image file instead; may be repeated.")]
Steps = Annotated[int | None, typer.Option(help="Denoising steps; the model's own without it.")]
Guidance = Annotated[
    float | None, typer.Option(help="How far to follow the condition; the model's own without it.")
]
Condition = Annotated[
    str | None, typer.Option(help="A class (7), several in turn (0,1,2), or a caption; the image's own without it.")
]
Seed = Annotated[int, typer.Option(help="One seed, one picture.")]
Out = Annotated[str | None, typer.Option(help="Where to write the PNG; the run's folder without it.")]


def reconstruct(run: Run, num: Num = 8, image: Images = None, out: Out = None, as_json: Json = False) -> None:
    """Encode images and decode them again with the model of a RUN."""
    from sevenfold.actions.image_edits import reconstruct as action

    emit(action(run, num=num, images=image or (), out=out), as_json, _render)


def interpolate(
    run: Run,
    first: Annotated[str, typer.Option(help="Where the path begins: a test image's number, or a file.")] = "0",
    second: Annotated[str, typer.Option(help="Where it ends.")] = "1",
    num: Annotated[int, typer.Option(help="Images on the path, both ends included.")] = 8,
    seed: Seed = 0,
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Draw a path from one image to another with the model of a RUN."""
    from sevenfold.actions.image_edits import interpolate as action

    emit(action(run, first=first, second=second, num=num, seed=seed, out=out), as_json, _render)


def inpaint(
    run: Run,
    mask: Annotated[
        str,
        typer.Option(help="What is hidden: center, left, right, top, bottom; or a picture, white where to keep."),
    ] = "center",
    num: Num = 8,
    image: Images = None,
    steps: Steps = None,
    guidance: Guidance = None,
    condition: Condition = None,
    seed: Seed = 0,
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Fill in what a mask hides of images with the model of a RUN."""
    from sevenfold.actions.image_edits import inpaint as action

    with watching_samples(quiet=as_json) as on_sample:
        result = action(
            run, mask=mask, num=num, images=image or (), steps=steps, guidance=guidance, condition=condition,
            seed=seed, out=out, on_sample=on_sample,
        )  # fmt: skip
    emit(result, as_json, _render)


def translate(
    run: Run,
    strength: Annotated[float, typer.Option(help="0 keeps the image, 1 keeps nothing of it.")] = 0.5,
    num: Num = 8,
    image: Images = None,
    steps: Steps = None,
    guidance: Guidance = None,
    condition: Condition = None,
    seed: Seed = 0,
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Make other images of images with the model of a RUN."""
    from sevenfold.actions.image_edits import translate as action

    with watching_samples(quiet=as_json) as on_sample:
        result = action(
            run, strength=strength, num=num, images=image or (), steps=steps, guidance=guidance,
            condition=condition, seed=seed, out=out, on_sample=on_sample,
        )  # fmt: skip
    emit(result, as_json, _render)


def _render(result: ImageEdit) -> Any:
    from rich.text import Text

    lines = [f"run {result.run}: {result.kind}, {result.num} images; rows: {', '.join(result.rows)}"]
    if result.mean_squared_error is not None:
        of = "kept pixels" if result.kind == "inpaint" else "all pixels"
        lines.append(f"mean squared error of {of}: {result.mean_squared_error:.4g}")
    return Text("\n".join([*lines, f"picture: {result.picture}"]), overflow="fold")
