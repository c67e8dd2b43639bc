"""The verdicts that a report must tell well: data binds, a tie, nothing binds, trouble, extremes, hostile names."""

# ruff: noqa: E501 (tables of numbers read better with one record a line)

from __future__ import annotations

from collections.abc import Callable

from example_diagnosis import BASELINE_RUNS, build, effect

from sevenfold.diagnosis.result import Advice, Budget, Constraint, ConstraintName, Diagnosis, Effect
from sevenfold.diagnosis.showing import shown_effect

DATA, OPTIMIZATION, COMPUTE = effect(0.0227, 0.0061), effect(0.0118, 0.0043), effect(0.0062, 0.0031)


def free(gain: Effect, test: Effect | None = None, change: str = "--set optimizer.lr=0.002") -> Advice:
    return Advice(
        constraint="optimization",
        kind="free",
        text=f"{change}: {shown_effect(gain)} nats lower, at no extra resource",
        change=change,
        gain=gain,
        test_gain=test,
        evidence=BASELINE_RUNS,
    )


def buy(name: ConstraintName, text: str, gain: Effect, change: str | None) -> Advice:
    told = ", predicted by the fitted law" if name == "data" else ""
    return Advice(
        constraint=name,
        kind="buy",
        text=f"{text}: {shown_effect(gain)} nats lower{told}",
        change=change,
        gain=gain,
        evidence=BASELINE_RUNS,
    )


def data_binds() -> Diagnosis:
    return build(
        {
            "data": DATA,
            "parameters": effect(0.0041, 0.0038),
            "optimization": OPTIMIZATION,
            "architecture": effect(-0.0021, 0.0052),
            "compute": COMPUTE,
            "efficiency": effect(0.0079, 0.0062),
            "energy": effect(0.0081, 0.0063),
        },
        sentence=f"Data binds: doubling the training set would lower validation loss by {shown_effect(DATA)} nats "
        "(extrapolated by the fitted law); first pull the optimization & regularization lever: --set optimizer.lr=0.002 "
        f"--set optimizer.weight_decay=0.1 gains {shown_effect(OPTIMIZATION)} nats.",
        binding=["data"],
        p_best={
            "data": 0.962,
            "optimization": 0.031,
            "parameters": 0.0,
            "architecture": 0.0,
            "compute": 0.004,
            "efficiency": 0.003,
            "energy": 0.0,
        },
        advice=[
            free(OPTIMIZATION, effect(0.0102, 0.0047), "--set optimizer.lr=0.002 --set optimizer.weight_decay=0.1"),
            buy("data", "doubling the training set", DATA, None),
            buy("compute", "doubling the training steps (--set steps=800)", COMPUTE, "--set steps=800"),
        ],
    )


def tie() -> Diagnosis:
    data, compute = effect(0.0182, 0.0072), effect(0.0164, 0.0058)
    return build(
        {
            "data": data,
            "parameters": effect(0.0031, 0.0041),
            "optimization": effect(0.0052, 0.0058),
            "architecture": None,
            "compute": compute,
            "efficiency": effect(0.0103, 0.0071),
            "energy": None,
        },
        sentence="Data or compute binds, a tie within the noise: doubling the training set would lower validation loss by "
        f"{shown_effect(data)} nats, doubling the steps by {shown_effect(compute)} nats.",
        binding=["data", "compute"],
        p_best={"data": 0.58, "compute": 0.39, "efficiency": 0.03, "parameters": 0.0, "optimization": 0.0},
        advice=[
            buy("data", "doubling the training set", data, None),
            buy("compute", "doubling the training steps (--set steps=800)", compute, "--set steps=800"),
        ],
        warnings=["two rows are tied: more seeds there (--seeds 6) would tell them apart"],
    )


def nothing_binds() -> Diagnosis:
    small = effect(0.0008, 0.0021)
    return build(
        {
            "data": small,
            "parameters": effect(0.0004, 0.0018),
            "optimization": effect(-0.0003, 0.0022),
            "architecture": effect(-0.0121, 0.0061),
            "compute": effect(0.0006, 0.0019),
            "efficiency": effect(0.0009, 0.0028),
            "energy": effect(0.0009, 0.0029),
        },
        sentence="Nothing binds at this size: the recipe is at its floor; no change is worth 0.0012 nats (1% of the loss) "
        "beyond the noise.",
        binding=[],
        p_best={
            "data": 0.27,
            "parameters": 0.18,
            "optimization": 0.11,
            "architecture": 0.0,
            "compute": 0.2,
            "efficiency": 0.13,
            "energy": 0.11,
        },
        advice=[],
    )


def troubled() -> Diagnosis:
    """A person's own model: levers that cannot be pulled, a probe that failed, a budget that ran out."""
    base = build(
        {
            "data": DATA,
            "parameters": None,
            "optimization": effect(0.0071, 0.0102),
            "architecture": None,
            "compute": None,
            "efficiency": None,
            "energy": None,
        },
        sentence=f"Data binds as far as was reached: doubling the training set would lower validation loss by "
        f"{shown_effect(DATA)} nats; 2 rows were not reached within the budget of 1 min.",
        binding=["data"],
        p_best={"data": 0.97, "optimization": 0.03},
        advice=[buy("data", "doubling the training set", DATA, None)],
        roofline=None,
        recipe_name="my_file.py:recipe",
        baseline_accuracy=None,
        baseline_test_loss=None,
        budget=Budget(
            seconds=60.0,
            used_s=63.2,
            num_runs=11,
            num_reused=0,
            baseline_run_s=5.2,
            not_reached=["compute: 800 steps", "energy"],
        ),
        warnings=[
            "the learning-rate probe optimizer.lr=0.064 diverged (loss became NaN at step 12) and was left out",
            "only 2 of 3 seeds finished for data.fraction=0.25",
        ],
    )
    rows: dict[ConstraintName, Constraint] = dict(base.constraints)

    def change(name: ConstraintName, **changes: object) -> None:
        rows[name] = Constraint(
            **{**dict(rows[name]), "points": [], "fit": None, "evidence": [], "change": None, **changes}
        )

    change(
        "parameters",
        method="unavailable",
        why="the model takes no width: give it a callable with a width argument",
        active=False,
    )
    change(
        "architecture",
        method="unavailable",
        why="no alternatives were given for a model of one's own",
        active=False,
    )
    change("compute", method="not reached", why="the budget of 1 min ran out before twice the steps")
    change(
        "efficiency",
        method="failed",
        why="the calibration of this machine failed: no memory left for a 4096 × 4096 product",
        headroom_factor=None,
    )
    change("energy", method="not reached", why="the budget of 1 min ran out")
    failed = (
        rows["optimization"]
        .points[-1]
        .model_copy(update={"failed": "the loss became NaN at step 12", "runs": [], "num_runs": 0})
    )
    rows["optimization"] = rows["optimization"].model_copy(
        update={"points": [*rows["optimization"].points, failed]}
    )
    return base.model_copy(update={"constraints": rows})


def tiny() -> Diagnosis:
    return _scaled(1e-5, 0.118e-3, "tiny")


def huge() -> Diagnosis:
    return _scaled(1e3, 118e3, "huge")


def _scaled(scale: float, loss: float, name: str) -> Diagnosis:
    data, lever = (
        effect(2.27 * scale, 0.61 * scale),
        Effect(
            value=118 * scale,
            low=60 * scale,
            high=310 * scale,
            simultaneous_low=40 * scale,
            simultaneous_high=360 * scale,
        ),
    )
    return build(
        {
            "data": data,
            "parameters": effect(0.4 * scale, 0.3 * scale),
            "optimization": lever,
            "architecture": effect(-0.2 * scale, 0.5 * scale),
            "compute": effect(0.01 * scale, 0.004 * scale),
            "efficiency": None,
            "energy": None,
        },
        sentence=f"Optimization binds: the best setting found would lower validation loss by {shown_effect(lever)} nats.",
        binding=["optimization"],
        p_best={"optimization": 1.0, "data": 0.0, "parameters": 0.0, "architecture": 0.0, "compute": 0.0},
        advice=[free(lever), buy("data", "doubling the training set", data, None)],
        loss=loss,
        noise=0.05 * loss,
        recipe_name=name,
    )


HOSTILE = "<script>alert(1)</script>\"'&-日本語-Ünïcödé-" + "long-name-" * 12


def _hostile_row(row: Constraint, text: str) -> Constraint:
    points = [
        point.model_copy(update={"lever": text, "setting": f"{text} {n}"}) for n, point in enumerate(row.points)
    ]
    fit = row.fit and row.fit.model_copy(update={"x_label": text, "law": text})
    return row.model_copy(update={"why": text, "points": points, "fit": fit})


def hostile() -> Diagnosis:
    """Names that would break a careless page: markup, quotes, very long, not ASCII."""
    base = data_binds()
    text = f"{HOSTILE} </script><img src=x onerror=alert(2)>"
    return Diagnosis(
        **{
            **dict(base),
            "recipe_name": HOSTILE,
            "sentence": f"Data binds for {HOSTILE}: doubling the training set would lower validation loss by 0.023 ± 0.006 nats.",
            "warnings": [text],
            "curves": [curve.model_copy(update={"label": text}) for curve in base.curves],
            "constraints": {name: _hostile_row(row, text) for name, row in base.constraints.items()},
            "roofline": base.roofline
            and base.roofline.model_copy(
                update={
                    "chip": text,
                    "points": [p.model_copy(update={"name": text, "bound_by": text}) for p in base.roofline.points],
                }
            ),
            "provenance": {HOSTILE: {text: text}},
            "advice": [base.advice[0].model_copy(update={"text": text, "change": f"--set data.name='{text}'"})],
        }
    )


ALL: dict[str, Callable[[], Diagnosis]] = {
    "data_binds": data_binds,
    "tie": tie,
    "nothing_binds": nothing_binds,
    "troubled": troubled,
    "tiny": tiny,
    "huge": huge,
    "hostile": hostile,
}
