"""Distillation: its loss in closed form, what a step does, exact resuming with a teacher, and what is told."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

import sevenfold
from sevenfold.errors import UsageError
from sevenfold.models import MODELS
from sevenfold.recipes import RECIPES
from sevenfold.runs.home import data_home
from sevenfold.runs.recipe import Objective
from sevenfold.training import train_run
from sevenfold.training.distilling import distillation_loss
from sevenfold.training.objectives import loss_function
from sevenfold.training.steps import TrainingStep

FEW = {"steps": 4, "batch_size": 8, "evaluate_examples": 16}


def logits(seed, *shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 3


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_the_loss_by_loops(temperature):
    student, teacher = logits(0, 5, 4), logits(1, 5, 4)
    total = 0.0
    for s, t in zip(student.tolist(), teacher.tolist(), strict=True):
        p, q = (
            [math.exp(v / temperature) / sum(math.exp(w / temperature) for w in row) for v in row] for row in (t, s)
        )
        total += sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
    got = distillation_loss(student, teacher, temperature).item()
    assert got == pytest.approx(temperature**2 * total / 5, rel=1e-5)
    assert distillation_loss(teacher, teacher, temperature).item() == pytest.approx(0, abs=1e-6)


def test_the_gradient_is_hintons():
    """Of the student's logits: tau (q - p) / B; at a high temperature near (s - t) / (C B) of centred logits."""
    student, teacher = logits(0, 3, 5).requires_grad_(), logits(1, 3, 5).requires_grad_()
    distillation_loss(student, teacher, 2.0).backward()
    expected = 2.0 * ((student / 2).softmax(-1) - (teacher / 2).softmax(-1)) / 3
    assert torch.allclose(student.grad, expected, atol=1e-6)
    assert teacher.grad is None
    student.grad = None
    distillation_loss(student, teacher, 1000.0).backward()
    centred = [one.detach() - one.detach().mean(-1, keepdim=True) for one in (student, teacher)]
    assert torch.allclose(student.grad, (centred[0] - centred[1]) / 5 / 3, atol=2e-3)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_step_mixes_labels_and_teacher(accumulate):
    recipe = (
        RECIPES["distilled-digits"]
        .recipe()
        .with_changes(
            {
                "accumulate": accumulate,
                "optimizer.name": "sgd",
                "optimizer.clip_norm": None,
                "objective.teacher_share": 0.3,
            }
        )
    )
    torch.manual_seed(0)
    student, teacher = (MODELS["mlp-small"].build({"width": width}) for width in (8, 16))
    inputs, targets = torch.rand(6, 1, 8, 8), torch.arange(6)
    step = TrainingStep(recipe, student, loss_function("classification", Objective()), torch.device("cpu"), teacher)
    outputs = student(inputs)
    expected = 0.7 * F.cross_entropy(outputs, targets) + 0.3 * distillation_loss(outputs, teacher(inputs), 4.0)
    before = [weight.clone() for weight in student.parameters()]
    gradients = torch.autograd.grad(expected, list(student.parameters()))
    assert step(inputs, targets, 100).item() == pytest.approx(expected.item(), rel=1e-5)
    rate = step.rate(100)
    decay = recipe.optimizer.weight_decay
    for old, weight, gradient in zip(before, student.parameters(), gradients, strict=True):
        assert torch.allclose(weight, old - rate * (gradient + decay * old), atol=1e-6)
    assert all(weight.grad is None for weight in teacher.parameters())


def test_a_recipe_names_its_teacher_which_is_trained_first(home):
    teacher_few = {"objective.teacher": train_run(RECIPES["digits-mlp"].recipe().with_changes(FEW)).id}
    recipe = RECIPES["distilled-digits"].recipe().with_changes(FEW | teacher_few)
    taught = train_run(recipe)
    alone = train_run(recipe.with_changes({"objective.teacher": None}))
    assert taught.id != alone.id
    assert taught.summary["test_loss"] != alone.summary["test_loss"]
    # The same by the action, which takes the beginning of an id.
    start = teacher_few["objective.teacher"][:20]
    assert sevenfold.train("distilled-digits", FEW | {"objective.teacher": start}).id == taught.id


def test_an_interrupted_run_goes_on_to_the_same_weights(home):
    from sevenfold import checkpoints

    teacher = train_run(RECIPES["digits-mlp"].recipe().with_changes(FEW)).id
    recipe = RECIPES["distilled-digits"].recipe().with_changes(FEW | {"objective.teacher": teacher})
    whole = train_run(recipe)
    weights = checkpoints.load_weights(data_home() / "runs" / whole.id)
    again = recipe.with_changes({"checkpoint_every": 2})

    def stop(progress):
        if progress.step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_run(again, on_step=stop, fresh=True)
    resumed = train_run(again)
    assert resumed.id == whole.id
    after = checkpoints.load_weights(data_home() / "runs" / resumed.id)
    assert all(torch.equal(weights[name], after[name]) for name in weights)


def test_what_cannot_be_taught_is_told_before_training(home):
    teacher = train_run(RECIPES["digits-mlp"].recipe().with_changes(FEW)).id
    for name, told in (
        ("vae-digits", "generation has no classes that a teacher could weigh"),
        ("python-docs-gpt", "cannot take the student's data|do not tell the same classes"),
    ):
        with pytest.raises(UsageError, match=told):
            train_run(RECIPES[name].recipe().with_changes({"objective.teacher": teacher}))
    with pytest.raises(UsageError, match="student and teacher do not tell the same classes apart"):
        train_run(RECIPES["digits-mlp"].recipe().with_changes({"objective.teacher": teacher, "model.classes": 12}))
