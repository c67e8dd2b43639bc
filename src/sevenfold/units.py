"""Quantities: parsing what people write, showing what people read.

Inside the program a quantity is an SI float whose name ends in its unit, ``energy_j``.
Prefixes are decimal (k, M, G, T, P, E) or binary (Ki, Mi, Gi, ...), never mixed: 80GB is 80e9 bytes, 80GiB is
80 * 2**30. One MAC is two FLOPs, always.

>>> parse("3.35TB/s", BYTES_PER_SECOND)
3350000000000.0
>>> show(80e9, BYTES), show(2**30, BYTES, binary=True)
('80 GB', '1 GiB')
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

from sevenfold.errors import QuantityError

_DECIMAL = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18, "Z": 1e21}
_SMALL = {"m": 1e-3, "u": 1e-6, "µ": 1e-6, "μ": 1e-6, "n": 1e-9, "p": 1e-12, "f": 1e-15}
_SMALL_SHOWN = {prefix: factor for prefix, factor in _SMALL.items() if prefix not in ("u", "μ")}
_MONEY = {"": 1.0, "M": 1e6, "B": 1e9, "T": 1e12}
_BINARY = {"Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40, "Pi": 2.0**50, "Ei": 2.0**60}
_NUMBER = re.compile(r"^\s*(\$)?\s*([+-]?(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(.*?)\s*$")
# "1h30m", "1 min 30 s": each part smaller than the one before it, as people write them.
_DURATION_PART = re.compile(r"\d+(?:\.\d+)?\s*[a-z]+")
_DURATION = re.compile(
    r"\s*(?=.*\d\s*[a-z]+\s*\d)(?:\d+\s*(?:d|days)\s*)?(?:\d+\s*(?:h|hours)\s*)?(?:\d+\s*(?:m|min|minutes)\s*)?"
    r"(?:\d+(?:\.\d+)?\s*(?:s|sec|seconds)\s*)?"
)


@dataclass(frozen=True)
class Unit:
    """One kind of quantity: how it is shown, and every spelling that people use for it."""

    name: str  # what an error calls it: "bytes per second"
    symbol: str  # what is shown: "B/s"
    spellings: tuple[str, ...]  # that take prefixes
    factors: Mapping[str, float] = field(default_factory=dict)  # whole words that take none: {"h": 3600.0}
    binary: bool = False  # may carry Ki, Mi, Gi
    small: bool = False  # may carry m, u, n, p
    example: str = ""
    money: bool = False


BYTES = Unit("bytes", "B", ("B", "byte", "bytes"), binary=True, example="80GB")
BYTES_PER_SECOND = Unit("bytes per second", "B/s", ("B/s", "Bps"), binary=True, example="3.35TB/s")
WATTS = Unit("watts", "W", ("W", "watt", "watts"), small=True, example="700W")
JOULES = Unit(
    "joules",
    "J",
    ("J", "joule", "joules"),
    {"Wh": 3600.0, "kWh": 3.6e6, "MWh": 3.6e9, "GWh": 3.6e12, "TWh": 3.6e15},
    small=True,
    example="500J",
)
SECONDS = Unit(
    "seconds",
    "s",
    ("s", "sec", "seconds"),
    {"min": 60.0, "m": 60.0, "h": 3600.0, "hours": 3600.0, "d": 86400.0, "days": 86400.0, "minutes": 60.0},
    small=True,
    example="5m",
)
# "FLOPS" is a rate to everybody who sells chips, so it is refused as a number of operations.
FLOPS = Unit("floating-point operations", "FLOP", ("FLOP", "FLOPs"), example="1e21FLOP")
FLOPS_PER_SECOND = Unit("FLOP per second", "FLOP/s", ("FLOP/s", "FLOPs/s", "FLOPS"), example="989TFLOP/s")
HERTZ = Unit("hertz", "Hz", ("Hz",), small=True, example="200MHz")
USD = Unit("US dollars", "$", ("$", "USD", "usd", ""), example="$10e6", money=True)
USD_PER_HOUR = Unit("US dollars per hour", "$/h", ("$/h", "USD/h", "/h", "usd/h"), example="$2.5/h", money=True)
COUNT = Unit("a number", "", ("",), example="300e9")


def parse(text: str | float, unit: Unit) -> float:
    """The SI value of a text such as ``80GB``, ``3.35TB/s``, ``700W``, ``$2.5/h``, ``5m``, ``1h30m``.

    A bare number is taken in the unit itself. Raises QuantityError with the wanted unit and an example.

    >>> parse("$2.5/h", USD_PER_HOUR), parse("1.5GiB", BYTES)
    (2.5, 1610612736.0)
    """
    if isinstance(text, (int, float)) and not isinstance(text, bool):
        # Compared, not converted: float() of a huge int raises.
        if not abs(text) <= sys.float_info.max:
            raise _not_a_quantity(text, unit)
        return float(text)
    if unit is SECONDS and _DURATION.fullmatch(str(text)):
        return math.fsum(parse(part, unit) for part in _DURATION_PART.findall(str(text)))
    match = _NUMBER.match(str(text))
    if match is None:
        raise _not_a_quantity(text, unit)
    dollar, number, suffix = match.groups()
    if dollar and not unit.money:
        raise _not_a_quantity(text, unit)
    value = float(number.replace("_", ""))
    factor = _factor(suffix, unit)
    if factor is None or not math.isfinite(value * factor):
        raise _not_a_quantity(text, unit)
    return value * factor


def _factor(suffix: str, unit: Unit) -> float | None:
    if suffix == "" or suffix == unit.symbol:
        return 1.0
    if suffix in unit.factors:
        return unit.factors[suffix]
    prefixes = dict(_DECIMAL, K=1e3, B=1e9) if unit is COUNT or unit.money else dict(_DECIMAL, K=1e3)
    if unit.small:
        prefixes |= _SMALL
    if unit.binary:
        prefixes |= _BINARY
    for spelling in sorted(unit.spellings, key=len, reverse=True):
        if suffix.endswith(spelling) and suffix[: len(suffix) - len(spelling)] in prefixes:
            return prefixes[suffix[: len(suffix) - len(spelling)]]
    return None


def _not_a_quantity(text: object, unit: Unit) -> QuantityError:
    prefixes = "k, M, G, T" + (" or Ki, Mi, Gi" if unit.binary else "")
    got = repr(text)
    return QuantityError(
        f"not a quantity in {unit.name}" if unit.symbol else "not a number",
        got=got if len(got) < 60 else got[:57] + "...",
        expected=f"a number with {prefixes} and {unit.symbol or 'no unit'}",
        hint=unit.example,
    )


def show(value: float | None, unit: Unit, *, digits: int = 3, binary: bool = False) -> str:
    """A quantity with ``digits`` significant digits and a prefix.

    >>> show(3.35e12, BYTES_PER_SECOND), show(90.0, SECONDS), show(2.5, USD_PER_HOUR), show(None, WATTS)
    ('3.35 TB/s', '1 min 30 s', '$2.5/h', 'unknown')
    """
    if value is None:
        return "unknown"
    if not math.isfinite(value):
        return f"{value} {unit.symbol}".strip()
    if unit is SECONDS and abs(value) >= 60:
        return _show_duration(value)
    if unit.money:
        prefix = _fitting_prefix(value, _MONEY, digits)
        shown = f"${_significant(value / _MONEY[prefix], digits)}"
        return (f"{shown} {prefix}" if prefix else shown) + unit.symbol.removeprefix("$")
    table = _BINARY if binary else {**_DECIMAL, **(_SMALL_SHOWN if unit.small else {})}
    if binary and abs(value) < 1024:
        table = {"": 1.0}
    prefix = _fitting_prefix(value, table, digits)
    return f"{_significant(value / table[prefix], digits)} {prefix}{unit.symbol}".strip()


def _fitting_prefix(value: float, table: Mapping[str, float], digits: int) -> str:
    ordered = sorted(table, key=table.__getitem__)
    if value == 0:
        return "" if "" in table else ordered[0]
    fitting = [prefix for prefix in ordered if abs(value) >= table[prefix] * (1 - 0.5 * 10.0**-digits)]
    return fitting[-1] if fitting else ordered[0]


def _significant(value: float, digits: int) -> str:
    if value == 0:
        return "0"
    text = f"{value:.{digits}g}"
    if "e" not in text:
        return text
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{value:.{decimals}f}" if 1e-4 <= abs(value) < 1e6 else text


def _show_duration(seconds: float) -> str:
    total = abs(seconds)
    # Rounded to the smaller of the two units that are shown.
    finest = 3600 if total >= 86400 else 60 if total >= 3600 else 1
    total = round(total / finest) * finest
    parts = []
    for name, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        amount, total = divmod(total, size)
        if amount:
            parts.append(f"{amount} {name}")
    return ("-" if seconds < 0 else "") + " ".join(parts[:2])
