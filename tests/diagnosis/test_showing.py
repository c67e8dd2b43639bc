"""Effects are written with the digits that their interval supports, and no more."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sevenfold.diagnosis.result import Effect
from sevenfold.diagnosis.showing import (
    aligned,
    last_place,
    shown_effect,
    shown_interval,
    shown_probability,
    shown_value,
)


def effect(value: float, low: float, high: float) -> Effect:
    return Effect(value=value, low=low, high=high, simultaneous_low=low, simultaneous_high=high)


@pytest.mark.parametrize(
    ("value", "low", "high", "shown"),
    [
        (0.0312, 0.0249, 0.0375, "0.031 ± 0.006"),
        (0.0312, 0.0188, 0.0436, "0.031 ± 0.012"),  # a half-width that starts with 1 keeps two digits
        (0.0312, 0.0216, 0.0408, "0.031 ± 0.010"),  # 0.0096 rounds up to 0.010
        (-0.002, -0.008, 0.004, "-0.002 ± 0.006"),
        (-0.0001, -0.0061, 0.0059, "0.000 ± 0.006"),  # no minus zero
        (12.4, 9.3, 15.5, "12 ± 3"),
        (1234.0, 924.0, 1544.0, "1200 ± 300"),
        (1.04e-5, 0.74e-5, 1.34e-5, "(1.0 ± 0.3)×10⁻⁵"),
        (2.5e7, 2.1e7, 2.9e7, "(2.5 ± 0.4)×10⁷"),
        (0.0312, 0.0249, 0.0875, "0.03 [0.02, 0.09]"),
        (0.0312, 0.0249, 0.0345, "0.031 [0.025, 0.035]"),
        (0.05, 0.06, 0.08, "0.050 [0.060, 0.080]"),  # a value outside its interval is never hidden behind ±
        (0.0312, 0.0312, 0.0312, "0.0312"),
        (0.0, 0.0, 0.0, "0"),
    ],
)
def test_shown_effect(value: float, low: float, high: float, shown: str) -> None:
    assert shown_effect(effect(value, low, high)) == shown


@given(
    value=st.floats(-1e4, 1e4).filter(lambda v: v == 0 or abs(v) > 1e-12),
    half=st.floats(-8, 4).map(lambda e: 10.0**e),
)
def test_digits_never_exceed_the_interval(value: float, half: float) -> None:
    text = shown_effect(effect(value, value - half, value + half))
    if "±" not in text:
        return  # a half-width that is lost in the value's own float rounding
    body, _, power = text.strip("(").partition(")×10")
    scale = Decimal(10) ** int(power.translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")) or 0)
    shown, shown_half = (Decimal(part) for part in body.split(" ± "))
    digits = f"{shown_half:f}".replace(".", "").strip("0")
    assert len(digits) == 1 or (len(digits) == 2 and digits[0] == "1")
    place = Decimal(1).scaleb(last_place(half)) / scale
    assert shown % place == 0  # no digit of the value beyond the last one of its uncertainty
    assert shown_half % place == 0
    assert abs(float(shown * scale) - value) <= 0.51 * float(place * scale)
    assert abs(float(shown_half * scale) - half) <= 0.51 * float(place * scale)


def test_shown_value_and_interval() -> None:
    assert shown_value(0.12345, 0.0031) == "0.123"
    assert shown_value(0.12345, 0.0) == "0.123"
    assert shown_value(0.0, 0.01) == "0.000"
    assert shown_interval(0.0249, 0.0377) == "[0.025, 0.038]"
    assert shown_interval(0.5, 0.5) == "[0.500, 0.500]"


def test_probabilities_claim_no_certainty() -> None:
    assert [shown_probability(p) for p in (0.0, 0.004, 0.5, 0.996, 1.0)] == ["<1%", "<1%", "50%", ">99%", ">99%"]


def test_aligned_lines_up_decimal_points() -> None:
    padded = aligned(["0.031 ± 0.006", "-12.5 ± 0.4", "3", "none"])
    assert len({len(text) for text in padded}) == 1
    assert padded[0].index(".") == padded[1].index(".") == 3
    assert padded[2].startswith("  3 ")
    assert padded[3].startswith("none")
