"""Whole diagnoses of real training in which the binding constraint was built in: how often it is named alone.

Ten seeds (``--quick``: two) of each of the three worlds of tests/diagnosis/planted.py, one process, one thread.
A row says in how many the planted constraint was the binding set, the mean number of runs, and the CPU time of one.
For the world with too few examples, also what the law promised for twice the examples, what twice really gave
(of six seeds each), and in how many worlds that lay within the 95% interval.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from statistics import fmean

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "diagnosis"))


def run(quick: bool) -> list[dict[str, object]]:
    import torch
    from planted import PLANTED

    torch.set_num_threads(1)
    return [_world(constraint, 2 if quick else 10) for constraint in PLANTED]


def _world(constraint: str, num_seeds: int) -> dict[str, object]:
    from planted import InProcessRunner, diagnose_recipe, planted

    named, runs, cpu_s, promises = 0, [], [], []
    for seed in range(num_seeds):
        with tempfile.TemporaryDirectory() as home:
            recipe, facts = planted(constraint, seed)  # type: ignore[arg-type]
            runner, started = InProcessRunner(Path(home)), time.process_time()
            found = diagnose_recipe(recipe, facts, runner)
            cpu_s.append(time.process_time() - started)
            runs.append(runner.num_runs)
            named += found.binding == [constraint]
            if constraint == "data":
                price = found.constraints["data"].shadow_price
                assert price is not None
                promises.append((price.value, price.low, price.high, _real_doubling(seed, Path(home))))
    row: dict[str, object] = {
        "planted": constraint, "seeds": num_seeds, "named_alone": named, "mean_runs": round(fmean(runs), 1),
        "mean_cpu_s": round(fmean(cpu_s), 1), "promised_nats": "", "real_nats": "", "real_within_interval": "",
    }  # fmt: skip
    if promises:
        row |= {
            "promised_nats": round(fmean(value for value, *_ in promises), 3),
            "real_nats": round(fmean(real for *_, real in promises), 3),
            "real_within_interval": sum(low <= real <= high for _, low, high, real in promises),
        }
    return row


def _real_doubling(seed: int, home: Path) -> float:
    """The fall in loss from the planted examples to twice as many, the planted ones among them."""
    from planted import NUM_EXAMPLES, InProcessRunner, noisy_classes, planted

    recipe, _ = planted("data", seed)
    more = recipe.with_changes({"data.name": noisy_classes(2 * NUM_EXAMPLES, seed + 5).register().name})
    runner = InProcessRunner(home)

    def loss(one: object) -> float:
        seeded = [one.with_changes({"seed": 7_000_000 + number}) for number in range(6)]  # type: ignore[attr-defined]
        outcomes = list(runner.run(seeded))
        return fmean(float(outcome.record.summary["validation_loss"]) for outcome in outcomes)  # type: ignore

    return loss(recipe) - loss(more)
