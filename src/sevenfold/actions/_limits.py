"""Hard limits as people state them: ``energy=500J``, ``time=60s``, ``memory=80GB``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sevenfold import units
from sevenfold.errors import UsageError, unknown_name
from sevenfold.spec import parse_assignments

# name -> unit; time and energy stop the run, the others bound what may be tried.
LIMITS: dict[str, units.Unit] = {
    "time": units.SECONDS,
    "energy": units.JOULES,
    "memory": units.BYTES,
    "parameters": units.COUNT,
    "usd": units.USD,
}


def parse_limits(limits: Mapping[str, str | float] | Iterable[str]) -> dict[str, float]:
    """Stated limits in SI units.

    >>> parse_limits(["energy=500J", "time=1m"])
    {'energy': 500.0, 'time': 60.0}
    """
    given = limits if isinstance(limits, Mapping) else parse_assignments(limits, option="--limit")
    stated: dict[str, float] = {}
    for name, text in given.items():
        if name not in LIMITS:
            raise unknown_name("limit", name, LIMITS)
        stated[name] = units.parse(text, LIMITS[name])
        if stated[name] <= 0:
            raise UsageError(f"limit {name} is not positive", got=repr(text), hint=LIMITS[name].example)
    return stated
