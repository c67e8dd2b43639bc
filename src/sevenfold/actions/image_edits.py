"""Reconstruction, interpolation, inpainting and image to image: what a generative run's model makes of images.

Each writes one picture into the run's folder, with a row for what went in and a row for what came out. Images are
of the test part, or files of the size that the model learned.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sevenfold.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from sevenfold.actions._generative import Opened

SCHEMA_VERSION = "1.0"
OnSample = Callable[[float, int], None]
MASKS = ("center", "left", "right", "top", "bottom")
_AT_MOST = 64


@dataclass(frozen=True)
class ImageEdit:
    """What a model made of images, and the picture that shows it."""

    run: str
    model: str
    kind: str  # reconstruct, interpolate, inpaint or translate
    num: int
    seed: int | None
    picture: str
    rows: tuple[str, ...]  # what the rows of the picture show
    mean_squared_error: float | None  # of what should be equal: all pixels, or those that were kept

    def to_dict(self) -> dict[str, Any]:
        """The object that ``--json`` prints."""
        return {"schema_version": SCHEMA_VERSION, **asdict(self)}


def reconstruct(
    run: str,
    *,
    num: int = 8,
    images: Sequence[str | os.PathLike[str]] = (),
    out: str | os.PathLike[str] | None = None,
) -> ImageEdit:
    """Encode images and decode them again, with a model that has a bottleneck (VAE, VQ-VAE).

    >>> reconstruct("vae-digits-s0", num=8).mean_squared_error  # doctest: +SKIP
    0.021

    ``images`` are files; without them the first ``num`` of the test part. UsageError for a model that cannot.
    """
    import torch

    from sevenfold.layers import Reconstructs

    opened, model = _opened(run, Reconstructs, "reconstruct images")
    given, _ = _images(opened, num, images)
    with _conditions(opened), torch.no_grad():
        made = model.reconstruct(given.to(opened.device)).cpu().clamp(0, 1)
    error = float((made - given).square().mean())
    return _written(opened, "reconstruct", {"image": given, "reconstruction": made}, None, out, error)


def interpolate(
    run: str,
    *,
    first: str = "0",
    second: str = "1",
    num: int = 8,
    seed: int = 0,
    out: str | os.PathLike[str] | None = None,
) -> ImageEdit:
    """A path of ``num`` images from one to another: test images by number, or files.

    >>> interpolate("vae-digits-s0", first="3", second="7", num=10).picture  # doctest: +SKIP
    '.../runs/vae-digits-s0-.../pictures/interpolate-3-7-num10-seed0.png'
    """
    import torch

    from sevenfold.layers import Interpolates, Noise
    from sevenfold.training.sampling.drawing import sample_seeds

    if not 2 <= num <= _AT_MOST:
        raise UsageError("a path has two ends", got=f"num {num}", expected=f"2 to {_AT_MOST}")
    opened, model = _opened(run, Interpolates, "interpolate")
    ends = [_one_image(opened, given).to(opened.device) for given in (first, second)]
    noise = Noise(sample_seeds(seed, 0, 1), opened.device)
    with _conditions(opened), torch.no_grad():
        made = model.interpolate(*ends, num, noise=noise).cpu().clamp(0, 1)
    name = f"interpolate-{Path(first).stem}-{Path(second).stem}"
    return _written(opened, name, {"path": made}, seed, out, None, kind="interpolate")


def inpaint(
    run: str,
    *,
    mask: str = "center",
    num: int = 8,
    images: Sequence[str | os.PathLike[str]] = (),
    steps: int | None = None,
    guidance: float | None = None,
    condition: str | None = None,
    seed: int = 0,
    out: str | os.PathLike[str] | None = None,
    on_sample: OnSample = lambda done, of: None,
) -> ImageEdit:
    """Draw anew what a mask hides: center, left, right, top, bottom, or a picture that is white where to keep.

    >>> inpaint("ddpm-digits-s0", mask="bottom", num=8).mean_squared_error  # doctest: +SKIP
    0.0

    ``mean_squared_error`` is of the pixels that were to be kept.
    """
    import torch

    from sevenfold.layers import Inpaints, Noise, Sampling
    from sevenfold.training.sampling.drawing import sample_seeds

    opened, model = _opened(run, Inpaints, "fill in what a mask hides")
    given, own = _images(opened, num, images)
    kept = _mask(mask, given)
    told = _told(opened, condition, own, len(given))
    with _conditions(opened), torch.no_grad():
        made = model.inpaint(
            given.to(opened.device),
            kept.to(opened.device),
            noise=Noise(sample_seeds(seed, 0, len(given)), opened.device),
            condition=told,
            sampling=Sampling(steps=steps, guidance=guidance),
            on_step=lambda done, of: on_sample(len(given) * done / max(1, of), len(given)),
        )
    made = made.cpu().clamp(0, 1)
    where = kept.expand_as(given)
    error = float((made - given)[where].square().mean()) if bool(where.any()) else None
    shown = {"image": given, "kept": torch.where(kept, given, torch.full_like(given, 0.5)), "filled in": made}
    return _written(opened, f"inpaint-{Path(mask).stem}", shown, seed, out, error, kind="inpaint")


def translate(
    run: str,
    *,
    strength: float = 0.5,
    num: int = 8,
    images: Sequence[str | os.PathLike[str]] = (),
    steps: int | None = None,
    guidance: float | None = None,
    condition: str | None = None,
    seed: int = 0,
    out: str | os.PathLike[str] | None = None,
    on_sample: OnSample = lambda done, of: None,
) -> ImageEdit:
    """Make another image of an image: 0 keeps it, 1 keeps nothing (diffusion from a noised image, CycleGAN).

    >>> translate("ddpm-digits-s0", strength=0.4, condition="3").picture  # doctest: +SKIP
    '.../runs/ddpm-digits-s0-.../pictures/translate-0.4-num8-seed0.png'
    """
    import torch

    from sevenfold.layers import Noise, Sampling, Translates
    from sevenfold.training.sampling.drawing import sample_seeds

    if not 0 <= strength <= 1:
        raise UsageError("no such strength", got=strength, expected="0 (the image itself) to 1 (nothing of it)")
    opened, model = _opened(run, Translates, "make an image of an image")
    given, own = _images(opened, num, images)
    told = _told(opened, condition, own, len(given))
    with _conditions(opened), torch.no_grad():
        made = model.translate(
            given.to(opened.device),
            strength=strength,
            noise=Noise(sample_seeds(seed, 0, len(given)), opened.device),
            condition=told,
            sampling=Sampling(steps=steps, guidance=guidance),
            on_step=lambda done, of: on_sample(len(given) * done / max(1, of), len(given)),
        )
    shown = {"image": given, "made of it": made.cpu().clamp(0, 1)}
    return _written(opened, f"translate-{strength:g}", shown, seed, out, None, kind="translate")


def _opened(run: str, ability: type, what: str) -> tuple[Opened, Any]:
    """The run, opened, and its model; UsageError where the model has not this ability, naming those that have."""
    from sevenfold.actions._generative import open_generative
    from sevenfold.models import MODELS

    opened = open_generative(run)
    if not isinstance(opened.model, ability):
        able = {
            entry.landmark.name
            for entry in (MODELS[name] for name in MODELS)
            if entry.landmark and isinstance(entry.module, type) and issubclass(entry.module, ability)
        }
        raise UsageError(
            f"the model of run {opened.record.id} cannot {what}",
            got=opened.record.run_recipe().model.name,
            expected=f"a run of {' or '.join(sorted(able))}" if able else "another kind of model",
        )
    return opened, opened.model


def _conditions(opened: Opened) -> Any:
    from sevenfold.actions._generative import same_conditions

    return same_conditions(opened)


def _images(opened: Opened, num: int, files: Sequence[str | os.PathLike[str]]) -> tuple[Tensor, Tensor | None]:
    """Images [N, C, H, W], and what the data tells beside them."""
    import numpy as np
    import torch

    from sevenfold.actions._generative import checked_num
    from sevenfold.data import parts_of

    if files:
        return torch.stack([_one_image(opened, os.fspath(path)) for path in files]), None
    count = min(checked_num(num, at_most=_AT_MOST), len(opened.dataset.test))
    images, *told = parts_of(opened.dataset.test.batch(np.arange(count, dtype=np.int64))[0])
    if opened.model.condition == "image":  # such a model is given sources, not what it should make of them
        return told[0].float(), None
    return images.float(), told[0] if told else None


def _one_image(opened: Opened, given: str) -> Tensor:
    """A test image by its number, or a file; [C, H, W]."""
    import numpy as np

    from sevenfold.data import parts_of
    from sevenfold.training.sampling.sheets import read_png

    test, shape = opened.dataset.test, opened.dataset.input_shape[:3]
    if given.isdigit():
        if int(given) >= len(test):
            raise UsageError("no such test image", got=given, expected=f"0 to {len(test) - 1}, or a file")
        side = 1 if opened.model.condition == "image" else 0
        return parts_of(test.batch(np.array([int(given)]))[0])[side][0].float()
    image = read_png(Path(given).expanduser(), shape[0])
    if tuple(image.shape) != tuple(shape):
        raise UsageError(
            f"{given} has another size than what the model learned",
            got=f"{image.shape[2]} x {image.shape[1]} pixels",
            expected=f"{shape[2]} x {shape[1]}",
        )
    return image


def _mask(mask: str, images: Tensor) -> Tensor:
    """True where a pixel is kept, [B, 1, H, W]."""
    import torch

    from sevenfold.training.sampling.sheets import read_png

    height, width = images.shape[2:]
    if mask in MASKS:
        kept = torch.ones(1, height, width, dtype=torch.bool)
        rows, columns = {
            "center": (slice(height // 4, height - height // 4), slice(width // 4, width - width // 4)),
            "left": (slice(None), slice(0, width // 2)),
            "right": (slice(None), slice(width // 2, None)),
            "top": (slice(0, height // 2), slice(None)),
            "bottom": (slice(height // 2, None), slice(None)),
        }[mask]
        kept[:, rows, columns] = False
    elif not Path(mask).suffix:
        raise UsageError("no such mask", got=repr(mask), expected=f"{', '.join(MASKS)}, or a picture")
    else:
        kept = read_png(Path(mask).expanduser(), 1) >= 0.5
        if tuple(kept.shape[1:]) != (height, width):
            raise UsageError(
                "the mask has another size than the images",
                got=f"{kept.shape[2]} x {kept.shape[1]}",
                expected=f"{width} x {height}",
            )
    return kept.expand(len(images), -1, -1, -1)


def _told(opened: Opened, condition: str | None, own: Tensor | None, count: int) -> Tensor | None:
    """What the model is told: the condition asked for, else what the data tells of these images."""
    if condition is None and own is not None and opened.model.condition != "none":
        return own.to(opened.device)
    if opened.model.condition == "image" and condition is None:
        return None
    rows, _ = opened.told(condition, count)
    return None if rows is None else rows.to(opened.device)


def _written(
    opened: Opened,
    name: str,
    rows: dict[str, Tensor],
    seed: int | None,
    out: str | os.PathLike[str] | None,
    error: float | None,
    *,
    kind: str | None = None,
) -> ImageEdit:
    import torch

    from sevenfold.training.sampling.sheets import sheet, write_png

    count = len(next(iter(rows.values())))
    full = f"{name}-num{count}" + ("" if seed is None else f"-seed{seed}")
    path = opened.folder / "pictures" / f"{full}.png" if out is None else Path(out).expanduser()
    picture = sheet(torch.cat(list(rows.values())), columns=count)
    write_png(path, picture, {"run": opened.record.id, "rows": ", ".join(rows)})
    return ImageEdit(
        run=opened.record.id,
        model=opened.record.run_recipe().model.name,
        kind=kind or name,
        num=count,
        seed=seed,
        picture=str(path),
        rows=tuple(rows),
        mean_squared_error=error,
    )
