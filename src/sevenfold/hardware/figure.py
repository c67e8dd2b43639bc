"""A number with its source: nothing unsourced ships.

>>> Figure(value=989e12, source="a data sheet").method
'stated'
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from sevenfold.spec import Spec

# stated: read in the source. derived: arithmetic on stated figures. measured: by the source, or here by calibrate.
# modelled: rests on an assumption that the source text names.
FigureMethod = Literal["stated", "derived", "measured", "modelled"]


class Figure(Spec):
    """A value in the SI unit that the field's name ends in, where it was read, and how it came about."""

    value: float
    source: str = Field(min_length=1, description="where it was read, or how it was derived or measured")
    method: FigureMethod = "stated"


def stated(value: float, source: str) -> Figure:
    """A figure read in a source."""
    return Figure(value=float(value), source=source)


def derived(value: float, source: str) -> Figure:
    """A figure computed from stated ones; the source says how."""
    return Figure(value=float(value), source=source, method="derived")


def measured(value: float, source: str) -> Figure:
    """A figure that the source measured."""
    return Figure(value=float(value), source=source, method="measured")


def modelled(value: float, source: str) -> Figure:
    """A figure that rests on an assumption; the source names it."""
    return Figure(value=float(value), source=source, method="modelled")
