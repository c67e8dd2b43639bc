"""Quantities: what people write is read right or refused; what is shown can be read back."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sevenfold import units
from sevenfold.errors import QuantityError
from sevenfold.units import (
    BYTES,
    BYTES_PER_SECOND,
    COUNT,
    FLOPS,
    FLOPS_PER_SECOND,
    HERTZ,
    JOULES,
    SECONDS,
    USD,
    USD_PER_HOUR,
    WATTS,
    Unit,
    parse,
    show,
)

ALL = [value for value in vars(units).values() if isinstance(value, Unit)]


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [
        ("80GB", BYTES, 80e9),
        ("80 GB", BYTES, 80e9),
        ("80GiB", BYTES, 80 * 2**30),
        ("1.5KiB", BYTES, 1536),
        ("64KB", BYTES, 64e3),
        ("64kB", BYTES, 64e3),
        ("3.35TB/s", BYTES_PER_SECOND, 3.35e12),
        ("2GiB/s", BYTES_PER_SECOND, 2**31),
        ("700W", WATTS, 700),
        ("1.2kW", WATTS, 1200),
        ("35mW", WATTS, 0.035),
        ("500J", JOULES, 500),
        ("3.1pJ", JOULES, 3.1e-12),
        ("2kWh", JOULES, 7.2e6),
        ("5m", SECONDS, 300),
        ("5ms", SECONDS, 5e-3),
        ("5 min", SECONDS, 300),
        ("12µs", SECONDS, 12e-6),
        ("12μs", SECONDS, 12e-6),  # the other micro sign
        ("1.5h", SECONDS, 5400),
        ("1h30m", SECONDS, 5400),
        ("2 d 3 h", SECONDS, 183_600),
        ("1h 0.5s", SECONDS, 3600.5),
        ("989TFLOP/s", FLOPS_PER_SECOND, 989e12),
        ("989TFLOPS", FLOPS_PER_SECOND, 989e12),
        ("3.14e23FLOP", FLOPS, 3.14e23),
        ("200MHz", HERTZ, 200e6),
        ("$2.5/h", USD_PER_HOUR, 2.5),
        ("2.5USD/h", USD_PER_HOUR, 2.5),
        ("$10e6", USD, 10e6),
        ("$4.6M", USD, 4.6e6),
        ("300e9", COUNT, 300e9),
        ("300B", COUNT, 300e9),
        ("1_000", COUNT, 1000),
        (12, WATTS, 12.0),
        ("12", WATTS, 12.0),
        ("-5W", WATTS, -5.0),
    ],
)
def test_what_people_write(text: str | float, unit: Unit, value: float) -> None:
    assert parse(text, unit) == pytest.approx(value, rel=1e-15)


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("80gb", BYTES),  # bits or bytes, giga or not: not guessed
        ("80Gb", BYTES),
        ("80KIB", BYTES),
        ("80G", BYTES),
        ("80 mB", BYTES),
        ("1Giflop", FLOPS),
        ("1GiW", WATTS),
        ("1KiJ", JOULES),
        ("1GiHz", HERTZ),
        ("1e21FLOPS", FLOPS),  # a rate
        ("700J", WATTS),
        ("5W", JOULES),
        ("$5", BYTES),
        ("$2.5/h", USD),
        ("30m1h", SECONDS),
        ("1m30", SECONDS),
        ("1h1h", SECONDS),
        ("", BYTES),
        ("GB", BYTES),
        ("1,000", COUNT),
        ("1e400", COUNT),
        ("nan", COUNT),
        ("inf", SECONDS),
        (float("nan"), SECONDS),
        (float("inf"), WATTS),
        (10**400, COUNT),
        (True, COUNT),
        ("12 12", COUNT),
        ("0x10", COUNT),
    ],
)
def test_what_is_refused(text: str | float, unit: Unit) -> None:
    with pytest.raises(QuantityError) as caught:
        parse(text, unit)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200
    assert caught.value.hint == unit.example


@pytest.mark.parametrize("unit", ALL, ids=lambda unit: unit.name)
def test_the_example_of_a_unit_is_one(unit: Unit) -> None:
    assert parse(unit.example, unit) > 0


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (3.35e12, BYTES_PER_SECOND, "3.35 TB/s"),
        (80e9, BYTES, "80 GB"),
        (999.6e9, BYTES, "1 TB"),
        (999.4e9, BYTES, "999 GB"),
        (0.0, BYTES, "0 B"),
        (90.0, SECONDS, "1 min 30 s"),
        (3599.9, SECONDS, "1 h"),
        (2 * 86400 - 60, SECONDS, "2 d"),
        (59.0, SECONDS, "59 s"),
        (-90.0, SECONDS, "-1 min 30 s"),
        (12.3e-6, SECONDS, "12.3 µs"),
        (2.5, USD_PER_HOUR, "$2.5/h"),
        (4.6e6, USD, "$4.6 M"),
        (9760, COUNT, "9.76 k"),
        (math.inf, WATTS, "inf W"),
        (None, WATTS, "unknown"),
    ],
)
def test_what_people_read(value: float | None, unit: Unit, text: str) -> None:
    assert show(value, unit) == text


def test_binary_is_shown_where_asked() -> None:
    assert show(2**30, BYTES, binary=True) == "1 GiB"
    assert show(1000, BYTES, binary=True) == "1000 B"
    assert show(80e9, BYTES, binary=True) == "74.5 GiB"


numbers = st.floats(min_value=1e-12, max_value=1e20)


@given(value=numbers, unit=st.sampled_from(ALL), digits=st.integers(2, 6))
def test_what_is_shown_can_be_read_back(value: float, unit: Unit, digits: int) -> None:
    if unit is SECONDS:
        value = min(value, 1e12)
    text = show(value, unit, digits=digits)
    if unit is SECONDS and value >= 59.5:
        # A duration shows two units and is rounded to the smaller one.
        tolerance = 3600 / 2 if value >= 86400 - 1800 else 60 / 2 if value >= 3600 - 30 else 1
        assert parse(text, unit) == pytest.approx(value, abs=tolerance)
    else:
        assert parse(text, unit) == pytest.approx(value, rel=0.51 * 10.0 ** (1 - digits), abs=0)


@given(value=st.floats(min_value=1.0, max_value=1e20), unit=st.sampled_from([BYTES, BYTES_PER_SECOND]))
def test_decimal_and_binary_never_mix(value: float, unit: Unit) -> None:
    decimal, binary = show(value, unit), show(value, unit, binary=True)
    assert "i" not in decimal
    assert parse(decimal, unit) == pytest.approx(value, rel=6e-3)
    assert parse(binary, unit) == pytest.approx(value, rel=6e-3)
    prefix = binary.split()[-1].removesuffix(unit.symbol)
    assert prefix == "" or prefix.endswith("i")


@given(
    number=st.floats(min_value=0.001, max_value=1e6).map(lambda value: f"{value:.6g}"),
    prefix=st.sampled_from(["", "k", "M", "G", "T", "P", "E"]),
    unit=st.sampled_from([BYTES, BYTES_PER_SECOND, WATTS, FLOPS, FLOPS_PER_SECOND, HERTZ]),
)
def test_prefixes_are_powers_of_a_thousand(number: str, prefix: str, unit: Unit) -> None:
    power = ["", "k", "M", "G", "T", "P", "E"].index(prefix)
    assert parse(f"{number}{prefix}{unit.symbol}", unit) == pytest.approx(float(number) * 1000.0**power, rel=1e-12)
    if prefix and unit.binary:
        binary = "K" if prefix == "k" else prefix
        expected = pytest.approx(float(number) * 1024.0**power, rel=1e-12)
        assert parse(f"{number}{binary}i{unit.symbol}", unit) == expected
    elif prefix:
        with pytest.raises(QuantityError):
            parse(f"{number}{prefix.upper()}i{unit.symbol}", unit)


@given(text=st.text(max_size=12), unit=st.sampled_from(ALL))
def test_any_text_is_a_finite_number_or_refused(text: str, unit: Unit) -> None:
    try:
        found = parse(text, unit)
    except QuantityError:
        return
    assert math.isfinite(found)
