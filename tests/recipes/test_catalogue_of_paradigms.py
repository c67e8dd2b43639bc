"""Every paradigm says what it compares, and what it states holds when it is measured again."""

from __future__ import annotations

import pytest

import sevenfold
from sevenfold.errors import UsageError
from sevenfold.recipes import PARADIGMS


@pytest.mark.parametrize("name", PARADIGMS.names())
def test_a_paradigm_says_command_hardware_time_and_result(name: str) -> None:
    entry = PARADIGMS[name]
    assert entry.summary.endswith(".")
    for line in (f"Command:  sevenfold paradigms run {name}", "Hardware: ", "Time:     ", "Result:   "):
        assert line in entry.help
    assert len({one.metric for one in entry.measured}) == len(entry.measured)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in PARADIGMS.names() if PARADIGMS[name].measured])
def test_a_paradigm_reaches_its_stated_figures(name: str) -> None:
    result = sevenfold.run_paradigm(name, seeds=1)
    found = {figure.name: figure.mean for figure in result.figures}
    for stated in PARADIGMS[name].measured:
        assert abs(found[stated.metric] - stated.mean) <= 4 * stated.spread + stated.slack, stated.metric


def test_no_seeds_are_refused() -> None:
    with pytest.raises(UsageError, match="seeds=0"):
        sevenfold.run_paradigm("classification", seeds=0)
