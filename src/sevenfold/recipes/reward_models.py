"""Reward models at paper size, from a file of what people prefer; on requests they are ``reward-requests``."""

from __future__ import annotations

from sevenfold.recipes._catalogue import recipe
from sevenfold.runs.recipe import DataChoice, ModelChoice, Objective, Optimizer, Recipe, Schedule

_COSINE = Schedule(name="cosine", warmup_fraction=0.0, final_fraction=0.1)


@recipe(paper=True)
def rlhf2019_reward() -> Recipe:
    """The 774M reward model of 2019 learns which of four answers people take for the best.

    Needs a file of comparisons, comparisons.jsonl, as `sevenfold label` writes it, here read as bytes, and as
    ``start`` a language model of the same tokens. The loss is the paper's, the optimizer's settings are not. A file
    of your own with a small model: ``--set data.name=comparisons:FILE --set model.name=rlhf2019-nano``.

    Command:  sevenfold train rlhf2019-reward
    Hardware: accelerators
    Time:     not measured
    Result:   not trained here; needs comparisons:comparisons.jsonl
    """
    return Recipe(
        name="rlhf2019-reward",
        task="reward",
        model=ModelChoice(name="rlhf2019", settings={"padding": 0}),
        data=DataChoice(name="comparisons:comparisons.jsonl"),
        objective=Objective(comparison="best"),
        optimizer=Optimizer(name="adam", lr=1e-5, weight_decay=0.0),
        schedule=_COSINE,
        batch_size=8,
        steps=625,  # one pass over 5,000 comparisons
        precision="bf16",
        threads=0,
    )


@recipe(paper=True)
def instructgpt_reward() -> Recipe:
    """The 6B reward model of InstructGPT learns from people's rankings of four to nine answers.

    Needs a file of rankings, comparisons.jsonl, as `sevenfold label` writes it, here read as bytes, and as
    ``start`` a language model of the same tokens. The loss is the paper's, the optimizer's settings are not. A file
    of your own with a small model: ``--set data.name=comparisons:FILE --set model.name=instructgpt-nano``.

    Command:  sevenfold train instructgpt-reward
    Hardware: accelerators
    Time:     not measured
    Result:   not trained here; needs comparisons:comparisons.jsonl
    """
    return Recipe(
        name="instructgpt-reward",
        task="reward",
        model=ModelChoice(name="instructgpt-6b", settings={"padding": 0}),
        data=DataChoice(name="comparisons:comparisons.jsonl"),
        optimizer=Optimizer(name="adamw", lr=1e-5, weight_decay=0.0, beta2=0.95),
        schedule=_COSINE,
        batch_size=64,
        accumulate=8,
        steps=516,  # one pass over 33,000 prompts
        precision="bf16",
        threads=0,
    )
