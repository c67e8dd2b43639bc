"""What a reward model makes of labellers who err."""

from __future__ import annotations

from sevenfold.recipes._catalogue import Measured
from sevenfold.recipes._paradigms import Bench, paradigm

_NOISE = (0, 10, 25, 40)  # % of the labeller's pairs that are wrong


@paradigm(
    measured=(
        Measured("accuracy_0", 0.915, 0.027),
        Measured("accuracy_10", 0.908, 0.024),
        Measured("accuracy_25", 0.891, 0.022),
        Measured("accuracy_40", 0.830, 0.007),
    )
)
def reward_noise(bench: Bench) -> dict[str, float]:
    """Reward models of requests, learned from rankings by labellers of whose pairs up to four in ten are wrong.

    2,000 prompts with four answers each, 12,000 pairs at most, drawn from the fine-tuned model; the labeller's
    rankings are drawn from Mallows' model. Accuracy is the share of test pairs that the rewards order as the true
    rewards do, agreement the share of validation pairs that they order as the labeller did.

    Command:  sevenfold paradigms run reward-noise
    Hardware: one core of a Xeon at 2.8 GHz
    Time:     420 s of CPU time for three seeds, and 190 s for the models whose answers are compared
    Result:   means of seeds 0 to 2 (standard deviation), in %, by the labeller's share of wrong pairs:

                                      0%           10%           25%           40%
              accuracy            91.5 (2.7)    90.8 (2.4)    89.1 (2.2)    83.0 (0.7)
              agreement           89.8 (2.2)    82.5 (1.2)    69.8 (0.7)    57.0 (0.4)

              A reward model knows more than who taught it: of pairs of which four in ten are wrong it learns an
              order that is right in 83 of 100. Answers of equal worth, which a labeller ranks by chance, are among
              the pairs of agreement and not of accuracy.
    """
    figures = {}
    for percent in _NOISE:
        run = bench.train("reward-requests", {"data.error_rate": percent / 100})
        figures[f"accuracy_{percent}"] = float(run.summary["test_accuracy"] or 0)
        figures[f"agreement_{percent}"] = float(run.summary["validation_accuracy"] or 0)
    return figures
