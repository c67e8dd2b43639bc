"""Every task's loss and its count of right answers, against loops over the definition."""

from __future__ import annotations

import math

import pytest
import torch

from sevenfold.errors import UsageError
from sevenfold.layers import AuxiliaryLoss
from sevenfold.recipes import recipe_from
from sevenfold.runs.recipe import Objective, Recipe, Task
from sevenfold.training.objectives import IGNORED, TASKS, loss_function
from sevenfold.training.steps import TrainingStep
from sevenfold.training.workload import check_recipe


def score(task: Task, outputs: torch.Tensor, targets: torch.Tensor) -> tuple[float, float | None]:
    rule = TASKS[task]
    loss = float(loss_function(task, Objective())(outputs, targets))
    assert loss == pytest.approx(float(rule.summed(outputs, targets, 0.0)) / int(rule.asked(targets)), rel=1e-6)
    return loss, None if rule.right is None else int(rule.right(outputs, targets)) / int(rule.answers(targets))


def nats(logits: torch.Tensor, target: int) -> float:
    return -float(logits.double().log_softmax(-1)[target])


@pytest.fixture
def numbers() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_regression_is_the_mean_square(numbers: torch.Generator) -> None:
    outputs, targets = (torch.randn(5, 3, generator=numbers) for _ in range(2))
    expected = sum((float(outputs[i, k]) - float(targets[i, k])) ** 2 for i in range(5) for k in range(3)) / 15
    assert score("regression", outputs, targets) == (pytest.approx(expected, rel=1e-5), None)


def test_segmentation_counts_pixels(numbers: torch.Generator) -> None:
    outputs, targets = torch.randn(2, 4, 3, 5, generator=numbers), torch.randint(4, (2, 3, 5), generator=numbers)
    every = [(b, h, w) for b in range(2) for h in range(3) for w in range(5)]
    expected = sum(nats(outputs[b, :, h, w], int(targets[b, h, w])) for b, h, w in every) / 30
    right = sum(int(outputs[b, :, h, w].argmax()) == int(targets[b, h, w]) for b, h, w in every) / 30
    assert score("segmentation", outputs, targets) == (pytest.approx(expected, rel=1e-5), pytest.approx(right))


@pytest.mark.parametrize("task", ["masked-lm", "causal-lm"])
def test_tokens_that_are_asked_for_alone_count(numbers: torch.Generator, task: str) -> None:
    outputs, targets = torch.randn(2, 6, 7, generator=numbers), torch.randint(7, (2, 6), generator=numbers)
    targets[0, 1:], targets[1, 0] = IGNORED, IGNORED
    asked = [(b, t) for b in range(2) for t in range(6) if int(targets[b, t]) != IGNORED]
    assert len(asked) == 6
    expected = sum(nats(outputs[b, t], int(targets[b, t])) for b, t in asked) / 6
    right = sum(int(outputs[b, t].argmax()) == int(targets[b, t]) for b, t in asked) / 6
    share_right = pytest.approx(right) if task == "masked-lm" else None
    assert score(task, outputs, targets) == (pytest.approx(expected, rel=1e-5), share_right)


def test_a_sequence_is_right_when_all_its_tokens_are(numbers: torch.Generator) -> None:
    targets = torch.tensor([[3, 1, 2], [3, 2, IGNORED], [4, 2, IGNORED]])
    outputs = torch.nn.functional.one_hot(targets.clamp(min=0), 5).float() * 9
    outputs[0, 1] = torch.eye(5)[0] * 9  # one wrong token of the first
    outputs[1, 2] = torch.eye(5)[4] * 9  # padding may be anything
    loss, right = score("seq2seq", outputs, targets)
    asked = [(b, t) for b in range(3) for t in range(3) if int(targets[b, t]) != IGNORED]
    assert loss == pytest.approx(sum(nats(outputs[b, t], int(targets[b, t])) for b, t in asked) / 7, rel=1e-5)
    assert right == pytest.approx(2 / 3)


def test_word_pairs_are_binary_and_padding_counts_nothing(numbers: torch.Generator) -> None:
    outputs = torch.randn(3, 4, generator=numbers)
    targets = torch.tensor([[1, 0, 0, 0], [1, 0, -1, -1], [1, 1, 0, -1]])
    total, right, answers = 0.0, 0, 0
    for b in range(3):
        for k in range(4):
            sign = {1: 1, 0: -1, -1: 0}[int(targets[b, k])]
            if sign:
                total += math.log1p(math.exp(-sign * float(outputs[b, k])))
                right += sign * float(outputs[b, k]) > 0
                answers += 1
    assert score("word-vectors", outputs, targets) == (
        pytest.approx(total / 3, rel=1e-5),
        pytest.approx(right / answers),
    )


def test_pairs_are_told_in_both_directions(numbers: torch.Generator) -> None:
    outputs, targets = torch.randn(4, 4, generator=numbers), torch.arange(4)
    expected = sum(nats(outputs[i], i) + nats(outputs[:, i], i) for i in range(4)) / 8
    right = sum(int(outputs[i].argmax()) == i for i in range(4)) / 4
    assert score("image-text", outputs, targets) == (pytest.approx(expected, rel=1e-5), right)
    assert score("image-text", outputs.T, targets)[0] == pytest.approx(expected, rel=1e-5)


class Balanced(AuxiliaryLoss):
    """One weight, whose square is its own loss."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor([2.0, -1.0, 0.5]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.weight

    def auxiliary_loss(self) -> torch.Tensor:
        return 3 * self.weight.square().sum()


@pytest.mark.parametrize("parts", [1, 2])
def test_a_layers_own_loss_moves_it_and_is_not_told_as_the_tasks(parts: int, numbers: torch.Generator) -> None:
    recipe = recipe_from(
        "digits-mlp",
        {"optimizer.name": "sgd", "optimizer.momentum": 0, "optimizer.clip_norm": None, "optimizer.weight_decay": 0,
         "batch_size": 4, "accumulate": parts, "schedule.warmup_fraction": 0, "optimizer.lr": 1.0},
    )  # fmt: skip
    assert isinstance(recipe, Recipe)
    inputs, targets = torch.randn(4, 3, generator=numbers), torch.tensor([0, 1, 2, 1])
    model, plain = Balanced(), torch.tensor([2.0, -1.0, 0.5], requires_grad=True)
    expected = torch.nn.functional.cross_entropy(inputs * plain, targets)
    (gradient,) = torch.autograd.grad(expected + 3 * plain.square().sum(), plain)
    loss = TrainingStep(recipe, model, loss_function("classification", Objective()), torch.device("cpu"))(
        inputs, targets, 0
    )
    assert float(loss) == pytest.approx(float(expected.detach()), rel=1e-6)
    torch.testing.assert_close(model.weight.detach(), (plain - gradient).detach(), rtol=1e-5, atol=1e-5)


def test_uneven_masks_give_the_gradient_of_the_whole_batch(numbers: torch.Generator) -> None:
    targets = torch.randint(5, (4, 6), generator=numbers)
    targets[0, 1:] = IGNORED
    inputs = torch.randn(4, 6, 5, generator=numbers)
    found = []
    for parts in (1, 2, 4):
        recipe = recipe_from(
            "python-docs-gpt",
            {"task": "masked-lm", "optimizer.clip_norm": None, "batch_size": 4, "accumulate": parts},
        )
        assert isinstance(recipe, Recipe)
        torch.manual_seed(0)
        model = torch.nn.Linear(5, 5)
        step = TrainingStep(recipe, model, loss_function("masked-lm", Objective()), torch.device("cpu"))
        taken: list[torch.Tensor] = []
        step.optimizer.register_step_pre_hook(lambda *_, t=taken, m=model: t.append(m.weight.grad.clone()))  # type: ignore[misc]
        loss = step(inputs, targets, 0)
        found.append((float(loss), taken[0]))
    for loss, gradient in found[1:]:
        assert loss == pytest.approx(found[0][0], rel=1e-6)
        torch.testing.assert_close(gradient, found[0][1], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"task": "image-text", "accumulate": 2}, "accumulate=1"),
        ({"task": "regression", "objective.label_smoothing": 0.1}, "label_smoothing=0"),
    ],
)
def test_what_a_task_cannot_have_is_told(changes: dict[str, object], told: str) -> None:
    recipe = recipe_from("digits-mlp", changes)
    assert isinstance(recipe, Recipe)
    with pytest.raises(UsageError, match=told):
        check_recipe(recipe)
