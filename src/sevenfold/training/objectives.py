"""What each task minimizes and what it counts as right: loss in nats, in float32 whatever the model computes in.

Legend: B examples, T tokens, C classes or vocabulary, K outputs or candidates, H W pixels.

    classification  outputs [B, C], targets [B]            cross-entropy an example
    regression      outputs [B, K], targets [B, K]         squared error an output (not nats)
    segmentation    outputs [B, C, H, W], targets [B, H, W]   cross-entropy a pixel
    causal-lm       outputs [B, T, C], targets [B, T]      cross-entropy a token (shifted by the data set) that is
                    asked for; IGNORED elsewhere
    masked-lm       the same over the tokens that are asked for; IGNORED elsewhere
    seq2seq         the same over the tokens of the target; right is a sequence whose every token is right, which is
                    when greedy decoding gives it
    word-vectors    outputs [B, K], targets [B, K] in 0, 1, or -1 for none   binary cross-entropies an item
    image-text      outputs [B, B], targets [B]            mean of the cross-entropies of rows and of columns
    generation      outputs [B], targets [B], unused       the loss of each example is the model's own output
    contrastive     the same; it depends on how a batch is cut, since the others of it are what is told apart
    reward          outputs [B, K], targets [B, K] places, best first, -1 for none: Bradley-Terry, the mean over the
                    pairs of a prompt; right is a pair in the order of the places
    preference      outputs [B] margins, targets [B], unused   DPO's binary cross-entropy a pair
    control         learned by acting: `sevenfold.training.reinforcement`
    rlhf            learned from a reward of whole answers: `sevenfold.training.alignment`

A mean is over what is asked for, so that it does not depend on how a batch is cut; image-text and contrastive alone
depend on it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from sevenfold.data import Inputs
from sevenfold.runs.recipe import Objective, Task
from sevenfold.training.alignment.losses import best_of_ranking_losses, ranked_gaps, ranking_losses
from sevenfold.training.alignment.preferring import margins

Loss = Callable[[Tensor, Tensor], Tensor]

IGNORED = -100  # a target that is not asked for


@dataclass(frozen=True)
class TaskRule:
    """How outputs are held to targets.

    ``summed(outputs, targets, smoothing)`` is the loss summed over what is asked for, ``asked(targets)`` how much
    that is; ``right(outputs, targets)`` counts right answers of ``answers(targets)``, and is None where there is no
    right and wrong. ``smooths`` says whether label smoothing means something, ``cut`` whether a batch may be cut
    into micro-batches, ``nats`` whether the loss is in nats and ``measure`` what it is in, ``random`` whether the
    model draws random numbers for it in evaluation too, ``calling`` how outputs are made where the model is not
    just called with the inputs.
    """

    unit: str
    summed: Callable[[Tensor, Tensor, float], Tensor]
    asked: Callable[[Tensor], Tensor | int]
    right: Callable[[Tensor, Tensor], Tensor] | None
    answers: Callable[[Tensor], Tensor | int]
    smooths: bool = True
    cut: bool = True
    nats: bool = True
    measure: str = "nats"
    random: bool = False
    calling: Callable[[Callable[..., Tensor], Inputs, Objective], Tensor] | None = None  # None: with the inputs


def loss_function(task: Task, objective: Objective) -> Loss:
    """The training loss (outputs, targets) -> mean; label smoothing only here, never in evaluation."""
    rule, smoothing = TASKS[task], objective.label_smoothing

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        return rule.summed(outputs, targets, smoothing) / rule.asked(targets)

    def plain(outputs: Tensor, targets: Tensor) -> Tensor:
        return functional.cross_entropy(
            outputs.float().flatten(0, -2), targets.flatten(), label_smoothing=smoothing
        )

    def best(outputs: Tensor, targets: Tensor) -> Tensor:
        return best_of_ranking_losses(outputs.float(), targets >= 0).mean()

    if task == "reward" and objective.comparison == "best":
        return best
    return plain if task in ("classification", "causal-lm") else loss


def _tokens(outputs: Tensor, targets: Tensor, smoothing: float) -> Tensor:
    return functional.cross_entropy(
        outputs.float().flatten(0, -2), targets.flatten(), reduction="sum", label_smoothing=smoothing
    )


def _pixels(outputs: Tensor, targets: Tensor, smoothing: float) -> Tensor:
    return functional.cross_entropy(outputs.float(), targets, reduction="sum", label_smoothing=smoothing)


def _squares(outputs: Tensor, targets: Tensor, smoothing: float) -> Tensor:
    return functional.mse_loss(outputs.float(), targets.float(), reduction="sum")


def _signs(outputs: Tensor, targets: Tensor, smoothing: float) -> Tensor:
    return functional.binary_cross_entropy_with_logits(
        outputs.float(), targets.clamp(min=0).float(), weight=(targets >= 0).float(), reduction="sum"
    )


def _pairs(outputs: Tensor, targets: Tensor, smoothing: float) -> Tensor:
    both = (
        functional.cross_entropy(one.float(), targets, reduction="sum", label_smoothing=smoothing)
        for one in (outputs, outputs.T)
    )
    return sum(both, start=outputs.new_zeros((), dtype=outputs.float().dtype)) / 2


def _given(outputs: Tensor, targets: Tensor, smoothing: float) -> Tensor:
    return outputs.float().sum()


def _rankings(outputs: Tensor, targets: Tensor, smoothing: float) -> Tensor:
    return ranking_losses(outputs.float(), targets >= 0).sum()


def _pairs_in_order(outputs: Tensor, targets: Tensor) -> Tensor:
    gaps, known = ranked_gaps(outputs, targets >= 0)
    return ((gaps > 0) & known).sum()


def _pairs_compared(targets: Tensor) -> Tensor:
    count = (targets >= 0).sum(-1)
    return (count * (count - 1) // 2).sum()


def _margins(outputs: Tensor, targets: Tensor, smoothing: float) -> Tensor:
    return -functional.logsigmoid(outputs.float()).sum()


def _all(targets: Tensor) -> int:
    return targets.numel()


def _rows(targets: Tensor) -> int:
    return targets.shape[0]


def _not_ignored(targets: Tensor) -> Tensor:
    return (targets != IGNORED).sum()


def _arg_max(outputs: Tensor, targets: Tensor) -> Tensor:
    return (outputs.argmax(-1) == targets).sum()


def _whole_sequences(outputs: Tensor, targets: Tensor) -> Tensor:
    return ((outputs.argmax(-1) == targets) | (targets == IGNORED)).all(-1).sum()


TASKS: Mapping[Task, TaskRule] = {
    "classification": TaskRule("example", _tokens, _all, _arg_max, _all),
    "regression": TaskRule(
        "output", _squares, _all, None, _all, smooths=False, nats=False, measure="squared error"
    ),
    "segmentation": TaskRule("pixel", _pixels, _all, lambda o, t: (o.argmax(1) == t).sum(), _all),
    "causal-lm": TaskRule("token", _tokens, _not_ignored, None, _not_ignored),
    "masked-lm": TaskRule("masked token", _tokens, _not_ignored, _arg_max, _not_ignored),
    "seq2seq": TaskRule("token", _tokens, _not_ignored, _whole_sequences, _rows),
    "word-vectors": TaskRule(
        "word pair",
        _signs,
        _rows,
        lambda o, t: (((o > 0) == (t > 0)) & (t >= 0)).sum(),
        lambda t: (t >= 0).sum(),
        smooths=False,
    ),
    "image-text": TaskRule("pair", _pairs, _rows, _arg_max, _rows, cut=False),
    "reward": TaskRule("prompt", _rankings, _rows, _pairs_in_order, _pairs_compared, smooths=False),
    "preference": TaskRule(
        "pair", _margins, _rows, lambda o, t: (o > 0).sum(), _rows, smooths=False, calling=margins
    ),
    "control": TaskRule(
        "agent step", _given, _rows, None, _rows, cut=False, smooths=False, nats=False, measure="loss"
    ),
    "rlhf": TaskRule("answer", _given, _rows, None, _rows, cut=False, smooths=False, nats=False, measure="loss"),
    "generation": TaskRule(
        "example", _given, _rows, None, _rows, smooths=False, nats=False, measure="loss", random=True
    ),
    "contrastive": TaskRule("example", _given, _rows, None, _rows, cut=False, smooths=False, random=True),
}
