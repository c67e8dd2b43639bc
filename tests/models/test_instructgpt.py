"""InstructGPT's reward model against transformers' GPT2ForSequenceClassification."""

from __future__ import annotations

import pytest
import torch

from sevenfold.errors import SpecError, UsageError
from sevenfold.models import MODELS
from sevenfold.runs.recipe import Objective
from sevenfold.training.alignment.losses import ranking_losses
from sevenfold.training.objectives import TASKS, loss_function

TINY = {"vocabulary": 11, "context": 9, "width": 12, "layers": 2, "heads": 3, "padding": 0, "bandwidth": None}
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
    module = loud(MODELS["instructgpt-6b"].build(TINY))
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
    module = loud(MODELS["instructgpt-6b"].build(TINY))
    assert (module(tokens) - theirs(module, tokens, mutation=mutation)[0]).abs().max() > 1e-7


def test_answers_to_a_prompt_are_scored_together_as_one_by_one(loud, tokens):
    module = loud(MODELS["instructgpt-6b"].build(TINY))
    assert torch.allclose(module(tokens.reshape(2, 2, 8)).flatten(), module(tokens), atol=1e-12)
    assert torch.allclose(module(tokens[:, :5])[2], module(tokens)[2], atol=1e-12)  # more padding changes nothing


def test_the_loss_is_the_mean_over_the_pairs_of_each_prompt():
    rewards = torch.tensor([[1.0, 0.5, -2.0], [0.2, 0.9, 5.0]], dtype=torch.float64)
    places = torch.tensor([[0, 1, 2], [0, 1, -1]])

    def pair(better, worse):
        return -torch.log(1 / (1 + torch.exp(worse - better)))

    first = (pair(rewards[0, 0], rewards[0, 1]) + pair(rewards[0, 0], rewards[0, 2]) + pair(*rewards[0, 1:])) / 3
    second = pair(rewards[1, 0], rewards[1, 1])  # the third answer is not there
    rule, loss = TASKS["reward"], loss_function("reward", Objective())
    assert float(loss(rewards.float(), places)) == pytest.approx(float(first + second) / 2, rel=1e-6)
    assert int(rule.right(rewards, places)) == 3
    assert int(rule.answers(places)) == 4
    assert int(rule.right(-rewards, places)) == 1
    moved = rewards.clone()
    moved[1, 2] = -9.0
    assert float(loss(moved.float(), places)) == pytest.approx(float(first + second) / 2, rel=1e-6)


def test_a_batch_in_one_go_has_the_gradient_of_pairs_one_by_one(loud, tokens):
    module = loud(MODELS["instructgpt-6b"].build(TINY))
    places = torch.tensor([[0, 1, 2, 3]])
    ranking_losses(module(tokens[None]), places >= 0).mean().backward()
    together = {name: weight.grad.clone() for name, weight in module.named_parameters()}
    module.zero_grad()
    for better in range(4):
        for worse in range(better + 1, 4):
            gap = module(tokens[better : better + 1]) - module(tokens[worse : worse + 1])
            (-torch.nn.functional.logsigmoid(gap).sum() / 6).backward()
    for name, weight in module.named_parameters():
        assert torch.allclose(weight.grad, together[name], rtol=1e-10, atol=1e-10), name


def test_the_band_of_odd_blocks_hides_what_is_far(loud, tokens):
    dense = loud(MODELS["instructgpt-6b"].build(TINY))
    banded = loud(MODELS["instructgpt-6b"].build(TINY | {"bandwidth": 2}))
    assert (dense(tokens) - banded(tokens)).abs().max() > 1e-3
    assert torch.allclose(dense(tokens[:, :2]), banded(tokens[:, :2]), atol=1e-12)


def test_demonstrations_come_to_zero(loud, tokens):
    module = loud(MODELS["instructgpt-6b"].build(TINY))
    before = module(tokens).detach()
    module.reward.normalize(before)
    after = module(tokens).detach()
    assert torch.allclose(after, before - before.mean(), atol=1e-12)


def test_what_does_not_fit_is_told():
    with pytest.raises(SpecError, match="expected a multiple of heads=32"):
        MODELS["instructgpt-6b"].spec({"width": 770})
    with pytest.raises(UsageError, match="InstructGPT's token embedding"):
        MODELS["instructgpt-nano"].build()(torch.zeros(1, 65, dtype=torch.int64))
