"""A map as a picture: each example a point in the colour of its label; digits and other few classes as numerals.

Drawn by matplotlib for a file, without a screen.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["scatter_png"]

_CLASSES_AT_MOST = 20  # more are drawn as a scale of colours
_NUMERALS_AT_MOST = 1000  # points; more are dots


def scatter_png(points_n2: npt.NDArray[np.float64], labels: npt.NDArray[Any] | None, title: str) -> bytes:
    """The bytes of a PNG; ``labels`` [N] whole numbers of few classes, any other numbers, or None."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 6.4), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.set_title(title, fontsize=11)
    axes.set_xticks([])
    axes.set_yticks([])
    if labels is None:
        axes.scatter(points_n2[:, 0], points_n2[:, 1], s=10, color="0.4")
    elif np.issubdtype(labels.dtype, np.integer) and len(np.unique(labels)) <= _CLASSES_AT_MOST:
        _classes(axes, points_n2, labels)
    else:
        figure.colorbar(axes.scatter(points_n2[:, 0], points_n2[:, 1], s=10, c=labels, cmap="viridis"), ax=axes)
    content = io.BytesIO()
    figure.savefig(content, format="png")
    return content.getvalue()


def _classes(axes: Any, points_n2: npt.NDArray[np.float64], labels: npt.NDArray[Any]) -> None:
    from matplotlib import colormaps

    known = np.unique(labels)
    colours = colormaps["tab10" if len(known) <= 10 else "tab20"]
    for number, label in enumerate(known):
        chosen = points_n2[labels == label]
        if len(points_n2) <= _NUMERALS_AT_MOST:
            marker, size = f"${label}$", 42
        else:
            marker, size = "o", 10
        axes.scatter(
            chosen[:, 0],
            chosen[:, 1],
            s=size,
            marker=marker,
            color=colours(number),
            linewidths=0.2,
            label=str(label),
        )
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=9, frameon=False)
