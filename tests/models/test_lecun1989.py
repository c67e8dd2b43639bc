"""LeCun 1989 against a reference that visits one unit at a time, and its published counts."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from sevenfold.errors import SpecError, UsageError
from sevenfold.models import MODELS


def one_unit_at_a_time(weights, pixels, *, mutation=None, tally=None):
    """The network as the paper tells it: every unit sums its own connections."""
    background = 0.0 if mutation == "zero background" else -1.0
    squash = torch.tanh if mutation == "unscaled tanh" else lambda a: 1.7159 * torch.tanh(2 / 3 * a)

    def maps(x, weight, bias, sources):
        batch, _, side, _ = x.shape
        out = []
        for number in range(weight.shape[0]):
            for row in range(side // 2):
                for column in range(side // 2):
                    total = torch.zeros(batch, dtype=x.dtype)
                    for place, source in enumerate(sources(number)):
                        for i in range(5):
                            for j in range(5):
                                r, c = 2 * row + i - 2, 2 * column + j - 2
                                if mutation == "shifted field":
                                    r, c = r + 1, c + 1
                                inside = 0 <= r < side and 0 <= c < side
                                value = (
                                    x[:, source, r, c]
                                    if inside
                                    else torch.full((batch,), background, dtype=x.dtype)
                                )
                                total = total + weight[number, place, i, j] * value
                                if tally is not None:
                                    tally["connections"] += 1
                    if mutation != "no unit biases":
                        one = bias[number, 0, 0] if mutation == "one bias a map" else bias[number, row, column]
                        total = total + one
                    if tally is not None:
                        tally["connections"] += 1
                        tally["units"] += 1
                    out.append(squash(total))
        return torch.stack(out, dim=1).reshape(batch, weight.shape[0], side // 2, side // 2)

    def eight_of_twelve(number):
        left_out = number // 4
        if mutation == "another third left out":
            left_out = (left_out + 1) % 3
        return [source for source in range(12) if source // 4 != left_out]

    def full(x, weight, bias):
        if tally is not None:
            tally["connections"] += weight.numel() + len(bias)
            tally["units"] += len(bias)
        return squash(sum(x[:, [i]] * weight[:, i] for i in range(weight.shape[1])) + bias)

    if tally is not None:
        tally["units"] += pixels[0].numel()
    h1 = maps(pixels, weights["h1.weight"], weights["h1.bias"], lambda number: [0])
    h2 = maps(h1, weights["h2.weight"], weights["h2.bias"], eight_of_twelve)
    h3 = full(h2.reshape(len(pixels), -1), weights["h3.weight"], weights["h3.bias"])
    return full(h3, weights["output.weight"], weights["output.bias"])


def unfolded(weights, pixels, *, mutation=None):
    """The same by im2col, fast enough for the whole table of mutations."""
    background = 0.0 if mutation == "zero background" else -1.0
    squash = torch.tanh if mutation == "unscaled tanh" else lambda a: 1.7159 * torch.tanh(2 / 3 * a)
    before, after = (1, 3) if mutation == "shifted field" else (2, 2)

    def maps(x, weight, bias, sources):
        side = x.shape[-1] // 2
        patches = F.unfold(F.pad(x, (before, after, before, after), value=background), 5, stride=2)
        patches = patches.reshape(len(x), x.shape[1], 25, side * side)
        rows = [
            torch.einsum("bspl,sp->bl", patches[:, sources(number)], weight[number].flatten(1))
            for number in range(weight.shape[0])
        ]
        out = torch.stack(rows, dim=1).reshape(len(x), -1, side, side)
        if mutation == "no unit biases":
            return squash(out)
        return squash(out + (bias[:, :1, :1] if mutation == "one bias a map" else bias))

    def eight_of_twelve(number):
        left_out = number // 4
        if mutation == "another third left out":
            left_out = (left_out + 1) % 3
        if mutation == "order of the maps":
            return [source for source in range(11, -1, -1) if source // 4 != left_out]
        return [source for source in range(12) if source // 4 != left_out]

    h1 = maps(pixels, weights["h1.weight"], weights["h1.bias"], lambda number: [0])
    h2 = maps(h1, weights["h2.weight"], weights["h2.bias"], eight_of_twelve)
    h3 = squash(h2.flatten(1) @ weights["h3.weight"].T + weights["h3.bias"])
    out = h3 @ weights["output.weight"].T + weights["output.bias"]
    return out if mutation == "free outputs" else squash(out)


@pytest.fixture
def network(loud):
    network = loud(MODELS["lecun1989"].build())
    with torch.no_grad():  # 200 inputs of N(0, 0.5) weights would only saturate
        for name, weight in network.named_parameters():
            if name.endswith("weight"):
                weight *= 2 / math.sqrt(weight[0].numel())
    return network


@pytest.fixture
def pixels():
    return torch.randn(3, 1, 16, 16, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def test_published_counts_per_layer():
    network = MODELS["lecun1989"].build_meta()
    counts = {name: sum(w.numel() for w in layer.parameters()) for name, layer in network.named_children()}
    assert {name: count for name, count in counts.items() if count} == {
        "h1": 1_068, "h2": 2_592, "h3": 5_790, "output": 310,
    }  # fmt: skip


def test_one_unit_at_a_time_finds_the_published_connections_and_the_same_outputs(network, pixels):
    tally = {"connections": 0, "units": 0}
    with torch.no_grad():
        expected = one_unit_at_a_time(dict(network.named_parameters()), pixels[:1], tally=tally)
        assert (network(pixels[:1]) - expected).abs().max() < 1e-10
    assert tally == {"connections": 64_660, "units": 1_256}


def test_outputs_and_gradients_equal_the_reference(network, pixels, difference):
    outputs, gradients = difference(network, unfolded, pixels)
    assert outputs < 1e-10
    assert gradients < 1e-10


@pytest.mark.parametrize(
    "mutation",
    [
        "zero background",
        "unscaled tanh",
        "shifted field",
        "no unit biases",
        "one bias a map",
        "another third left out",
        "order of the maps",
        "free outputs",
    ],
)
def test_a_mutated_reference_differs(network, pixels, difference, mutation):
    outputs, gradients = difference(network, lambda w, x: unfolded(w, x, mutation=mutation), pixels)
    assert outputs > 1e-3
    assert gradients > 1e-3


def test_every_map_of_h1_reaches_eight_maps_of_h2(network):
    h1 = torch.zeros(1, 12, 8, 8, dtype=torch.float64)
    reached = []
    for source in range(12):
        bumped = h1.clone()
        bumped[:, source] = 1
        reached.append(((network.h2(bumped) - network.h2(h1)).abs().amax(dim=(0, 2, 3)) > 0).sum().item())
    assert reached == [8] * 12


def test_zero_background_takes_the_short_way_and_gives_the_same():
    padded = MODELS["lecun1989-small"].build()
    pixels = torch.rand(2, 1, 8, 8)
    short = padded(pixels)
    for layer in (padded.h1, padded.h2):
        layer.background = 1e-30  # as good as zero, through the padding that other backgrounds take
    assert torch.allclose(padded(pixels), short, atol=1e-6)


@pytest.mark.parametrize("image", [4, 7, 8, 9, 13, 16, 28])
def test_takes_every_image_size(image):
    entry = MODELS["lecun1989-small"]
    assert entry.build({"image": image})(torch.zeros(2, 1, image, image)).shape == (2, 10)


def test_wrong_settings_and_wrong_images():
    with pytest.raises(SpecError, match="multiple of 3"):
        MODELS["lecun1989"].spec({"width": 13})
    with pytest.raises(SpecError, match="kernel does not fit: got 4, expected an odd number"):
        MODELS["lecun1989"].spec({"kernel": 4})
    with pytest.raises(UsageError, match=r"H1 .*got shape \[2, 1, 8, 8\], expected \[batch, 1, 16, 16\]"):
        MODELS["lecun1989"].build()(torch.zeros(2, 1, 8, 8))


def test_learns_the_digits_in_500_steps():
    datasets = pytest.importorskip("sklearn.datasets")
    pixels, labels = datasets.load_digits(return_X_y=True)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    x = (torch.tensor(pixels, dtype=torch.float32).reshape(-1, 1, 8, 8) / 16)[order]
    y = torch.tensor(labels)[order]
    torch.manual_seed(0)
    network = MODELS["lecun1989-small"].build()
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 500)
    for _ in range(500):
        batch = torch.randint(1400, (64,))
        optimizer.zero_grad()
        F.cross_entropy(network(x[batch]), y[batch]).backward()
        optimizer.step()
        schedule.step()
    correct = (network.eval()(x[1400:]).argmax(dim=1) == y[1400:]).float().mean().item()
    assert correct > 0.96
