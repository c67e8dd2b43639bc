"""One function over many items on Ray, which is an extra: the machines of a cluster, or this one's cores.

A cluster that ``RAY_ADDRESS`` names is used as it is; otherwise Ray is started here and stopped again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

from sevenfold.errors import UsageError


def map_on_ray(work: Callable[[Any], Any], items: Sequence[Any], workers: int) -> list[Any]:
    """What ``work`` makes of every item, in their order; ``workers`` cores where Ray is started here.

    Raises UsageError where the package is not installed.
    """
    try:
        import ray
    except ImportError:
        raise UsageError(
            "the package ray is not installed",
            expected="the extra: pip install 'sevenfold[ray]'",
            hint="processes, which need no package",
        ) from None

    def one(item: Any) -> Any:
        return work(item)

    started = not ray.is_initialized()
    if started:
        # No dashboard, no copies of the workers' logs; ray.init takes no sizes where a cluster is named.
        sizes = {} if os.environ.get("RAY_ADDRESS") else {"num_cpus": workers, "include_dashboard": False}
        ray.init(log_to_driver=False, logging_level="ERROR", **sizes)
    try:
        task = ray.remote(one)
        return list(ray.get([task.remote(item) for item in items]))
    finally:
        if started:
            ray.shutdown()
