"""The page's charts as plain data for plotly.js: traces and layout, without importing plotly.

Colours are names (``@hard``, ``@lever/0.3``) that the page's script resolves for the light or dark scheme. Every
text that came from outside is escaped here: plotly reads a little HTML in its texts.
"""

from __future__ import annotations

from sevenfold.diagnosis.report.figures._figure import Figure
from sevenfold.diagnosis.report.figures.curves import curves_figure
from sevenfold.diagnosis.report.figures.effects import effects_figure
from sevenfold.diagnosis.report.figures.roofline import roofline_figure
from sevenfold.diagnosis.report.figures.scaling import scaling_figures
from sevenfold.diagnosis.report.figures.settings import settings_figures

__all__ = ["Figure", "curves_figure", "effects_figure", "roofline_figure", "scaling_figures", "settings_figures"]
