"""The action behind ``sevenfold represent``: what a run's model makes of its data, as a file of numbers."""

from __future__ import annotations

import io
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sevenfold.errors import InputFileError, UsageError

if TYPE_CHECKING:
    from sevenfold.data import Split
    from sevenfold.runs.record import RunRecord

SCHEMA_VERSION = "1.0"
SPLITS = ("train", "validation", "test")
_MAPPED_AT_MOST = 5000  # rows; t-SNE of more takes minutes


@dataclass(frozen=True)
class Representation:
    """Rows of numbers, one an example, and where they were written."""

    run: str
    split: str
    layer: str | None  # None: the model's own, or what its last layer reads
    rows: int
    features: int
    file: str  # .npz with the arrays features [N, F] float32 and labels [N, ...]
    map: str | None
    method: str | None
    trustworthiness: float | None  # of the map, with 5 neighbours

    def to_dict(self) -> dict[str, Any]:
        """The object that ``--json`` prints."""
        return {"schema_version": SCHEMA_VERSION, **asdict(self)}


def represent(
    run: str,
    *,
    split: str = "test",
    layer: str | None = None,
    out: Path | str | None = None,
    map: Path | str | None = None,
    method: str = "tsne",
) -> Representation:
    """Write what a finished run's model makes of each example of a split: features and labels, as an .npz file.

    >>> represent("digits-cnn-s0", map="digits.png").features  # doctest: +SKIP
    60

    Without ``layer`` the features are what the model's last layer reads, or what a model says itself is its
    representation (a VAE: the means of its latents); ``layer`` names a part of the model whose output is meant.
    Maps are flattened, tokens averaged. ``out`` is in the run's folder without it; ``map`` draws the rows in a
    plane by ``method`` tsne or pca.

    Raises UnknownNameError for a run or layer that is not there, UsageError for a run without a data set or that is
    not finished, InputFileError without weights or where nothing can be written.
    """
    from sevenfold.runs.home import data_home
    from sevenfold.runs.store import RunStore
    from sevenfold.training.conditions import run_conditions
    from sevenfold.training.representing.features import features
    from sevenfold.training.trained import trained_workload

    record = _require_data(RunStore().require(run))
    _check(split, method)
    named = split if layer is None else f"{split}-{layer}"
    file = _ending(out, ".npz", data_home() / "runs" / record.id / f"features-{named}.npz")
    picture = None if map is None else _ending(map, ".png", Path())
    _, trained = trained_workload(record.id)
    chosen: Split = getattr(trained.dataset, split)
    with run_conditions(trained.recipe, trained.device):
        rows = features(trained.model, chosen, layer=layer)
    labels = chosen.targets.cpu().numpy()
    _write_npz(file, features=rows, labels=labels)
    kept = None if picture is None else _draw(rows, labels, method, picture, f"{record.id}, {split}")
    return Representation(
        run=record.id,
        split=split,
        layer=layer,
        rows=rows.shape[0],
        features=rows.shape[1],
        file=str(file),
        map=None if picture is None else str(picture),
        method=None if picture is None else method,
        trustworthiness=kept,
    )


def _require_data(record: RunRecord) -> RunRecord:
    if record.run_recipe().task == "control":
        raise UsageError(
            f"run {record.id} learned from an environment, not from examples",
            got="task control",
            expected="a run with a data set",
            hint="`sevenfold play`",
        )
    return record


def _check(split: str, method: str) -> None:
    from sevenfold.training.representing.maps import METHODS

    for what, got, known in (("split", split, SPLITS), ("method", method, METHODS)):
        if got not in known:
            raise UsageError(f"no such {what}", got=got, expected=" or ".join(known))


def _ending(path: Path | str | None, ending: str, without: Path) -> Path:
    found = without if path is None else Path(path)
    if found.suffix.lower() != ending:
        raise UsageError("the file's name does not fit", got=str(found), expected=f"a name that ends in {ending}")
    return found


def _write_npz(path: Path, **arrays: Any) -> None:
    import numpy as np

    content = io.BytesIO()
    np.savez_compressed(content, **arrays)
    _write(path, content.getvalue())


def _write(path: Path, content: bytes) -> None:
    from sevenfold.checkpoints import write_file

    try:
        write_file(path, content)
    except OSError as error:
        raise InputFileError("cannot write the file", got=f"{path} ({error.strerror})") from None


def _draw(rows: Any, labels: Any, method: str, path: Path, title: str) -> float | None:
    """Write the map; its trustworthiness, None where there are too few rows to tell."""
    import numpy as np

    from sevenfold.training.evaluating import evenly_spaced
    from sevenfold.training.representing.maps import METHODS, mapped, trustworthy
    from sevenfold.training.representing.scatter import scatter_png

    chosen = evenly_spaced(len(rows), _MAPPED_AT_MOST)
    if len(chosen) < len(rows):
        title += f", {len(chosen)} of {len(rows)}"
    rows, labels = rows[chosen], labels[chosen]
    points = mapped(rows, METHODS[METHODS.index(method)])
    shown = labels.reshape(-1) if labels.size == len(rows) else None
    if shown is not None and np.issubdtype(shown.dtype, np.integer) and len(np.unique(shown)) == 1:
        shown = None  # a target that says nothing
    _write(path, scatter_png(points, shown, f"{title}: {method}"))
    return trustworthy(rows, points) if len(rows) > 10 else None
