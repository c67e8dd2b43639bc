"""Limits that stop a run: dollars become the time that they pay for."""

from __future__ import annotations

import pytest

from sevenfold.actions.diagnose import stopping_limits
from sevenfold.errors import UsageError


def test_dollars_stop_a_run_as_time() -> None:
    assert stopping_limits({"usd": 2.0}, 7.2) == {"limits.time_s": 1000.0}
    assert stopping_limits({"usd": 2.0, "time": 60.0}, 7.2) == {"limits.time_s": 60.0}
    assert stopping_limits({"time": 60.0, "memory": 1e9}, None) == {"limits.time_s": 60.0}


def test_dollars_without_a_price_are_refused() -> None:
    with pytest.raises(UsageError, match="needs a price"):
        stopping_limits({"usd": 2.0}, None)
