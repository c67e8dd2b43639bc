"""Diagnoses to show without training anything: one for every kind of verdict that a report must tell well.

Numbers are drawn from plausible curves with a fixed seed, at the size of the digits demo. ``python
tests/diagnosis/example_diagnosis.py FOLDER`` writes each as JSON and as a page.
"""

# ruff: noqa: E501 (tables of numbers read better with one record a line)

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from sevenfold.diagnosis.result import (
    CONSTRAINTS,
    HARD,
    TITLES,
    Advice,
    Amount,
    Budget,
    Constraint,
    ConstraintName,
    Curve,
    Diagnosis,
    Effect,
    Fit,
    Method,
    Point,
    Roofline,
    RooflinePoint,
)
from sevenfold.runs.recipe import DataChoice, ModelChoice, Optimizer, Recipe

Law = Callable[[float], float]
SEEDS = 3
BASELINE_RUNS = [f"digits-cnn-s{seed}-{digest}" for seed, digest in enumerate(("4be1c09a77d2", "a0953ffe1c68", "17cd20b3e94f"))]  # fmt: skip


def effect(value: float, half: float, scale: float = 1.5) -> Effect:
    return Effect(
        value=value,
        low=value - half,
        high=value + half,
        simultaneous_low=value - scale * half,
        simultaneous_high=value + scale * half,
    )


def recipe() -> Recipe:
    return Recipe(
        name="digits-cnn",
        task="classification",
        model=ModelChoice(name="lecun1989-small"),
        data=DataChoice(name="digits"),
        optimizer=Optimizer(lr=1e-3),
        steps=400,
        batch_size=64,
    )


def _run_ids(lever: str, setting: str) -> list[str]:
    rng = np.random.default_rng(abs(hash_of(lever + setting)))
    return [f"digits-cnn-s{seed}-{rng.integers(16**12):012x}" for seed in range(SEEDS)]


def hash_of(text: str) -> int:
    return sum(ord(letter) * 31**place for place, letter in enumerate(text)) % 2**31


def points(lever: str, settings: dict[str, float | None], law: Callable[[str], float], noise: float) -> list[Point]:
    """One point a setting; the one whose text is marked ``=baseline`` carries the baseline's runs."""
    rng = np.random.default_rng(hash_of(lever))
    made = []
    for setting, x in settings.items():
        name, is_baseline = setting.removesuffix("=baseline"), setting.endswith("=baseline")
        loss = law(name) + (0.0 if is_baseline else noise * rng.normal() / 4)
        made.append(
            Point(
                lever=lever,
                setting=name,
                x=x,
                loss=loss,
                low=loss - noise,
                high=loss + noise,
                num_runs=SEEDS,
                runs=BASELINE_RUNS if is_baseline else _run_ids(lever, name),
            )
        )
    return made


def fit(label: str, low_x: float, high_x: float, law: Law, text: str, noise: float, known_to: float) -> Fit:
    x = np.geomspace(low_x, high_x, 41)
    y = np.array([law(value) for value in x])
    spread = noise * (0.55 + 1.6 * np.maximum(0.0, np.log2(x / known_to)) ** 1.3)
    return Fit(x_label=label, x=list(x), y=list(y), low=list(y - spread), high=list(y + spread), law=text)


def curves(final: float) -> list[Curve]:
    made = []
    for seed, run in enumerate(BASELINE_RUNS):
        rng = np.random.default_rng(seed)
        steps = np.arange(1, 401, 4)
        smooth = final * 0.35 + 2.2 * np.exp(-steps / 38)
        train = smooth * np.exp(rng.normal(0, 0.16, steps.size))
        validation_steps = np.arange(25, 401, 25)
        validation = final + 2.15 * np.exp(-validation_steps / 40) + rng.normal(0, 0.004, validation_steps.size)
        made.append(
            Curve(
                run=run,
                label="baseline",
                steps=[int(s) for s in steps],
                train_loss=[float(v) for v in train],
                validation_steps=[int(s) for s in validation_steps],
                validation_loss=[float(v) for v in validation],
            )
        )
    return made


def roofline() -> Roofline:
    """A laptop core: 92 GFLOP/s in fp32, 11 GB/s."""
    peak, bandwidth = 92e9, 11e9
    rows = [
        ("conv1", 3.1, 0.62), ("conv1 backward", 2.4, 0.55), ("conv2", 11.0, 0.48), ("conv2 backward", 9.2, 0.41),
        ("linear1", 14.5, 0.66), ("linear1 backward", 10.4, 0.52), ("linear2", 2.9, 0.35), ("tanh", 0.16, 0.5),
        ("tanh backward", 0.2, 0.5), ("log_softmax", 0.35, 0.2), ("adamw", 0.42, 0.72),
    ]  # fmt: skip
    share = [0.14, 0.2, 0.1, 0.16, 0.04, 0.07, 0.02, 0.05, 0.04, 0.03, 0.15]
    return Roofline(
        chip="this-machine-1-thread",
        peak_flops_per_s=peak,
        bandwidth_bytes_per_s=bandwidth,
        points=[
            RooflinePoint(
                name=name,
                intensity_flops_per_byte=intensity,
                flops_per_s=min(peak, bandwidth * intensity) * reached,
                seconds=2.9e-3 * part,
                bound_by="arithmetic" if intensity > peak / bandwidth else "memory" if part > 0.03 else "overhead",
            )
            for (name, intensity, reached), part in zip(rows, share, strict=True)
        ],
        step_flops=52e6,
        attainable_step_s=1.04e-3,
        predicted_step_s=2.9e-3,
        measured_step_s=3.1e-3,
    )


def amounts() -> dict[ConstraintName, dict[str, Any]]:
    def amount(value: float, unit: str, text: str) -> Amount:
        return Amount(value=value, unit=unit, text=text)

    return {
        "data": {"limit": amount(1078, "examples", "1,078 examples"), "usage": amount(1078, "examples", "1,078 examples"), "slack": amount(0, "examples", "0 examples"), "slack_share": 0.0},
        "parameters": {"limit": amount(2.1e9, "parameters", "2.1 G parameters"), "usage": amount(9760, "parameters", "9,760 parameters"), "slack": amount(2.1e9 - 9760, "parameters", "2.1 G parameters"), "slack_share": 0.999995},
        "optimization": {"limit": None, "usage": None, "slack": None, "slack_share": None},
        "architecture": {"limit": None, "usage": None, "slack": None, "slack_share": None},
        "compute": {"limit": amount(400, "steps", "400 steps"), "usage": amount(400, "steps", "400 steps"), "slack": amount(0, "steps", "0 steps"), "slack_share": 0.0},
        "efficiency": {"limit": amount(50e9, "FLOP/s", "50 GFLOP/s"), "usage": amount(16.8e9, "FLOP/s", "16.8 GFLOP/s"), "slack": amount(33.2e9, "FLOP/s", "33.2 GFLOP/s"), "slack_share": 0.664},
        "energy": {"limit": None, "usage": amount(18.6, "J", "18.6 J"), "slack": None, "slack_share": None},
    }  # fmt: skip


WHY: dict[ConstraintName, str] = {
    "data": "trained on ¼ and ½ of the examples for the same 400 steps; one doubling up by the law, whose interval was widened by its error at the full set (0.003 nats)",
    "parameters": "half and twice the width, each with its own learning-rate check over ×½, ×1, ×2",
    "optimization": "learning rate ×½, ×2, ×4, weight decay, dropout and label smoothing; the best was chosen on 2 seeds and its gain measured on 3 fresh ones",
    "architecture": "2 alternatives of the catalogue at equal MACs (±10%), each with its own small rate search; none was better beyond the noise",
    "compute": "half and twice the steps, with the schedule stretched to the new end; twice the steps is 47 epochs over the same examples",
    "efficiency": "the training step reaches 34% of what the roofline of its operators allows; the factor 3.0 through the compute curve",
    "energy": "no joule limit was stated, so energy cannot bind; joules modelled from the chip's energy per operation, bound at the same graph's best",
}  # fmt: skip


def law_rows(loss: float, noise: float) -> dict[ConstraintName, dict[str, Any]]:
    def data(share: float) -> float:
        return loss * (0.45 + 0.55 * share**-0.62)

    def width(ratio: float) -> float:
        return loss * (0.94 + 0.06 * ratio**-1.2)

    def compute(ratio: float) -> float:
        return loss * (0.93 + 0.07 * ratio**-1.6)

    rates = {"0.00025": 2.1, "0.0005": 1.4, "0.001": 1.0, "0.002": 0.9, "0.004": 0.93, "0.008": 1.3}
    others = {"0.001": 1.01, "0.1": 0.985, "0.2": 1.06}
    return {
        "data": {
            "points": points("data.fraction", {"0.25": 0.25, "0.5": 0.5, "1=baseline": 1.0}, lambda s: data(float(s)), noise),
            "fit": fit("share of the training examples", 0.25, 2, data, f"L = {0.45 * loss:.2g} + {0.55 * loss:.2g} D^-0.62", noise, 1.0),
        },
        "parameters": {
            "points": points("model.width", {"4": 4.0, "8=baseline": 8.0, "16": 16.0}, lambda s: width(float(s) / 8), noise),
            "fit": fit("width", 4, 16, lambda x: width(x / 8), f"L = {0.94 * loss:.2g} + {0.06 * loss:.2g} (N/N₀)^-1.2", noise, 16),
        },
        "optimization": {
            "points": points("optimizer.lr", {k + ("=baseline" if v == 1.0 else ""): float(k) for k, v in rates.items()}, lambda s: loss * rates[s], noise)
            + points("optimizer.weight_decay", {k: float(k) for k in others if k != "0.2"}, lambda s: loss * others[s], noise)
            + points("model.dropout", {"0.2": 0.2}, lambda s: loss * others[s], noise)
            + points("objective.label_smoothing", {"0.1": 0.1}, lambda s: loss * 1.35, noise),
        },
        "architecture": {
            "points": [
                point.model_copy(update={"macs_ratio": macs, "time_ratio": time})
                for point, macs, time in zip(
                    points("model", {"mlp-small": None, "lecun1989": None}, lambda s: loss * {"mlp-small": 1.42, "lecun1989": 1.02}[s], noise),
                    (0.96, 1.07), (0.41, 1.22), strict=True,
                )
            ],
        },
        "compute": {
            "points": points("steps", {"200": 200.0, "400=baseline": 400.0, "800": 800.0}, lambda s: compute(float(s) / 400), noise),
            "fit": fit("steps", 200, 800, lambda x: compute(x / 400), f"L = {0.93 * loss:.2g} + {0.07 * loss:.2g} (C/C₀)^-1.6", noise, 800),
        },
        "efficiency": {"headroom_factor": 2.98},
        "energy": {"headroom_factor": 3.4},
    }  # fmt: skip


METHODS: dict[ConstraintName, Method] = {
    "data": "predicted", "parameters": "measured", "optimization": "measured", "architecture": "measured",
    "compute": "measured", "efficiency": "predicted", "energy": "modelled",
}  # fmt: skip
CHANGES: dict[ConstraintName, str | None] = {
    "data": None, "parameters": "--set model.width=16", "optimization": "--set optimizer.lr=0.002 --set optimizer.weight_decay=0.1",
    "architecture": None, "compute": "--set steps=800", "efficiency": "--set batch_size=256", "energy": None,
}  # fmt: skip


def build(
    effects: dict[ConstraintName, Effect | None],
    *,
    sentence: str,
    binding: list[ConstraintName],
    p_best: dict[ConstraintName, float],
    advice: list[Advice],
    loss: float = 0.118,
    noise: float = 0.006,
    **changes: Any,
) -> Diagnosis:
    """A diagnosis of seven rows with these effects; ``None`` is a row without a number."""
    rows, laws = amounts(), law_rows(loss, noise)
    constraints: dict[ConstraintName, Constraint] = {}
    for name in CONSTRAINTS:
        gain = effects[name]
        hard = name in HARD
        row_points: list[Point] = laws[name].get("points", [])
        constraints[name] = Constraint(
            name=name,
            title=TITLES[name],
            kind="hard" if hard else "lever",
            active=name != "energy",
            headroom=None if hard or name == "parameters" else gain,
            shadow_price=gain if hard or name == "parameters" else None,
            interval=None if gain is None else [gain.low, gain.high],
            p_best=p_best.get(name),
            method=METHODS[name] if gain is not None else "unavailable",
            why=WHY[name],
            change=CHANGES[name],
            evidence=list(dict.fromkeys(run for point in row_points for run in point.runs)) or BASELINE_RUNS,
            **{**rows[name], **laws[name]},
        )
    settings: dict[str, Any] = {
        "recipe": recipe().to_dict(),
        "recipe_name": "digits-cnn",
        "created": "2025-03-14T15:09:26+00:00",
        "sentence": sentence,
        "binding": binding,
        "min_effect": 0.01 * loss,
        "baseline_loss": effect(loss, noise),
        "baseline_test_loss": loss * 1.04,
        "baseline_accuracy": 0.9694,
        "baseline_runs": BASELINE_RUNS,
        "stopped_by": "steps",
        "constraints": constraints,
        "advice": advice,
        "curves": curves(loss),
        "roofline": roofline(),
        "budget": Budget(
            seconds=240.0, used_s=171.4, num_runs=64, num_reused=3, baseline_run_s=4.12, not_reached=[]
        ),
        "provenance": provenance(),
    }
    return Diagnosis(**{**settings, **changes})


def provenance() -> dict[str, object]:
    return {
        "data": {
            "name": "digits", "source": "scikit-learn's bundled copy of the UCI optical recognition of handwritten digits",
            "licence": "CC BY 4.0", "num_examples": 1797, "version": "scikit-learn 1.7.2",
            "sha256": "9f1d2a0b6f0e4f5b8a52c7d1e3b4c6a7d8e9f0a1b2c3d4e5f60718293a4b5c6d", "notes": "8×8 grey images, 10 classes",
        },
        "machine": {"chip": "this-machine-1-thread", "processor": "x86-64, 2 cores", "memory_bytes": 8_000_000_000, "system": "Linux"},
        "versions": {"sevenfold": "0.1.0", "python": "3.11.7", "torch": "2.13.0+cpu", "numpy": "2.4.6"},
        "seeds": [0, 1, 2],
    }  # fmt: skip


def main(folder: str) -> None:
    import example_verdicts

    from sevenfold.diagnosis.report import write_report

    Path(folder).mkdir(parents=True, exist_ok=True)
    for name, builder in example_verdicts.ALL.items():
        diagnosis = builder()
        Path(folder, f"{name}.json").write_text(json.dumps(diagnosis.to_dict(), indent=2))
        print(write_report(diagnosis, Path(folder, f"{name}.html")))
    assert math.isfinite(diagnosis.min_effect)


if __name__ == "__main__":
    main(sys.argv[1])
