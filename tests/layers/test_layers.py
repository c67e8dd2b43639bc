"""Shared layers: the scaled tanh, attention at its edges, and what the checks say."""

from __future__ import annotations

import pytest
import torch

from sevenfold.errors import UsageError
from sevenfold.layers import CausalSelfAttention, ScaledTanh, require_features, require_images, require_tokens


def test_scaled_tanh_keeps_one_and_its_sign():
    points = torch.tensor([-1.0, 0.0, 1.0, 1e6], dtype=torch.float64)
    assert torch.allclose(
        ScaledTanh()(points), torch.tensor([-1.0, 0.0, 1.0, 1.7159], dtype=torch.float64), atol=1e-4
    )


def test_attention_over_one_position_is_its_value():
    torch.manual_seed(0)
    attention = CausalSelfAttention(width=6, heads=2)
    x = torch.randn(2, 1, 6)
    values = attention.query_key_value(x)[..., 12:]
    assert torch.allclose(attention(x), attention.projection(values), atol=1e-6)


def test_attention_drops_only_in_training():
    torch.manual_seed(0)
    attention = CausalSelfAttention(width=6, heads=2, dropout=0.5)
    x = torch.randn(1, 5, 6)
    assert not torch.equal(attention(x), attention(x))
    attention.eval()
    assert torch.equal(attention(x), attention(x))


def test_checks_pass_what_fits_on_meta_too():
    with torch.device("meta"):
        assert require_features("x", torch.empty(2, 3, 4), 12).shape == (2, 12)
        require_images("x", torch.empty(2, 3, 8, 8), 3, 8)
        require_tokens("x", torch.empty(2, 8, dtype=torch.int32), 5, context=8)


@pytest.mark.parametrize(
    ("check", "line"),
    [
        (
            lambda: require_features("the input", torch.empty(2, 5), 6),
            "the input cannot take this input: got shape [2, 5], expected [batch, 6], or a shape that flattens "
            "to it; try the model setting inputs=5",
        ),
        (
            lambda: require_images("H1", torch.empty(2, 3, 9, 9), 1, 8),
            "H1 cannot take this input: got shape [2, 3, 9, 9], expected [batch, 1, 8, 8]; "
            "try the model settings image=9 channels=3",
        ),
        (
            lambda: require_images("H1", torch.empty(2, 64), 1, 8),
            "H1 cannot take this input: got shape [2, 64], expected [batch, 1, 8, 8]",
        ),
        (
            lambda: require_tokens("E", torch.zeros(2, 9, dtype=torch.int64), 5, context=8),
            "E has no position for every token: got 9 tokens, expected at most 8 (its context); "
            "try the model setting context=9, or shorter inputs",
        ),
    ],
)
def test_one_line_names_the_layer_what_it_got_and_what_it_expected(check, line):
    with pytest.raises(UsageError) as caught:
        check()
    assert str(caught.value) == line
