"""The reward model of 2019 against transformers' GPT2ForSequenceClassification."""

from __future__ import annotations

import pytest
import torch

from sevenfold.errors import SpecError, UsageError
from sevenfold.models import MODELS
from sevenfold.runs.recipe import Objective
from sevenfold.training.objectives import TASKS, loss_function

TINY = {"vocabulary": 11, "context": 9, "width": 12, "layers": 2, "heads": 3, "padding": 0}
_THEIRS = {
    "attention_norm": "ln_1",
    "attention.query_key_value": "attn.c_attn",
    "attention.projection": "attn.c_proj",
    "feedforward_norm": "ln_2",
    "feedforward.expand": "mlp.c_fc",
    "feedforward.projection": "mlp.c_proj",
}


@pytest.fixture
def tokens():
    drawn = torch.randint(1, 11, (4, 8), generator=torch.Generator().manual_seed(4))
    drawn[1, 5:] = 0  # padding
    drawn[2, 1:] = 0
    return drawn


def theirs(module, tokens, *, mutation=None):
    """The rewards of transformers' model with our weights, and its own parameters by our names."""
    transformers = pytest.importorskip("transformers")
    spec = module.spec
    config = transformers.GPT2Config(
        vocab_size=spec.vocabulary,
        n_positions=spec.context,
        n_embd=spec.width,
        n_layer=spec.layers,
        n_head=spec.heads,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=1,
        eos_token_id=1,
        pad_token_id=None if mutation == "no padding" else 0,
        num_labels=1,
        activation_function="gelu" if mutation == "exact gelu" else "gelu_new",
        layer_norm_epsilon=1e-6 if mutation == "another epsilon" else 1e-5,
    )
    model = transformers.GPT2ForSequenceClassification(config).double().eval()
    names = {
        "transformer.wte.weight": "token_embedding.weight",
        "transformer.wpe.weight": "position_embedding.weight",
        "transformer.ln_f.weight": "final_norm.weight",
        "transformer.ln_f.bias": "final_norm.bias",
        "score.weight": "reward.score.weight",
    }
    for index in range(spec.layers):
        for ours, other in _THEIRS.items():
            for end in ("weight", "bias"):
                names[f"transformer.h.{index}.{other}.{end}"] = f"blocks.{index}.{ours}.{end}"
    weights = dict(module.named_parameters())
    assert sorted(names.values()) == sorted(weights)
    assert sorted(names) == sorted(name for name, _ in model.named_parameters())
    with torch.no_grad():
        for other, parameter in model.named_parameters():
            mine = weights[names[other]]
            turned = mine.dim() == 2 and other.startswith("transformer.h.")
            parameter.copy_(mine.T if turned else mine)
    rows = [model(input_ids=row[None]).logits for row in tokens] if mutation == "no padding" else None
    logits = torch.cat(rows) if rows is not None else model(input_ids=tokens).logits
    return logits.squeeze(-1), {names[other]: parameter for other, parameter in model.named_parameters()}


def test_rewards_and_gradients_equal_transformers(loud, tokens):
    module = loud(MODELS["rlhf2019"].build(TINY))
    expected, their_weights = theirs(module, tokens)
    got = module(tokens)
    assert (got - expected).abs().max() < 1e-10 * max(1.0, float(got.detach().abs().max()))
    pull = torch.tensor([1.0, -0.5, 2.0, 0.3], dtype=torch.float64)
    (got * pull).sum().backward()
    (expected * pull).sum().backward()
    for name, weight in module.named_parameters():
        other = their_weights[name].grad
        other = other.T if other.shape != weight.grad.shape or _is_turned(name, weight) else other
        scale = max(1.0, float(weight.grad.abs().max()))
        assert (weight.grad - other).abs().max() < 1e-10 * scale, name


def _is_turned(name, weight):
    return weight.dim() == 2 and name.startswith("blocks.")


@pytest.mark.parametrize("mutation", ["no padding", "exact gelu", "another epsilon"])
def test_a_mutated_oracle_differs(loud, tokens, mutation):
    module = loud(MODELS["rlhf2019"].build(TINY))
    assert (module(tokens) - theirs(module, tokens, mutation=mutation)[0]).abs().max() > 1e-7


def test_answers_to_a_prompt_are_scored_together_as_one_by_one(loud, tokens):
    module = loud(MODELS["rlhf2019"].build(TINY))
    assert torch.allclose(module(tokens.reshape(2, 2, 8)).flatten(), module(tokens), atol=1e-12)
    assert torch.allclose(module(tokens[:, :5])[2], module(tokens)[2], atol=1e-12)  # more padding changes nothing


def test_the_loss_is_the_choice_of_the_best_of_four():
    rewards = torch.tensor([[0.3, -1.0, 2.0, 0.5], [1.5, 0.0, 0.0, 0.0]], dtype=torch.float64)
    places = torch.tensor([[0, 1, 2, 3], [0, 1, -1, -1]])
    chosen = (rewards[0].exp() / rewards[0].exp().sum())[0]
    of_two = rewards[1, 0].exp() / (rewards[1, 0].exp() + 1)
    expected = -(chosen.log() + of_two.log()) / 2
    loss = loss_function("reward", Objective(comparison="best"))
    assert float(loss(rewards.float(), places)) == pytest.approx(float(expected), rel=1e-6)
    assert float(loss((rewards + 7).float(), places)) == pytest.approx(float(expected), rel=1e-5)  # no zero
    # of two answers it is the loss of the pair
    pairs = loss_function("reward", Objective())
    assert float(loss(rewards[:, :2].float(), places[:, :2])) == pytest.approx(
        float(pairs(rewards[:, :2].float(), places[:, :2])), rel=1e-6
    )


def test_rewards_are_normalized_to_mean_and_variance(loud, tokens):
    module = loud(MODELS["rlhf2019"].build(TINY))
    before = module(tokens).detach()
    module.reward.normalize(before, variance=True)
    after = module(tokens).detach()
    assert after.mean().abs() < 1e-12
    assert after.var(correction=0) == pytest.approx(1.0)
    assert after.argsort().tolist() == before.argsort().tolist()
    module.reward.normalize(after, variance=True)  # again changes nothing
    assert torch.allclose(module(tokens), after, atol=1e-12)


def test_a_policys_weights_fit_by_name():
    policy = MODELS["gpt2-nano"].build({"vocabulary": 96, "context": 64})
    model = MODELS["rlhf2019-nano"].build()
    theirs_ = policy.state_dict()
    ours = model.state_dict()
    assert {name for name in ours if name not in theirs_} == {"reward.score.weight", "reward.scale", "reward.shift"}
    assert all(ours[name].shape == theirs_[name].shape for name in theirs_)


def test_what_does_not_fit_is_told():
    with pytest.raises(SpecError, match="expected a multiple of heads=20"):
        MODELS["rlhf2019"].spec({"width": 770})
    with pytest.raises(UsageError, match="RLHF 2019's token embedding"):
        MODELS["rlhf2019-nano"].build()(torch.zeros(1, 65, dtype=torch.int64))
    assert TASKS["reward"].right is not None
