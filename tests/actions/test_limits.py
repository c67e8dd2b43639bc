"""Hard limits as people state them."""

from __future__ import annotations

import pytest

from sevenfold.actions._limits import parse_limits
from sevenfold.errors import QuantityError, UnknownNameError, UsageError


def test_limits_are_read_in_si_units() -> None:
    stated = parse_limits(["energy=500J", "time=60s", "memory=80GB", "parameters=1M", "usd=$2"])
    assert stated == {"energy": 500.0, "time": 60.0, "memory": 80e9, "parameters": 1e6, "usd": 2.0}
    assert parse_limits({"energy": "1kWh", "time": 60}) == {"energy": 3.6e6, "time": 60.0}


@pytest.mark.parametrize(
    ("given", "error", "told"),
    [
        (["enrgy=500J"], UnknownNameError, "try energy"),
        (["energy=500W"], QuantityError, "500J"),
        (["time=-5s"], UsageError, "not positive"),
        (["time"], UsageError, "KEY=VALUE"),
        (["time=5s", "time=6s"], UsageError, "twice"),
    ],
)
def test_what_does_not_fit_is_told_in_one_line(given: list[str], error: type[Exception], told: str) -> None:
    with pytest.raises(error) as caught:
        parse_limits(given)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)
