"""The third step of learning from people, on requests: PPO on the scores of a reward model."""

from __future__ import annotations

from sevenfold.recipes._catalogue import Measured, recipe
from sevenfold.runs.recipe import DataChoice, Feedback, ModelChoice, Optimizer, Recipe, Schedule


@recipe(measured=Measured("test_true_reward", 3.52, 0.23))
def ppo_requests() -> Recipe:
    """The GPT learns from a reward model's scores of its answers, by PPO with a penalty a token.

    Command:  sevenfold train ppo-requests
    Hardware: one core of a Xeon at 2.8 GHz
    Time:     30 s of CPU time, besides that of reward-requests
    Result:   answers to test prompts are worth 3.52 (mean of seeds 0 to 2, standard deviation 0.23), those of the
              model that it begins from 1.92; 3.3 nats an answer from it. Without the penalty
              (--set feedback.penalty=0) the reward model's score rises further and the true reward falls to 0.20
              (2.24), at 42 nats an answer
    """
    return Recipe(
        name="ppo-requests",
        task="rlhf",
        model=ModelChoice(name="gpt2-nano"),
        data=DataChoice(name="requests"),
        start="recipe:sft-requests",
        feedback=Feedback(reward="recipe:reward-requests", penalty=0.2, answer_tokens=31),
        optimizer=Optimizer(name="adam", lr=1e-3, weight_decay=0.0),
        schedule=Schedule(name="linear", warmup_fraction=0.0, final_fraction=0.0),
        batch_size=64,
        steps=40,
        evaluate_every=5,
        evaluate_examples=300,
    )


@recipe(measured=Measured("test_plain_loss", 1.10, 0.10))
def ppo_ptx_requests() -> Recipe:
    """PPO on a reward model's scores while the loss on texts of the pre-training is held down (PPO-ptx).

    Command:  sevenfold train ppo-ptx-requests
    Hardware: one core of a Xeon at 2.8 GHz
    Time:     33 s of CPU time, besides that of reward-requests
    Result:   stories cost 1.10 nats a word (mean of seeds 0 to 2, standard deviation 0.10); ppo-requests comes to
              6.78, the model that it begins from to 6.19 and the one before that to 0.71. Answers to test prompts
              are worth 3.24 (0.10), those of ppo-requests 3.52
    """
    return ppo_requests().with_changes({"name": "ppo-ptx-requests", "feedback.pretraining": 0.5})
