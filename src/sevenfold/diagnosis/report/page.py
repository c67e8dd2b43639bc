"""The HTML report: one file with everything in it, that asks nothing of any network.

Texts are escaped by Jinja; figures and the diagnosis travel as JSON in which ``<`` is written ``\\u003c``; a
content security policy makes the browser itself refuse anything from outside. plotly.js comes from the installed
package. Looks and layout live in ``template/``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Any

import jinja2
from markupsafe import Markup

from sevenfold.diagnosis.report.figures import (
    Figure,
    curves_figure,
    effects_figure,
    roofline_figure,
    scaling_figures,
    settings_figures,
)
from sevenfold.diagnosis.report.glossary import COLUMNS, MEANINGS, METHODS
from sevenfold.diagnosis.report.provenance import provenance_tables
from sevenfold.diagnosis.report.rows import (
    advice_parts,
    budget_text,
    command_for,
    facts_of,
    min_effect_text,
    rows_of,
    share,
)
from sevenfold.diagnosis.report.sweeps import unique_points
from sevenfold.diagnosis.report.typesetting import FIGURE_SPACE, capital, prose, signed, unbroken
from sevenfold.diagnosis.result import CONSTRAINTS, TITLES, Advice, Diagnosis, Effect, Point
from sevenfold.diagnosis.showing import (
    aligned,
    ranked_effect,
    shown_effect,
    shown_interval,
    shown_probability,
    shown_value,
)


def page(diagnosis: Diagnosis) -> str:
    """The whole report as HTML text."""
    rows = rows_of(diagnosis)
    sections = {
        "effects": [figure for figure in [effects_figure(diagnosis)] if figure],
        "fits": [*scaling_figures(diagnosis), *settings_figures(diagnosis)],
        "runs": [figure for figure in (curves_figure(diagnosis), roofline_figure(diagnosis)) if figure],
    }
    headline, rest = split_sentence(diagnosis.sentence, verdict(diagnosis) == "tie")
    return _environment().get_template("page.html").render(
        d=diagnosis,
        headline=headline,
        rest=rest,
        created=_date(diagnosis.created),
        facts=facts_of(diagnosis),
        min_effect=min_effect_text(diagnosis),
        rows=rows,
        prices=_column([row.shadow_price for row in rows]),
        headrooms=_column([row.headroom for row in rows]),
        verdict=verdict(diagnosis),
        advice=[_advice(diagnosis, advice) for advice in diagnosis.advice],
        sections=sections,
        figures=[figure for group in sections.values() for figure in group],
        figures_json=figures_json([f for group in sections.values() for f in group]),
        diagnosis_json=safe_json(diagnosis.to_dict()),
        provenance=provenance_tables(diagnosis),
        budget=budget_text(diagnosis),
        meanings=MEANINGS,
        titles=TITLES,
        order=CONSTRAINTS,
        columns=COLUMNS,
        methods=METHODS,
        used_methods=[method for method in METHODS if any(row.method == method for row in rows)],
        css=Markup(template_text("page.css")),
        script=Markup(template_text("page.js")),
        plotly=Markup(plotly()),
    )  # fmt: skip


def figures_json(figures: Sequence[Figure]) -> Markup:
    """The figures by key, as the page's script reads them."""
    return safe_json({figure.key: _drawn(figure) for figure in figures})


def _drawn(figure: Figure) -> dict[str, Any]:
    """What the page's script needs of a figure."""
    return {"height": figure.height, "data": figure.data, "layout": figure.layout}


def _advice(diagnosis: Diagnosis, advice: Advice) -> dict[str, Any]:
    what, gain = advice_parts(advice)
    command = command_for(diagnosis, advice.change)
    return {"advice": advice, "what": what, "gain": signed(gain), "command": command}


def split_sentence(sentence: str, is_tie: bool = False) -> tuple[str, str]:
    """The first clause, which is set large, and what follows it; of a tie the names alone are set large.

    >>> split_sentence("Data binds: 0.031 ± 0.006 nats; first pull the optimization lever.")
    ('Data binds: 0.031 ± 0.006 nats', 'First pull the optimization lever.')
    """
    for mark in (": ", "; ", ". ") if is_tie else ("; ", ". "):
        head, found, rest = sentence.partition(mark)
        if found and len(head) > 12:
            return head, capital(rest)
    return sentence.removesuffix("."), ""


def verdict(diagnosis: Diagnosis) -> str:
    """``binds``, ``tie``, ``nothing``, or ``unknown`` where no effect was measured."""
    if all(ranked_effect(row) is None for row in diagnosis.constraints.values()):
        return "unknown"
    return {0: "nothing", 1: "binds"}.get(len(diagnosis.binding), "tie")


def _column(texts: list[str]) -> list[tuple[str, str]]:
    """(padding, number): with figures of one width, padded numbers line up at the decimal point."""
    padded = [text.rstrip(FIGURE_SPACE) for text in aligned(texts, FIGURE_SPACE)]
    numbers = [text.lstrip(FIGURE_SPACE) for text in padded]
    return [
        (text[: len(text) - len(number)], unbroken(number)) for text, number in zip(padded, numbers, strict=True)
    ]


def _date(text: str) -> str:
    try:
        return datetime.fromisoformat(text).strftime("%-d %B %Y, %H:%M")
    except ValueError:
        return text


def safe_json(data: Any) -> Markup:
    """JSON that is safe inside a script element."""
    text = json.dumps(data, allow_nan=False, ensure_ascii=True, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def _point_loss(point: Point) -> str:
    half = (point.high - point.low) / 2
    return signed(shown_value(point.loss, half) + (f" {shown_interval(point.low, point.high)}" if half > 0 else ""))


def _both(effect: Effect) -> str:
    return signed(
        f"95% {shown_interval(effect.low, effect.high)}, all seven together "
        f"{shown_interval(effect.simultaneous_low, effect.simultaneous_high)}"
    )


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.DictLoader({"page.html": template_text("page.html")}),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        effect=lambda effect: signed(shown_effect(effect)),
        both=_both,
        point_loss=_point_loss,
        probability=shown_probability,
        prose=prose,
        capital=capital,
        unique=unique_points,
        share=share,
    )
    return environment


def template_text(name: str) -> str:
    """A file of the report's template: its looks and script serve other pages too."""
    return (files("sevenfold.diagnosis.report") / "template" / name).read_text("utf-8")


def plotly() -> str:
    """plotly.js as the installed package ships it; a script element must not be closed inside it."""
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs()).replace("</script", "<\\/script")
