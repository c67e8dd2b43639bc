"""The HTML page of one run: one file with everything in it, that asks nothing of any network."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from sevenfold.runs.record import RunRecord

Curve = tuple[str, Sequence[float], Sequence[float]]  # name, steps, values

_COLUMNS = (("sample", "samples"), ("real", "real images"), ("pixel", "independent pixels"), ("mean", "mean image"))
_ROWS = (("frechet", "Fréchet distance"), ("precision", "precision"), ("recall", "recall"),
         ("class_accuracy", "taken for the asked digit"))  # fmt: skip
_LINES = ("#2f5fd0", "#c2500f", "#0d8a6a", "#7a3fb0", "#59636f", "#b0892f")


def run_page(record: RunRecord, curves: Sequence[Curve], sheets: Mapping[str, bytes]) -> str:
    """The page: curves, what the samples are worth beside the baselines, their sheets, summary, recipe, data."""
    import jinja2

    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    return environment.from_string(_PAGE).render(
        record=record,
        curves=_data_uri(_drawn(curves)) if curves else None,
        names=[name for name, _, _ in curves],
        comparison=_comparison(record.summary),
        sheets={title: _data_uri(content) for title, content in sheets.items()},
        summary=[(name, shown(name, value)) for name, value in record.summary.items()],
        recipe=list(_flat(record.recipe)),
        provenance=list(_flat(record.provenance)),
        environment=list(_flat(record.environment)),
    )


def shown(name: str, value: float | int | str | None) -> str:
    """A figure of the summary as text."""
    if value is None:
        return "–"
    if isinstance(value, str):
        return value
    if not math.isfinite(value):
        return str(value)
    if name.endswith("accuracy") or name in ("sample_copies",):
        return f"{100 * value:.1f} %"
    if isinstance(value, int) or (float(value).is_integer() and abs(value) >= 10):
        return f"{value:,.0f}"
    return f"{value:.4g}"


def _comparison(summary: Mapping[str, Any]) -> dict[str, list[Any]] | None:
    """The table of samples beside baselines; None for a run without samples."""
    if "sample_frechet" not in summary:
        return None
    rows = []
    for key, title in _ROWS:
        cells = [
            shown(f"{of}_{key}", summary[f"{of}_{key}"]) if f"{of}_{key}" in summary else "" for of, _ in _COLUMNS
        ]
        if any(cells):
            rows.append((title, cells))
    if "test_bits_per_dimension" in summary:
        pixels = summary.get("pixel_bits_per_dimension")
        bits = shown("", summary["test_bits_per_dimension"])
        rows.append(
            ("bits per dimension of test images", [bits, "", "" if pixels is None else shown("", pixels), ""])
        )
    return {"columns": [title for _, title in _COLUMNS], "rows": rows}


def _flat(tree: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for key, value in tree.items():
        rows += _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else [(f"{prefix}{key}", str(value))]
    return rows


def _drawn(curves: Sequence[Curve]) -> bytes:
    """Losses over steps as a PNG: training thin, validation thick; a log axis where all are above zero."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with rc_context({"font.size": 10, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(9, 3.6), layout="constrained")
        axes = figure.add_subplot()
        for number, curve in enumerate(curves):
            _draw(axes, curve, _LINES[number % len(_LINES)])
        if all(min(values) > 0 for _, _, values in curves):
            axes.set_yscale("log")
            for formatter in (axes.yaxis.set_major_formatter, axes.yaxis.set_minor_formatter):
                formatter(_plain_tick(*axes.get_ylim()))
        axes.set_xlabel("step")
        axes.set_ylabel("loss")
        axes.legend(frameon=False)
        axes.grid(color="#e2e6ea")
        FigureCanvasAgg(figure)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=130)
    return buffer.getvalue()


def _plain_tick(lowest: float, highest: float) -> Callable[[float, float], str]:
    """Ticks of a log axis as plain numbers; over more than a decade only 1, 2 and 5 of each are written."""

    def told(value: float, _: float) -> str:
        first = f"{value:e}"[0]
        return f"{value:g}" if highest < 10 * lowest or first in "125" else ""

    return told


def _draw(axes: Axes, curve: Curve, colour: str) -> None:
    name, steps, values = curve
    if name.startswith("validation"):
        axes.plot(steps, values, color=colour, linewidth=2, marker="o", markersize=4, label=name, zorder=3)
    else:
        axes.plot(steps, values, color=colour, linewidth=0.9, alpha=0.8, label=name)


def _data_uri(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{{ record.id }}</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; color: #171b21; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.5rem; overflow-wrap: anywhere } h2 { font-size: 1.15rem; margin-top: 2rem }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
td, th { padding: .2rem .9rem .2rem 0; border-bottom: 1px solid #e2e6ea; text-align: left; vertical-align: top }
td.number, th.number { text-align: right } td { overflow-wrap: anywhere }
p.note, td.key, figcaption { color: #59636f }
img { max-width: 100%; height: auto } img.sheet { image-rendering: pixelated; border: 1px solid #e2e6ea }
figure { display: inline-block; margin: 0 1.5rem 1rem 0; vertical-align: top }
details { margin-top: 1rem } summary { cursor: pointer; font-weight: 600 }
</style>
</head>
<body>
<h1>{{ record.id }}</h1>
<p class="note">{{ record.state }}; began {{ record.created }}, last change {{ record.updated }};
task {{ record.recipe["task"] }}, model {{ record.recipe["model"]["name"] }},
data {{ record.recipe["data"]["name"] }}, seed {{ record.seed }}</p>
{% if record.error %}<p>{{ record.error }}</p>{% endif %}
{% if curves %}
<h2>Losses</h2>
<img src="{{ curves }}" alt="{{ names | join(', ') }} over steps">
{% endif %}
{% if comparison %}
<h2>Samples beside baselines</h2>
<table>
<tr><th></th>{% for column in comparison.columns %}<th class="number">{{ column }}</th>{% endfor %}</tr>
{% for title, cells in comparison.rows %}
<tr><td>{{ title }}</td>{% for cell in cells %}<td class="number">{{ cell }}</td>{% endfor %}</tr>
{% endfor %}
</table>
<p class="note">Held to {{ record.summary["num_samples"] }} test images in the features of a classifier of digits
that was trained here (right about {{ "%.1f" | format(100 * record.summary["classifier_accuracy"]) }} % of held-out
digits). This is not the Inception FID of papers: the numbers cannot be compared with theirs. Real images are as
many training images, which is what perfect samples would get; independent pixels are drawn one by one from training
images{{ ", of the asked class" if record.summary.get("sample_class_accuracy") is not none and
"sample_class_accuracy" in record.summary else "" }}.</p>
{% endif %}
{% if sheets %}
<h2>Sheets</h2>
{% for title, source in sheets.items() %}
<figure><img class="sheet" src="{{ source }}" alt="{{ title }}"><figcaption>{{ title }}</figcaption></figure>
{% endfor %}
{% endif %}
{% if summary %}
<h2>Summary</h2>
<table>
{% for name, value in summary %}<tr><td class="key">{{ name }}</td><td class="number">{{ value }}</td></tr>
{% endfor %}
</table>
{% endif %}
{% for title, rows in (("Recipe", recipe), ("Data", provenance), ("Machine and versions", environment)) %}
{% if rows %}
<details><summary>{{ title }}</summary>
<table>
{% for name, value in rows %}<tr><td class="key">{{ name }}</td><td>{{ value }}</td></tr>
{% endfor %}
</table></details>
{% endif %}
{% endfor %}
</body>
</html>
"""
