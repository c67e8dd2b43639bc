"""The neural probabilistic language model against a loop over positions, with mutations."""

from __future__ import annotations

import pytest
import torch

from sevenfold.errors import UsageError
from sevenfold.models import MODELS

TINY = {"vocabulary": 7, "order": 4, "features": 3, "width": 5, "direct": True}


def position_by_position(weights, tokens, *, mutation=None):
    """y = b + W x + U tanh(d + H x), x the features of the three tokens up to here (equation 1 of the paper)."""
    table = weights["features.weight"]
    out = []
    for sequence in tokens.tolist():
        for t in range(len(sequence)):
            places = range(t - 2, t + 1)
            if mutation == "looks ahead":
                places = range(t - 1, t + 2)
            elif mutation == "oldest last":
                places = range(t, t - 3, -1)
            elif mutation == "window of two":
                places = [-1, t - 1, t]
            rows = [
                table[sequence[p]] if 0 <= p < len(sequence) else torch.zeros(3, dtype=torch.float64)
                for p in places
            ]
            x = torch.cat(rows)
            inner = weights["hidden.weight"] @ x
            if mutation != "no hidden bias":
                inner = inner + weights["hidden.bias"]
            y = weights["output.bias"] + weights["output.weight"] @ torch.tanh(inner)
            out.append(y if mutation == "no direct connections" else y + weights["direct.weight"] @ x)
    return torch.stack(out).reshape(*tokens.shape, -1)


@pytest.fixture
def tokens():
    return torch.randint(7, (2, 6), generator=torch.Generator().manual_seed(4))


def test_outputs_and_gradients_equal_the_reference(loud, difference, tokens):
    outputs, gradients = difference(loud(MODELS["bengio2003"].build(TINY)), position_by_position, tokens)
    assert outputs < 1e-10
    assert gradients < 1e-10


@pytest.mark.parametrize(
    "mutation", ["looks ahead", "oldest last", "window of two", "no hidden bias", "no direct connections"]
)
def test_a_mutated_reference_differs(loud, difference, tokens, mutation):
    module = loud(MODELS["bengio2003"].build(TINY))
    outputs, gradients = difference(module, lambda w, x: position_by_position(w, x, mutation=mutation), tokens)
    assert outputs > 1e-3
    assert gradients > 1e-3


@pytest.mark.parametrize(("v", "n", "m", "h"), [(16_383, 5, 60, 50), (7, 4, 3, 5), (100, 2, 1, 1)])
def test_the_papers_count_of_free_parameters(v, n, m, h):
    settings = {"vocabulary": v, "order": n, "features": m, "width": h, "direct": True}
    counted = sum(w.numel() for w in MODELS["bengio2003"].build_meta(settings).parameters())
    assert counted == v * (1 + n * m + h) + h * (1 + (n - 1) * m)


def test_reads_windows_of_any_length_and_tells_what_it_cannot_read():
    model = MODELS["bengio2003-small"].build()
    assert model(torch.zeros(1, 300, dtype=torch.int64)).shape == (1, 300, 96)
    assert model(torch.zeros(1, 1, dtype=torch.int64)).shape == (1, 1, 96)
    with pytest.raises(UsageError, match="the feature table cannot take this input"):
        model(torch.zeros(1, 4))
    with pytest.raises(UsageError, match="got tokens from -1 to 0, expected 0 to 95"):
        model(torch.tensor([[0, -1]]), check_values=True)
