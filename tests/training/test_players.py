"""Models of players: who moves, when, at which rate; and that a resumed run is the same run."""

from __future__ import annotations

from typing import ClassVar

import pytest
import torch
from torch import Tensor, nn

from sevenfold.checkpoints import optimizer_tensors, restore_optimizer
from sevenfold.errors import UsageError
from sevenfold.layers import AfterUpdate, AveragedWeights, OwnUpdate, Played, Player
from sevenfold.runs.recipe import DataChoice, ModelChoice, Optimizer, Recipe, Schedule
from sevenfold.training.objectives import loss_function
from sevenfold.training.players import PlayersStep, step_of

CPU = torch.device("cpu")


class Pair(Played):
    """Two linear maps; the second is moved three times a step, and only in the second half if ``late``."""

    late: ClassVar[float] = 0.0

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second, self.still = nn.Linear(4, 1), nn.Linear(4, 1), nn.Linear(4, 1)
        self.seen: list[tuple[str, int]] = []

    def forward(self, inputs: Tensor) -> Tensor:
        return (self.first(inputs) * self.second(inputs) + self.still(inputs)).squeeze(1) ** 2

    def players(self) -> tuple[Player, ...]:
        return (
            Player("one", tuple(self.first.parameters()), self._noted("one")),
            Player(
                "two", tuple(self.second.parameters()), self._noted("two"), rounds=3, rate=0.5, begins=self.late
            ),
        )

    def _noted(self, name):
        def loss(inputs: Tensor) -> Tensor:
            self.seen.append((name, len(inputs)))
            return self(inputs).mean()

        return loss


class LatePair(Pair):
    late = 0.5


def recipe(**changes) -> Recipe:
    return Recipe(
        name="players",
        task="generation",
        model=ModelChoice(name="pair"),
        data=DataChoice(name="digits"),
        optimizer=Optimizer(name="adam", lr=0.01, weight_decay=0.0),
        schedule=Schedule(name="linear", warmup_fraction=0.0, final_fraction=0.0),
        batch_size=6,
        steps=10,
    ).with_changes({key.replace("__", "."): value for key, value in changes.items()})


def step_for(model: nn.Module, **changes):
    chosen = recipe(**changes)
    return step_of(chosen, model, loss_function("generation", chosen.objective), CPU)


def batch(number: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(number)
    return torch.randn(6, 4, generator=generator), torch.zeros(6, dtype=torch.int64)


def test_each_player_moves_only_itself_in_rounds_of_equal_parts():
    model = Pair()
    still = model.still.weight.clone()
    step = step_for(model)
    assert isinstance(step, PlayersStep)
    losses = step(*batch(0), 0)
    assert losses.shape == (2,)
    assert step.names(0) == ("one", "two")
    assert model.seen == [("one", 6), ("two", 2), ("two", 2), ("two", 2)]
    assert torch.equal(model.still.weight, still)


def test_a_step_equals_two_optimizers_of_torch():
    model, plain = Pair(), Pair()
    step = step_for(model, optimizer__clip_norm=None)
    inputs, targets = batch(0)
    step(inputs, targets, 0)
    one = torch.optim.Adam(plain.first.parameters(), lr=0.01)
    two = torch.optim.Adam(plain.second.parameters(), lr=0.005)
    for optimizer, pieces in ((one, [inputs]), (two, inputs.chunk(3))):
        for piece in pieces:
            plain.zero_grad()
            plain(piece).mean().backward()
            optimizer.step()
    for (name, got), wanted in zip(model.named_parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-6, atol=1e-7, msg=name)


def test_a_late_player_rests_and_its_schedule_runs_over_its_own_span():
    model = LatePair()
    step = step_for(model)
    second = model.second.weight.clone()
    for number in range(5):
        assert step.names(number) == ("one", None)
        assert step(*batch(number), number)[1] == 0
    assert torch.equal(model.second.weight, second)
    step(*batch(5), 5)
    assert step.optimizer.param_groups[1]["lr"] == pytest.approx(0.005)  # its first step: half of 0.01
    assert step.optimizer.param_groups[0]["lr"] == pytest.approx(0.005)  # its sixth of ten
    assert not torch.equal(model.second.weight, second)


def test_a_resumed_run_takes_the_same_steps():
    whole, resumed = LatePair(), LatePair()
    step = step_for(whole)
    for number in range(7):
        step(*batch(number), number)
    tensors = {name: value.clone() for name, value in optimizer_tensors(whole, step.optimizer).items()}
    weights = {name: value.clone() for name, value in whole.state_dict().items()}
    again = step_for(resumed)
    resumed.load_state_dict(weights)
    restore_optimizer(resumed, again.optimizer, tensors)
    for number in range(7, 10):
        assert torch.equal(step(*batch(number), number), again(*batch(number), number))
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"accumulate": 2}, "micro-batches"),
        ({"compile": True}, "torch.compile"),
        ({"batch_size": 8}, "multiple of 3"),
    ],
)
def test_what_players_cannot_do_is_refused(changes, said):
    with pytest.raises(UsageError, match=said):
        step_for(Pair(), **changes)


class Clipped(Pair):
    def __init__(self) -> None:
        super().__init__()
        self.clip = Clip(self.second)


class Clip(AfterUpdate):
    follows = "two"

    def __init__(self, of: nn.Module) -> None:
        super().__init__()
        self._of, self.calls = (of,), 0

    @torch.no_grad()
    def after_update(self) -> None:
        self.calls += 1
        for parameter in self._of[0].parameters():
            parameter.clamp_(-0.01, 0.01)


def test_clipping_follows_every_update_of_its_player():
    model = Clipped()
    step_for(model)(*batch(0), 0)
    assert model.clip.calls == 3
    assert float(model.second.weight.detach().abs().max()) <= 0.01


class Averaged(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.map = nn.Linear(4, 1)
        self.average = AveragedWeights(self.map, decay=0.9, warmup=False)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.map(inputs).squeeze(1) ** 2


def test_averaged_weights_are_the_moving_average_and_come_off_again():
    model = Averaged()
    step = step_for(model)
    expected = model.map.weight.detach().clone()
    for number in range(4):
        step(*batch(number), number)
        expected = 0.9 * expected + 0.1 * model.map.weight.detach()
    own = model.map.weight.detach().clone()
    with model.average.applied():
        torch.testing.assert_close(model.map.weight.detach(), expected)
        assert not torch.equal(model.map.weight, own)
    assert torch.equal(model.map.weight, own)
    assert sum(p.numel() for p in model.parameters()) == 5
    assert "average.average_weight" in model.state_dict()


def test_the_warm_up_of_an_average_follows_young_weights_closely():
    model = Averaged()
    model.average.warmup = True
    before = model.map.weight.detach().clone()
    with torch.no_grad():
        model.map.weight += 1
    model.average.after_update()
    with model.average.applied():
        torch.testing.assert_close(model.map.weight.detach(), before + (1 - 2 / 11))


class Counter(OwnUpdate):
    def __init__(self) -> None:
        super().__init__()
        self.count = nn.Parameter(torch.zeros(()))

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs.sum(1)

    def update(self, inputs: Tensor, targets: Tensor) -> Tensor:
        self.count += len(inputs)
        return inputs.mean()


def test_a_model_that_updates_itself_is_left_to_do_so():
    model = Counter()
    step = step_for(model)
    inputs, targets = batch(0)
    assert torch.equal(step(inputs, targets, 0), inputs.mean())
    assert model.count.item() == 6
