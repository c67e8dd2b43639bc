"""The picture of `bench_alignment`: what answers are worth by how far they are from where they began."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import Any

Rows = Sequence[dict[str, Any]]


def draw(rows: Rows, path: Path) -> None:
    """Left: true (solid) and proxy (dashed) reward by divergence. Right: true reward by the labellers' errors."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4.8), layout="constrained")
    penalties = sorted({row["penalty"] for row in rows if row["method"] == "ppo"})
    for place, penalty in enumerate(penalties):
        colour = plt.get_cmap("viridis")(place / max(1, len(penalties) - 1) * 0.85)
        steps = _steps(rows, penalty)
        for key, style in (("true_reward", "-"), ("reward", "--")):
            label = f"PPO, penalty {penalty:g}" if style == "-" else None
            left.plot(*_curve(steps, key), style, color=colour, label=label, marker=".")
    drawn = [row for row in rows if row["method"] == "best-of-n" and "errors" not in row]
    by_n = [[row for row in drawn if row["n"] == n] for n in sorted({row["n"] for row in drawn})]
    for key, style in (("true_reward", "-"), ("reward", "--")):
        left.plot(
            *_curve(by_n, key), style, color="tab:red", label="best of n" if style == "-" else None, marker="."
        )
    for method, marker in (("sft", "s"), ("dpo", "D"), ("ppo-true", "*")):
        found = [row for row in rows if row["method"] == method and "step" not in row]
        if found:
            at = (mean(row["divergence"] for row in found), mean(row["true_reward"] for row in found))
            left.plot(
                *at, marker, color="black", label={"ppo-true": "PPO on the true reward"}.get(method, method.upper())
            )
    left.set_xscale("function", functions=(lambda x: abs(x) ** 0.5, lambda x: x**2))
    left.set_xlim(left=0)
    left.set_xticks([0, 1, 2, 5, 10, 20, 40])
    left.set_xlabel("divergence from the supervised policy (nats an answer; square-root scale)")
    left.set_ylabel("reward of answers (solid: true, dashed: the reward model's)")
    left.legend(fontsize=8)
    _by_errors(rows, right)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _steps(rows: Rows, penalty: float) -> list[list[dict[str, Any]]]:
    found = [
        r for r in rows if r["method"] == "ppo" and r["penalty"] == penalty and "step" in r and "errors" not in r
    ]
    start = [row for row in rows if row["method"] == "sft" and row["seed"] in {one["seed"] for one in found}]
    return [start, *([row for row in found if row["step"] == step] for step in sorted({r["step"] for r in found}))]


def _curve(groups: Sequence[Rows], key: str) -> tuple[list[float], list[float]]:
    """Means over seeds of the divergence and of a reward."""
    return [mean(r["divergence"] for r in group) for group in groups], [
        mean(r[key] for r in group) for group in groups
    ]


def _by_errors(rows: Rows, axes: Any) -> None:
    told = [row for row in rows if "errors" in row and "step" not in row]
    for method, label, kept in (
        ("ppo", "PPO", lambda row: True),
        ("best-of-n", "best of 32", lambda row: row["n"] == 32),
    ):
        found = [row for row in told if row["method"] == method and kept(row)]
        for row in found:
            axes.plot(
                row["errors"], row["true_reward"], ".", color="tab:red" if method == "best-of-n" else "tab:blue"
            )
        shares = sorted({row["errors"] for row in found})
        means = [mean(row["true_reward"] for row in found if row["errors"] == share) for share in shares]
        axes.plot(shares, means, color="tab:red" if method == "best-of-n" else "tab:blue", label=label)
    start = [row["true_reward"] for row in rows if row["method"] == "sft"]
    axes.axhline(mean(start), color="grey", linestyle=":", label="SFT")
    axes.set_xlabel("share of comparisons that labellers got wrong")
    axes.set_ylabel("true reward of answers")
    axes.legend(fontsize=8)
