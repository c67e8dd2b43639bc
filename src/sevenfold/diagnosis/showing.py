"""How an effect is written: never with more digits than its interval supports.

One rule for the sentence, the terminal and the page. Half the width of the 95% interval is rounded to one
significant digit (two where it starts with 1), and the value to the same decimal place. An interval that is not
symmetrical about its value is written out in brackets. Knows effects and probabilities; knows no layout.

>>> from sevenfold.diagnosis.result import Effect
>>> shown_effect(Effect(value=0.0312, low=0.0249, high=0.0375, simultaneous_low=0.02, simultaneous_high=0.04))
'0.031 ± 0.006'
>>> shown_effect(Effect(value=0.0312, low=0.0249, high=0.0875, simultaneous_low=0.02, simultaneous_high=0.09))
'0.03 [0.02, 0.09]'
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from sevenfold.diagnosis.result import Constraint, Effect

# The midpoint of an interval may lie this share of its half-width from the value and still be written with ±; the
# rounding of the half-width to one digit moves its ends by as much.
_SYMMETRY = 0.2
_SCIENTIFIC_BELOW = -5  # a last digit at or beyond the sixth decimal is written with a power of ten
_SCIENTIFIC_FROM = 1e6


def shown_effect(effect: Effect) -> str:
    """``0.031 ± 0.006``; ``0.03 [0.02, 0.09]`` where it is lopsided; one number where it has no width.

    >>> shown_effect(Effect(value=1.2e-5, low=0.9e-5, high=1.5e-5, simultaneous_low=0.0, simultaneous_high=2e-5))
    '(1.2 ± 0.3)×10⁻⁵'
    """
    half = (effect.high - effect.low) / 2
    if not half > abs(effect.value) * 1e-12:
        return _plain(effect.value)
    place = last_place(half)
    exponent = _exponent(max(abs(effect.value), abs(effect.low), abs(effect.high)), place)
    values = [_rounded(v, place, exponent) for v in (effect.value, half, effect.low, effect.high)]
    if abs((effect.low + effect.high) / 2 - effect.value) <= _SYMMETRY * half:
        text = f"{values[0]} ± {values[1]}"
        return f"({text}){_power(exponent)}" if exponent else text
    text = f"{values[0]} [{values[2]}, {values[3]}]"
    return f"({text}){_power(exponent)}" if exponent else text


def shown_value(value: float, half_width: float) -> str:
    """One number, to the digit that an interval of this half-width supports.

    >>> shown_value(0.12345, 0.0031), shown_value(1234.5, 310.0)
    ('0.123', '1200')
    """
    if not half_width > abs(value) * 1e-12:
        return _plain(value)
    place = last_place(half_width)
    exponent = _exponent(abs(value), place)
    return _rounded(value, place, exponent) + _power(exponent)


def shown_interval(low: float, high: float) -> str:
    """``[0.025, 0.037]``, to the digits that its own width supports.

    >>> shown_interval(0.0249, 0.0377)
    '[0.025, 0.038]'
    """
    half = (high - low) / 2
    if not half > max(abs(low), abs(high)) * 1e-12:
        return f"[{_plain(low)}, {_plain(high)}]"
    place = last_place(half)
    exponent = _exponent(max(abs(low), abs(high)), place)
    return f"[{_rounded(low, place, exponent)}, {_rounded(high, place, exponent)}]{_power(exponent)}"


def shown_probability(probability: float) -> str:
    """A whole percentage; never 0% or 100%, which no number of resamples shows.

    >>> shown_probability(0.934), shown_probability(0.0), shown_probability(1.0)
    ('93%', '<1%', '>99%')
    """
    percent = round(100 * probability)
    return "<1%" if percent < 1 else ">99%" if percent > 99 else f"{percent}%"


def ranked_effect(row: Constraint) -> Effect | None:
    """The effect that a row is ranked by: the shadow price of an amount, the headroom of a lever."""
    first, second = row.headroom, row.shadow_price
    if row.kind == "hard":
        first, second = second, first
    if first is None or second is None:
        return second if first is None else first
    # A lever with an amount (parameters) has both; the row's interval says which one counts.
    is_second = [second.low, second.high] == row.interval != [first.low, first.high]
    return second if is_second else first


def is_significant(effect: Effect | None) -> bool:
    """Whether the interval that covers all seven rows together lies above zero."""
    return effect is not None and effect.simultaneous_low > 0


def aligned(texts: Sequence[str], pad: str = " ") -> list[str]:
    """Texts padded so that their first numbers line up at the decimal point, and all have one width.

    >>> aligned(["0.031 ± 0.006", "12 ± 3", "—"])
    [' 0.031 ± 0.006', '12 ± 3        ', '—             ']
    """
    splits = [_decimal_split(text) for text in texts]
    left = max((len(before) for before, _ in splits if before), default=0)
    padded = [pad * (left - len(before)) + before + after if before else after for before, after in splits]
    width = max((len(text) for text in padded), default=0)
    return [text + pad * (width - len(text)) for text in padded]


def last_place(half_width: float) -> int:
    """The decimal exponent of the last digit that is shown: -3 for thousandths.

    >>> last_place(0.0063), last_place(0.0124), last_place(310.0)
    (-3, -3, 2)
    """
    exponent = math.floor(math.log10(half_width) + 1e-12)
    return exponent - 1 if half_width < 1.95 * 10.0**exponent else exponent


def _rounded(value: float, place: int, exponent: int) -> str:
    scaled, decimals = value / 10.0**exponent, exponent - place
    text = f"{round(scaled, decimals):.{max(0, decimals)}f}"
    return text.removeprefix("-") if float(text) == 0 else text


def _exponent(size: float, place: int) -> int:
    """The power of ten to factor out; 0 where plain digits read well."""
    if size == 0 or (place > _SCIENTIFIC_BELOW and size < _SCIENTIFIC_FROM):
        return 0
    return max(place, math.floor(math.log10(size) + 1e-12))


def _power(exponent: int) -> str:
    return "×10" + str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")) if exponent else ""


def _plain(value: float) -> str:
    """Three significant digits, for a number that has no interval."""
    if value == 0:
        return "0"
    place = math.floor(math.log10(abs(value)) + 1e-12) - 2
    exponent = _exponent(abs(value), place + 2) if abs(value) < 1 else _exponent(abs(value), 0)
    return _rounded(value, place, exponent) + _power(exponent)


def _decimal_split(text: str) -> tuple[str, str]:
    """``("0", ".031 ± 0.006")``; ``("", text)`` for a text that starts with no number."""
    end = 1 if text[:1] in "-−(" else 0
    start = end
    while end < len(text) and text[end].isdigit():
        end += 1
    return (text[:end], text[end:]) if end > start else ("", text)
