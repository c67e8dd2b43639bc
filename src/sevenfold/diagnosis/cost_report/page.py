"""The HTML of a cost: the diagnosis report's looks and script, with tables of layers and the arrays at work."""

from __future__ import annotations

from dataclasses import asdict
from functools import cache
from importlib.resources import files

import jinja2
from markupsafe import Markup

from sevenfold.diagnosis.cost_report import CostPage, LayerLine
from sevenfold.diagnosis.cost_report.figures import energy_figure, roofline_figure
from sevenfold.diagnosis.report.page import figures_json, plotly, safe_json, template_text
from sevenfold.units import BYTES, COUNT, FLOPS, JOULES, SECONDS, show


def page(report: CostPage) -> str:
    """The whole report as HTML text."""
    charts = {
        chip.key: [figure for figure in (roofline_figure(chip), energy_figure(chip)) if figure is not None]
        for chip in report.chips
    }
    films = {chip.key: [asdict(film) for film in chip.films] for chip in report.chips if chip.films}
    return _environment().get_template("cost.html").render(
        report=report,
        charts=charts,
        films=films,
        figures_json=figures_json([figure for group in charts.values() for figure in group]),
        films_json=safe_json(films),
        data_json=safe_json(report.data),
        css=Markup(template_text("page.css") + _own("cost.css")),
        script=Markup(template_text("page.js") + _own("array.js")),
        plotly=Markup(plotly()),
    )  # fmt: skip


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.DictLoader({"cost.html": _own("cost.html")}),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        seconds=lambda value: show(value, SECONDS),
        flops=lambda value: show(value, FLOPS) if value else "–",
        bytes=lambda value: show(value, BYTES) if value else "–",
        joules=lambda value: show(value, JOULES),
        percent=lambda value: "–" if value is None else f"{value:.1%}",
        words=_words,
    )
    return environment


def _words(line: LayerLine) -> str:
    return ", ".join(f"{level} {show(words, COUNT)}" for level, words in line.words_by_level.items()) or "–"


def _own(name: str) -> str:
    return (files("sevenfold.diagnosis.cost_report") / "template" / name).read_text("utf-8")
