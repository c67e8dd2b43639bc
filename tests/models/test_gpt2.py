"""GPT-2 against a slow reference written from the formulas, with mutations that must be noticed."""

from __future__ import annotations

import math

import pytest
import torch

from sevenfold.errors import SpecError, UsageError
from sevenfold.models import MODELS

TINY = {"vocabulary": 11, "context": 9, "width": 12, "layers": 2, "heads": 3, "dropout": 0.0}


def slow_gpt2(weights, tokens, *, mutation=None, layers=2, heads=3):
    """One sequence, one head and one position at a time; only elementwise operations, sums and small products."""

    def linear(x, name):
        out = x @ weights[f"{name}.weight"].T
        return out if mutation == f"no bias in {name.rpartition('.')[2]}" else out + weights[f"{name}.bias"]

    def norm(x, name):
        mean = x.sum(-1, keepdim=True) / x.shape[-1]
        variance = ((x - mean) ** 2).sum(-1, keepdim=True) / x.shape[-1]
        if mutation == "unbiased variance":
            variance = variance * x.shape[-1] / (x.shape[-1] - 1)
        scaled = (x - mean) / (variance + (1e-6 if mutation == "another epsilon" else 1e-5)) ** 0.5
        scaled = scaled * weights[f"{name}.weight"]
        return scaled if mutation == "no bias in norms" else scaled + weights[f"{name}.bias"]

    def gelu(x):
        if mutation == "exact gelu":
            return x * 0.5 * (1 + torch.erf(x / math.sqrt(2)))
        return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))

    def attention(x, name):
        time, width = x.shape
        size = width // heads
        q, k, v = linear(x, f"{name}.query_key_value").split(width, dim=-1)
        if mutation == "q and k swapped":
            q, k = k, q
        columns = []
        for head in range(heads):
            own = slice(head * size, (head + 1) * size)
            if mutation == "heads interleaved":
                own = slice(head, None, heads)
            rows = []
            for t in range(time):
                seen = time if mutation == "no causal mask" else t + 1
                scale = {"no scaling": 1.0, "scaled by width": math.sqrt(width)}.get(mutation, math.sqrt(size))
                scores = (k[:seen, own] * q[t, own]).sum(-1) / scale
                share = torch.exp(scores - scores.max())
                rows.append(((share / share.sum())[:, None] * v[:seen, own]).sum(0))
            columns.append(torch.stack(rows))
        return linear(torch.cat(columns, dim=-1), f"{name}.projection")

    out = []
    for sequence in tokens:
        first = 1 if mutation == "positions from one" else 0
        positions = torch.arange(first, first + len(sequence))
        x = weights["token_embedding.weight"][sequence] + weights["position_embedding.weight"][positions]
        for layer in range(layers):
            block = f"blocks.{layer}"
            if mutation == "norm after":
                x = norm(x + attention(x, f"{block}.attention"), f"{block}.attention_norm")
            else:
                x = x + attention(norm(x, f"{block}.attention_norm"), f"{block}.attention")
            inner = gelu(linear(norm(x, f"{block}.feedforward_norm"), f"{block}.feedforward.expand"))
            branch = linear(inner, f"{block}.feedforward.projection")
            x = branch if mutation == "no residual" else x + branch
        if mutation != "no final norm":
            x = norm(x, "final_norm")
        out.append(x @ weights["token_embedding.weight"].T)
    return torch.stack(out)


@pytest.fixture
def tokens():
    return torch.randint(11, (2, 8), generator=torch.Generator().manual_seed(4))


def test_outputs_and_gradients_equal_the_reference(loud, difference, tokens):
    outputs, gradients = difference(loud(MODELS["gpt2"].build(TINY)), slow_gpt2, tokens)
    assert outputs < 1e-10
    assert gradients < 1e-10


@pytest.mark.parametrize(
    "mutation",
    [
        "no bias in query_key_value",
        "no bias in projection",
        "no bias in expand",
        "no bias in norms",
        "exact gelu",
        "q and k swapped",
        "heads interleaved",
        "no scaling",
        "scaled by width",
        "no causal mask",
        "unbiased variance",
        "another epsilon",
        "positions from one",
        "norm after",
        "no residual",
        "no final norm",
    ],
)
def test_a_mutated_reference_differs(loud, difference, tokens, mutation):
    module = loud(MODELS["gpt2"].build(TINY))
    outputs, gradients = difference(module, lambda w, x: slow_gpt2(w, x, mutation=mutation), tokens)
    assert outputs > 1e-7  # the gentlest, another epsilon, moves the outputs by 1e-6; parity holds to 1e-10
    assert gradients > 1e-7


@pytest.mark.parametrize(
    ("layers", "width", "vocabulary", "context", "published"),
    [
        (12, 768, 50_257, 1024, 124_439_808),
        (24, 1024, 50_257, 1024, 354_823_168),
        (36, 1280, 50_257, 1024, 774_030_080),
        (48, 1600, 50_257, 1024, 1_557_611_200),
        (6, 384, 65, 256, 10_770_816),
    ],
)
def test_the_formula_of_a_gpt(layers, width, vocabulary, context, published):
    by_formula = layers * (12 * width**2 + 13 * width) + (vocabulary + context) * width + 2 * width
    assert by_formula == published
    settings = {"layers": layers, "width": width, "vocabulary": vocabulary, "context": context, "heads": 1}
    assert sum(w.numel() for w in MODELS["gpt2"].build_meta(settings).parameters()) == published


def test_initialization_is_gpt2s():
    torch.manual_seed(0)
    layers = 4
    model = MODELS["gpt2-nano"].build({"layers": layers, "width": 128})
    for name, weight in model.named_parameters():
        if name.endswith("bias"):
            assert not weight.any()
        elif "norm" in name:
            assert (weight == 1).all()
        else:
            std = 0.02 / math.sqrt(2 * layers) if name.endswith("projection.weight") else 0.02
            assert abs(weight.std().item() / std - 1) < 0.05, name
            assert abs(weight.mean().item()) < 0.1 * std, name


def test_the_head_is_the_token_embedding_and_no_parameter_of_its_own():
    model = MODELS["gpt2-nano"].build()
    assert not [name for name in model.state_dict() if "head" in name]
    before = model(torch.tensor([[1, 2]]))
    with torch.no_grad():
        model.token_embedding.weight[5] *= 3  # token 5 is not among the inputs: only its logit can move
    after = model(torch.tensor([[1, 2]]))
    moved = (after - before).abs().amax(dim=(0, 1)) > 0
    assert moved.nonzero().flatten().tolist() == [5]


def test_what_does_not_fit_is_told_with_the_layer():
    model = MODELS["gpt2-nano"].build()
    with pytest.raises(UsageError, match="got 65 tokens, expected at most 64"):
        model(torch.zeros(1, 65, dtype=torch.int64))
    with pytest.raises(UsageError, match=r"token embedding.*float32 of shape"):
        model(torch.zeros(1, 8))
    with pytest.raises(UsageError, match=r"int64 of shape \[8\]"):
        model(torch.zeros(8, dtype=torch.int64))
    with pytest.raises(UsageError, match="got tokens from 3 to 96, expected 0 to 95"):
        model(torch.tensor([[3, 96]]), check_values=True)
    with pytest.raises(SpecError, match="width does not fit: got 770, expected a multiple of heads=12"):
        MODELS["gpt2"].spec({"width": 770})
