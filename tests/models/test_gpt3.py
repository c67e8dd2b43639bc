"""GPT-3 is GPT-2's architecture (tested against a slow reference in test_gpt2.py) at the sizes of table 2.1."""

from __future__ import annotations

import pytest
import torch

from sevenfold.errors import SpecError, UsageError
from sevenfold.models import MODELS

TINY = {"vocabulary": 11, "context": 9, "width": 12, "layers": 2, "heads": 3, "dropout": 0.0}


def test_equal_weights_give_equal_logits_and_gradients(loud):
    gpt2, gpt3 = loud(MODELS["gpt2"].build(TINY)), MODELS["gpt3-125m"].build(TINY).double().eval()
    gpt3.load_state_dict(gpt2.state_dict(), strict=True)
    tokens = torch.randint(11, (2, 9), generator=torch.Generator().manual_seed(4))
    assert torch.equal(gpt3(tokens), gpt2(tokens))
    gpt2(tokens).square().sum().backward()
    gpt3(tokens).square().sum().backward()
    for (name, a), b in zip(gpt2.named_parameters(), gpt3.parameters(), strict=True):
        assert torch.equal(a.grad, b.grad), name


def test_another_bias_is_noticed(loud):
    gpt2, gpt3 = loud(MODELS["gpt2"].build(TINY)), MODELS["gpt3-125m"].build(TINY).double().eval()
    gpt3.load_state_dict(gpt2.state_dict())
    with torch.no_grad():
        gpt3.blocks[1].feedforward.expand.bias.zero_()
    tokens = torch.randint(11, (2, 9), generator=torch.Generator().manual_seed(4))
    assert (gpt3(tokens) - gpt2(tokens)).abs().max() > 1e-3


@pytest.mark.parametrize(
    ("name", "layers", "width", "published"),
    [
        # layers and widths of table 2.1 (13B: 40 heads of 128 are 5120); counts as landmarks are counted elsewhere
        ("gpt3-125m", 12, 768, 125_226_240),
        ("gpt3-350m", 24, 1024, 355_871_744),
        ("gpt3-760m", 24, 1536, 760_300_032),
        ("gpt3-1.3b", 24, 2048, 1_315_723_264),
        ("gpt3-2.7b", 32, 2560, 2_651_553_280),
        ("gpt3-6.7b", 32, 4096, 6_658_404_352),
        ("gpt3-13b", 40, 5120, 12_853_386_240),
        ("gpt3-175b", 96, 12_288, 174_604_259_328),
    ],
)
def test_sizes_of_table_2_1(name, layers, width, published):
    spec = MODELS[name].spec()
    assert (spec.layers, spec.width, spec.context, spec.vocabulary) == (layers, width, 2048, 50_257)
    assert layers * (12 * width**2 + 13 * width) + (50_257 + 2048) * width + 2 * width == published
    assert MODELS[name].parameters == published


def test_what_does_not_fit_is_told():
    with pytest.raises(UsageError, match="GPT-3's token embedding has no position"):
        MODELS["gpt3-125m"].build(TINY)(torch.zeros(1, 10, dtype=torch.int64))
    with pytest.raises(SpecError, match="a multiple of heads=12"):
        MODELS["gpt3-125m"].spec({"width": 100})
