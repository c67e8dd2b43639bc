"""What learning from a reward model buys, and how it is overdone: true and proxy reward by divergence.

On requests, whose true reward is known, with seeds 0, 1 and 2 (a run that is in the data folder is not trained
again). A row is a way of answering test prompts: `sft`; the best of n of its answers by the proxy (`best-of-n`, its
divergence the closed form log n - (n - 1) / n); `ppo` by penalty, at each validation pass (`step`) and at the end;
`ppo-true` on the true reward itself; `ppo-ptx`; `dpo`. *divergence* is in nats an answer from `sft`, *plain* the
loss on texts of the pre-training in nats a token, *errors* the share of comparisons that the labellers got wrong.

What varies beyond that does so with seed 0 alone: a third penalty, the true reward, the labellers' errors.

The picture goes to docs/over-optimization.png.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch

from benchmarks.alignment_picture import draw
from sevenfold.actions.train import train
from sevenfold.layers import CachedDecoder
from sevenfold.runs.record import RunRecord
from sevenfold.runs.store import RunStore
from sevenfold.training.alignment.answers import sample_answers
from sevenfold.training.alignment.asking import Asking, build_asking
from sevenfold.training.alignment.best_of import best_of, best_of_divergence
from sevenfold.training.alignment.running import answer_score, plain_loss
from sevenfold.training.trained import trained_workload

Row = dict[str, object]

_PENALTIES = (0.0, 0.2)
_OTHER_PENALTIES = (0.05,)  # with seed 0 alone, as are the true reward and the labellers' errors
_ERRORS = (0.0, 0.1, 0.25, 0.4)  # of the labellers whose reward models choose the best of n
_LEARNED = (0.1, 0.4)  # and of those that PPO learns from
_MOST = 32
_PROMPTS = 100
_PICTURE = Path(__file__).parent.parent / "docs" / "over-optimization.png"


def run(quick: bool) -> list[Row]:
    """One row a seed and way of answering."""
    torch.set_num_threads(1)
    rows = [row for seed in ((0,) if quick else (0, 1, 2)) for row in _of_seed(seed, quick)]
    if not quick:
        draw(rows, _PICTURE)
    return rows


def _of_seed(seed: int, quick: bool) -> Iterator[Row]:
    few: dict[str, object] = {"steps": 2, "evaluate_every": 1, "evaluate_examples": 16} if quick else {}
    first = train("ppo-requests", {"seed": seed, **few})
    asking = build_asking(first.run_recipe())
    yield from _shown(seed, _started(asking, first))
    changes: list[tuple[str, dict[str, object]]] = [("ppo", {"feedback.penalty": each}) for each in _PENALTIES]
    changes.append(("ppo-ptx", {}))
    if seed == 0:
        changes += [("ppo", {"feedback.penalty": each}) for each in _OTHER_PENALTIES]
        changes.append(("ppo-true", {"feedback.reward": "true"}))
    for method, change in changes[:1] if quick else changes:
        recipe = "ppo-ptx-requests" if method == "ppo-ptx" else "ppo-requests"
        record = train(recipe, {"seed": seed, **change, **few})
        yield from _shown(seed, _learned(record, method, record.run_recipe().feedback.penalty))
    yield from _shown(seed, _other(asking, train("dpo-requests", {"seed": seed, **few}), "dpo"))
    if seed == 0:
        yield from _shown(seed, _by_errors(seed, asking, few, _ERRORS[1:2] if quick else _ERRORS))


def _started(asking: Asking, record: RunRecord) -> Iterator[Row]:
    """The policy before it learned from rewards, and the best of its answers."""
    summary = record.summary
    plain = plain_loss(asking, asking.reference, "test", at_most=asking.recipe.evaluate_examples)
    yield {"method": "sft", **_figures({k.removeprefix("start_"): v for k, v in summary.items()}), "plain": plain}
    yield from _best_of(asking)


def _best_of(asking: Asking) -> Iterator[Row]:
    """Estimated without bias from the same answers of each model that judges them."""
    prompts = asking.prompts("test")
    generator = torch.Generator().manual_seed(1)
    proxies, worth = [], []
    for prompt in prompts.tokens[:_PROMPTS]:
        answers = sample_answers(
            asking.reference,
            [prompt] * _MOST,
            longest=asking.recipe.feedback.answer_tokens,
            end=prompts.end,
            pad=prompts.pad,
            generator=generator,
        )
        proxies.append(asking.reward(answers))
        worth.append(asking.true_rewards(answers))
    proxy, true = torch.stack(proxies), torch.stack(worth)
    for n in (2**power for power in range(6)):
        yield {
            "method": "best-of-n",
            "n": n,
            "divergence": best_of_divergence(n),
            "reward": float(best_of(proxy, proxy, n).mean()),
            "true_reward": float(best_of(proxy, true, n).mean()),
        }


def _learned(record: RunRecord, method: str, penalty: float) -> Iterator[Row]:
    """A run of PPO: each validation pass, and the test prompts at the end."""
    store = RunStore()
    names = ("divergence", "reward", "true_reward", "plain_loss")
    columns = {name: store.metrics(record.id, f"validation_{name}") for name in names}
    for place, step in enumerate(columns["reward"][0].tolist()):
        figures = {name: float(column[1][place]) for name, column in columns.items()}
        plain = figures.pop("plain_loss")
        yield {"method": method, "penalty": penalty, "step": step, **figures, "plain": plain}
    summary = {k.removeprefix("test_"): v for k, v in record.summary.items() if k.startswith("test_")}
    yield {"method": method, "penalty": penalty, **_figures(summary), "plain": summary["plain_loss"]}


def _other(asking: Asking, record: RunRecord, method: str) -> Iterator[Row]:
    """A policy that learned otherwise, in the same figures."""
    policy = trained_workload(record.id)[1].model
    assert isinstance(policy, CachedDecoder)
    at_most = asking.recipe.evaluate_examples
    score = answer_score(asking, policy, "test", at_most=at_most)
    plain = plain_loss(asking, policy, "test", at_most=at_most)
    yield {"method": method, **_figures(vars(score)), "plain": plain}


def _by_errors(seed: int, asking: Asking, few: dict[str, object], errors: Iterable[float]) -> Iterator[Row]:
    """The same steps with labellers who err."""
    for share in errors:
        judge = train("reward-requests", {"seed": seed, "data.error_rate": share, **few})
        told = {"errors": share, "pairs_right": judge.summary["test_accuracy"]}
        judged = build_asking(asking.recipe.with_changes({"feedback.reward": judge.id}))
        yield from ({**row, **told} for row in _best_of(judged))
        if share in _LEARNED:
            record = train("ppo-requests", {"seed": seed, "feedback.reward": judge.id, **few})
            penalty = asking.recipe.feedback.penalty
            yield from ({**row, **told} for row in _learned(record, "ppo", penalty))


def _figures(found: dict[str, object]) -> Row:
    return {name: found[name] for name in ("divergence", "reward", "true_reward", "answer_tokens")}


def _shown(seed: int, rows: Iterable[Row]) -> Iterator[Row]:
    for row in rows:
        whole = {"seed": seed, **{k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()}}
        print(whole, file=sys.stderr, flush=True)
        yield whole
