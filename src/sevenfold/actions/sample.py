"""The action behind ``sevenfold sample``: images from a finished run that learned to sample.

Each image is written as it is drawn, under a folder named after the request: the same call again draws what is
missing and nothing else. Image i depends on (seed, i).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sevenfold.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from sevenfold.actions._generative import Opened
    from sevenfold.layers import Sampling

SCHEMA_VERSION = "1.0"
SHEET = "sheet.png"
_REQUEST = "request.json"
_AT_ONCE = 16  # images drawn together: what an interruption may cost
OnSample = Callable[[float, int], None]


@dataclass(frozen=True)
class SampledImages:
    """Images that a run's model drew, on disk."""

    run: str
    model: str
    num: int
    seed: int
    steps: int | None  # None: the model's own
    guidance: float | None
    temperature: float
    eta: float | None
    conditions: tuple[str, ...]  # the class or caption of each; empty for a model without
    folder: str
    sheet: str
    images: tuple[str, ...]
    already_there: int  # images that an earlier call had drawn

    def to_dict(self) -> dict[str, Any]:
        """The object that ``--json`` prints."""
        return {"schema_version": SCHEMA_VERSION, **asdict(self)}


def sample(
    run: str,
    *,
    num: int = 16,
    steps: int | None = None,
    guidance: float | None = None,
    temperature: float = 1.0,
    eta: float | None = None,
    condition: str | None = None,
    seed: int = 0,
    fresh: bool = False,
    on_sample: OnSample = lambda done, of: None,
) -> SampledImages:
    """Draw images from a finished ``generation`` run, each a PNG in the run's folder, with a sheet of all.

    >>> sample("ddpm-digits-s0", num=16, steps=50, seed=0).sheet  # doctest: +SKIP
    '.../runs/ddpm-digits-s0-.../samples/num16-steps50-seed0/sheet.png'

    ``steps``, ``guidance``, ``temperature`` and ``eta`` are the model's own where they are left out. ``condition``
    is a class ("7"), several in turn ("0,1,2") or a caption; without it all classes in turn, or captions of the
    test part. One seed gives one set of images. An interrupted call is gone on with by the same call; ``fresh``
    draws all anew.

    Raises UnknownNameError for a run that is not there, UsageError for a run of another task, one that is not
    finished, or a setting that the model has no use for.
    """
    from sevenfold.actions._generative import checked_num, open_generative, same_conditions
    from sevenfold.layers import Sampling

    checked_num(num)
    settings = Sampling(steps=steps, guidance=guidance, temperature=temperature, eta=eta)
    _check(settings)
    opened = open_generative(run)
    told, words = opened.told(condition, num)
    asked = {
        "num": num,
        "steps": steps,
        "guidance": guidance,
        "temperature": None if temperature == 1 else temperature,
        "eta": eta,
        "condition": condition,
        "seed": seed,
    }
    folder = opened.folder / "samples" / _folder_name(asked)
    _begin(folder, {**asked, "weights_sha256": opened.weights_sha256, "at_once": _AT_ONCE}, fresh=fresh)
    with same_conditions(opened):
        already = _draw(opened, folder, num, told, words, settings, seed, on_sample)
    images = [folder / _name(number) for number in range(num)]
    _write_sheet(opened, folder, images, columns=_columns(opened, condition, num))
    return SampledImages(
        run=opened.record.id,
        model=opened.record.run_recipe().model.name,
        num=num,
        seed=seed,
        steps=steps,
        guidance=guidance,
        temperature=temperature,
        eta=eta,
        conditions=tuple(words),
        folder=str(folder),
        sheet=str(folder / SHEET),
        images=tuple(str(path) for path in images),
        already_there=already,
    )


def _draw(
    opened: Opened,
    folder: Path,
    num: int,
    told: Tensor | None,
    words: list[str],
    settings: Sampling,
    seed: int,
    on_sample: OnSample,
) -> int:
    """Draw the parts that are not whole on disk; the number of images that were."""
    from sevenfold.training.sampling.drawing import drawn_in_parts
    from sevenfold.training.sampling.sheets import write_png

    already = 0

    def there(start: int, count: int) -> bool:
        nonlocal already
        whole = all((folder / _name(number)).is_file() for number in range(start, start + count))
        already += count if whole else 0
        return whole

    parts = drawn_in_parts(
        opened.model, num, seed=seed, condition=told, sampling=settings, at_once=_AT_ONCE, device=opened.device,
        on_sample=on_sample, passed_over=there,
    )  # fmt: skip
    for start, images in parts:
        for number, image in enumerate(images, start):
            facts = {"run": opened.record.id, "seed": str(seed), "number": str(number)}
            write_png(folder / _name(number), image, facts | ({"condition": words[number]} if words else {}))
    return already


def _begin(folder: Path, request: Mapping[str, Any], *, fresh: bool) -> None:
    """An empty folder for this request, or what an earlier call of it left, if the weights are still those."""
    from sevenfold.checkpoints import write_file

    text = json.dumps(request, indent=1, sort_keys=True).encode()
    path = folder / _REQUEST
    if folder.is_dir() and (fresh or not path.is_file() or path.read_bytes() != text):
        shutil.rmtree(folder)
    if not path.is_file():
        write_file(path, text)


def _write_sheet(opened: Opened, folder: Path, images: list[Path], columns: int | None) -> None:
    import torch

    from sevenfold.training.sampling.sheets import read_png, sheet, write_png

    channels = opened.dataset.input_shape[0]
    shown = torch.stack([read_png(path, channels) for path in images[:_SHEET_AT_MOST]])
    write_png(folder / SHEET, sheet(shown, columns=columns), {"run": opened.record.id})


_SHEET_AT_MOST = 1024


def _columns(opened: Opened, condition: str | None, num: int) -> int | None:
    """Classes in turn: a column for each."""
    classes = opened.dataset.num_outputs
    return classes if opened.model.condition == "class" and condition is None and num >= 2 * classes else None


def _check(settings: Sampling) -> None:
    if settings.steps is not None and settings.steps < 1:
        raise UsageError("sampling takes steps", got=settings.steps, expected="1 or more")
    if settings.temperature < 0:
        raise UsageError("a temperature is not negative", got=settings.temperature, expected="0 or more")


def _folder_name(asked: Mapping[str, Any]) -> str:
    """What was asked for, as a name: ``num16-steps50-guidance3-seed0``."""
    import hashlib

    def shown(key: str, value: Any) -> str:
        text = f"{value:g}" if isinstance(value, float) else str(value)
        if key == "condition" and not (text.isdigit() and len(text) < 8):
            text = hashlib.sha256(text.encode()).hexdigest()[:8]
        return f"{key}{text}"

    return "-".join(shown(key, value) for key, value in asked.items() if value is not None)


def _name(number: int) -> str:
    return f"{number:05}.png"
