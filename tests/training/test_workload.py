"""What a recipe's names become, and what is refused before anything starts."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from sevenfold.errors import SpecError, UnknownNameError, UsageError
from sevenfold.runs.recipe import Recipe
from sevenfold.training import build_workload

Small = Callable[..., Recipe]


def test_model_is_fitted_to_the_data_and_the_recipe_has_the_last_word(small: Small) -> None:
    workload = build_workload(small(model__width=12))
    assert workload.settings["width"] == 12
    inputs, _ = workload.dataset.train.batch(torch.arange(3).numpy())
    assert workload.model(inputs).shape == (3, 10)
    assert workload.parameters == sum(p.numel() for p in workload.model.parameters())


def test_one_seed_is_one_initialization_and_the_callers_generator_is_left_alone(small: Small) -> None:
    torch.manual_seed(123)
    before = torch.get_rng_state()
    first, again, other = (build_workload(small(seed=seed)).model.state_dict() for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_initialization_does_not_depend_on_the_callers_generator(small: Small) -> None:
    torch.manual_seed(1)
    first = build_workload(small()).model.state_dict()
    torch.manual_seed(2)
    again = build_workload(small()).model.state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)


@pytest.mark.parametrize(
    ("changes", "kind", "says"),
    [
        ({"model__name": "mlp-smal"}, UnknownNameError, "try mlp-small"),
        ({"data__name": "digit"}, UnknownNameError, "try digits"),
        ({"model__settings": {"widht": 3}}, UnknownNameError, "width"),
        ({"model__width": -3}, SpecError, "width"),
        ({"model__name": "gpt2-nano", "model__settings": {}}, UsageError, "task"),
    ],
)
def test_what_does_not_exist_is_refused(small: Small, changes: dict[str, object], kind: type, says: str) -> None:
    with pytest.raises(kind, match=says):
        build_workload(small(**changes))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_device_that_is_not_there_is_refused(small: Small) -> None:
    with pytest.raises(UsageError, match="no CUDA device"):
        build_workload(small(device="cuda"))
