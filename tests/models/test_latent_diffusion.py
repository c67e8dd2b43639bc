"""Latent diffusion: counts of every part, the caption's encoder against two libraries, the stages and the walk."""

from __future__ import annotations

import math
import warnings

import pytest
import torch
from diffusers_oracles import diffusers
from encoder_oracles import differences, made_loud, read_into, swapped, transformers, zeroed

from sevenfold.errors import SpecError, UsageError
from sevenfold.layers import Noise, Sampling
from sevenfold.layers.caption_encoder import CaptionEncoder
from sevenfold.layers.diffusion import path
from sevenfold.models import MODELS

TINY = {"encoder_multiples": (1, 2), "width": 8, "multiples": (1,), "attention": (0,), "groups": 4, "image": 8,
        "head_width": 4, "walked": 5}  # fmt: skip


@pytest.mark.parametrize(("name", "parts"), [
    ("latent-diffusion-imagenet", (55_322_782, 400_920_579, 1001 * 512)),
    ("latent-diffusion-text", (83_653_863, 872_300_484, 542_895_360)),
    ("stable-diffusion-1", (83_653_863, 859_520_964, 123_060_480)),
])  # fmt: skip
def test_every_part_has_the_published_count(name, parts):
    module = MODELS[name].build_meta()
    counted = (module.autoencoder, module.unet, module.told)
    assert tuple(sum(weight.numel() for weight in part.parameters()) for part in counted) == parts


@pytest.mark.slow
def test_the_papers_caption_encoder_has_the_count_of_diffusers():
    from diffusers.pipelines.latent_diffusion.pipeline_latent_diffusion import LDMBertConfig, LDMBertModel

    with torch.device("meta"):
        theirs = LDMBertModel(LDMBertConfig())
    assert sum(weight.numel() for weight in theirs.model.parameters()) == 542_895_360


def ldm_bert():
    diffusers()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from diffusers.pipelines.latent_diffusion.pipeline_latent_diffusion import LDMBertConfig, LDMBertModel

        config = LDMBertConfig(vocab_size=11, max_position_embeddings=6, encoder_layers=2, encoder_ffn_dim=32,
                               encoder_attention_heads=2, head_dim=3, d_model=8)  # fmt: skip
        # Without its logits over the vocabulary, which nothing uses.
        return made_loud(LDMBertModel(config).model)


def from_ldm_bert(tensors):
    state = {f"{part}_embedding.weight": tensors[f"embed_{name}.weight"]
             for part, name in (("token", "tokens"), ("position", "positions"))}  # fmt: skip
    names = {"attention_norm": "self_attn_layer_norm", "attention.projection": "self_attn.out_proj",
             "feedforward_norm": "final_layer_norm", "expand": "fc1", "contract": "fc2"}  # fmt: skip
    for layer in range(2):
        for part, short in (("query", "q"), ("key", "k"), ("value", "v")):
            weight = tensors[f"layers.{layer}.self_attn.{short}_proj.weight"]
            state[f"blocks.{layer}.attention.{part}.weight"] = weight
        for ours, theirs in names.items():
            for part in ("weight", "bias"):
                state[f"blocks.{layer}.{ours}.{part}"] = tensors[f"layers.{layer}.{theirs}.{part}"]
    return state | {f"norm.{part}": tensors[f"layer_norm.{part}"] for part in ("weight", "bias")}


def clip_text():
    library = transformers()
    config = library.CLIPTextConfig(vocab_size=11, hidden_size=8, intermediate_size=32, num_hidden_layers=2,
                                    num_attention_heads=2, max_position_embeddings=6, eos_token_id=10)  # fmt: skip
    config._attn_implementation = "sdpa"
    return made_loud(library.CLIPTextModel(config))


def from_clip(tensors):
    tensors = {name.removeprefix("text_model."): tensor for name, tensor in tensors.items()}
    state = {f"{part}_embedding.weight": tensors[f"embeddings.{part}_embedding.weight"]
             for part in ("token", "position")}  # fmt: skip
    names = {"attention_norm": "layer_norm1", "feedforward_norm": "layer_norm2", "expand": "mlp.fc1",
             "projection": "mlp.fc2", "attention.query": "self_attn.q_proj", "attention.key": "self_attn.k_proj",
             "attention.value": "self_attn.v_proj", "attention.projection": "self_attn.out_proj"}  # fmt: skip
    for layer in range(2):
        for ours, theirs in names.items():
            for part in ("weight", "bias"):
                state[f"blocks.{layer}.{ours}.{part}"] = tensors[f"encoder.layers.{layer}.{theirs}.{part}"]
    return state | {f"norm.{part}": tensors[f"final_layer_norm.{part}"] for part in ("weight", "bias")}


ENCODERS = {"bidirectional": (ldm_bert, from_ldm_bert), "causal": (clip_text, from_clip)}


def encoder_differences(kind, change=dict, told=None, **settings):
    make, renamed = ENCODERS[kind]
    oracle = make()
    given = {"heads": 2, "head_width": 3, "causal": kind == "causal", **settings}
    module = CaptionEncoder(vocabulary=11, context=6, width=8, layers=2, **given)
    ours = read_into(module, change(renamed(oracle.state_dict())))
    tokens = torch.tensor([[1, 2, 3, 10], [4, 9, 4, 10]])
    expected = oracle(tokens).last_hidden_state
    got = ours(tokens if told is None else torch.tensor(told))
    return differences(ours, (got,), oracle, (expected,), renamed)


@pytest.mark.parametrize("kind", ENCODERS)
def test_the_caption_encoder_equals_the_libraries(kind):
    assert max(encoder_differences(kind)) < 1e-10


@pytest.mark.parametrize(("kind", "mutation"), [
    ("bidirectional", {"change": swapped("query", "key")}), ("bidirectional", {"change": zeroed("contract.bias")}),
    ("bidirectional", {"heads": 3, "head_width": 2}), ("bidirectional", {"told": [[1, 2, 3, 10], [9, 4, 4, 10]]}),
    ("bidirectional", {"change": zeroed("position_embedding.weight")}),
    ("causal", {"change": swapped("attention_norm", "feedforward_norm")}), ("causal", {"heads": 4}),
    ("causal", {"told": [[1, 2, 3, 9], [4, 9, 4, 9]]}),
])  # fmt: skip
def test_a_mutation_of_the_caption_encoder_differs(kind, mutation):
    assert encoder_differences(kind, **mutation)[0] > 1e-7


def built(**changes):
    torch.manual_seed(0)
    return MODELS["latent-diffusion-small"].build({**TINY, **changes})


def batch(num=6):
    draw = torch.Generator().manual_seed(1)
    return torch.rand(num, 1, 8, 8, generator=draw), torch.arange(num) % 10


CAPTIONS = {"classes": 0, "vocabulary": 7, "context": 3, "token_layers": 1, "token_heads": 2}


def test_the_first_loss_is_the_papers_by_hand():
    module = built(divergence=0.5).double()
    images = batch()[0].double()
    torch.manual_seed(3)
    found = module.first_loss(images)
    mean, log_variance = module.autoencoder.encode(2 * images - 1)
    torch.manual_seed(3)
    drawn = mean + (0.5 * log_variance).exp() * torch.randn_like(mean)
    error = (module.autoencoder.decode(drawn) - (2 * images - 1)).abs().mean((1, 2, 3))
    normals = torch.distributions.Normal(mean, (0.5 * log_variance).exp()), torch.distributions.Normal(0.0, 1.0)
    divergence = torch.distributions.kl_divergence(*normals).sum((1, 2, 3)) / 64
    assert torch.allclose(found, error + 0.5 * divergence)
    coded = built(codes=5).double()
    latents = coded.autoencoder.encode(2 * images - 1)
    error = (coded.autoencoder.decode(latents) - (2 * images - 1)).abs().mean((1, 2, 3))
    assert torch.allclose(coded.first_loss(images), error + coded.autoencoder.codebook_loss(latents))


def test_the_deviation_is_that_of_the_first_batch_of_training_and_undone_by_the_decoder():
    module = built()
    images, labels = batch()
    module.eval()
    module.second_loss(images, labels)
    assert module.deviation == 0
    module.train()
    module.second_loss(images, labels)
    latents = module.autoencoder.encode(2 * images - 1)[0]
    assert torch.allclose(module.deviation, latents.std(correction=0))
    assert module._latents(images).std(correction=0).item() == pytest.approx(1, abs=1e-5)
    before = module.deviation.clone()
    module.second_loss(images.flip(0) ** 2, labels)
    assert torch.equal(before, module.deviation)
    module.eval()
    same = module.translate(images, strength=0.0, noise=Noise(range(6)), condition=labels)
    assert torch.allclose(same, module.reconstruct(images), atol=1e-5)
    other = module.translate(images, strength=0.6, noise=Noise(range(6)), condition=labels)
    assert not torch.allclose(other, same, atol=1e-3)


@pytest.mark.parametrize("changes", [{}, CAPTIONS, {"codes": 5}, {"classes": 0}])
def test_players_own_every_weight_and_the_second_moves_nothing_of_the_first(changes):
    module = built(**changes)
    images, labels = batch()
    told = {"class": (labels,), "tokens": (labels[:, None] % 7,), "none": ()}[module.condition]
    first, second = module.players()
    assert (first.begins, first.ends, second.begins, second.ends) == (0, 0.35, 0.35, 1)
    owned = [*first.parameters, *second.parameters]
    assert len(owned) == len(set(owned)) == len(list(module.parameters()))
    for mover, other in ((first, second), (second, first)):
        grads = torch.autograd.grad(mover.loss(images, *told), other.parameters, allow_unused=True)
        assert all(one is None for one in grads)
    module.eval()
    torch.manual_seed(0)
    both = module(images, *told)
    torch.manual_seed(0)
    assert torch.allclose(both, module.first_loss(images) + module.second_loss(images, *told))


@pytest.mark.parametrize("changes", [{}, CAPTIONS])
def test_a_tenth_of_the_conditions_is_left_out_in_training_and_none_otherwise(changes):
    module = built(**changes)
    images, labels = batch(64)
    given = labels if not changes else 1 + labels[:, None] % 6
    nothing = 10 if not changes else 0
    seen = []
    module.told.register_forward_pre_hook(lambda part, inputs: seen.append(inputs[0].flatten()))
    for _ in range(12):
        module.second_loss(images, given)
    told = torch.cat(seen)
    assert abs(float((told == nothing).float().mean()) - 0.1) < 4 * math.sqrt(0.09 / len(told))
    kept = told != nothing
    assert torch.equal(told[kept], given.flatten().repeat(12)[kept])
    seen.clear()
    module.eval().second_loss(images, given)
    assert torch.equal(seen[0], given.flatten())


def test_a_sample_is_ddim_in_the_latent_with_guidance_then_the_decoder():
    module = built().eval()
    module.deviation.fill_(0.7)
    labels, guidance = torch.tensor([3, 8]), 3.0
    found = module.sample(
        2, noise=Noise([5, 6]), condition=labels, sampling=Sampling(steps=4, guidance=guidance, eta=0.0)
    )
    x = Noise([5, 6]).normal(4, 4, 4)
    left = module.process.alpha_bar.float()
    with torch.no_grad(), module.average.applied():
        for t, s in path(100, 4):
            t_b = torch.full((2,), t * 10)
            told, free = (module.unet(x, t_b, None, module.told(y)) for y in (labels, torch.full((2,), 10)))
            noise = free + guidance * (told - free)
            data = (x - (1 - left[t + 1]).sqrt() * noise) / left[t + 1].sqrt()
            x = left[s + 1].sqrt() * data + (1 - left[s + 1]).sqrt() * noise
        expected = ((module.autoencoder.decode(0.7 * x) + 1) / 2).clamp(0, 1)
    assert torch.allclose(found, expected, atol=1e-4)
    assert found.std() > 0.01


@pytest.mark.parametrize("changes", [{}, CAPTIONS, {"classes": 0}])
def test_samples_follow_seed_and_condition(changes):
    module = built(**changes).eval()
    given = {"class": torch.tensor([1, 2, 3]), "tokens": torch.tensor([[1, 2], [3, 4], [5, 6]])}
    condition = given.get(module.condition)
    with torch.no_grad():
        for weight in module.unet.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
        module.average.after_update()
    whole = module.sample(3, noise=Noise([7, 8, 9]), condition=condition)
    one = None if condition is None else condition[1:2]
    assert whole.shape == (3, 1, 8, 8)
    assert torch.allclose(module.sample(1, noise=Noise([8]), condition=one), whole[1:2], atol=1e-4)
    if condition is not None:
        other = module.sample(1, noise=Noise([8]), condition=condition[2:])
        assert not torch.allclose(other, whole[1:2], atol=1e-4)


def test_wrong_settings_and_requests_are_one_line():
    module = built().eval()
    with pytest.raises(UsageError, match=r"what latent diffusion is told: got no condition, expected labels"):
        module.sample(1, noise=Noise([0]))
    with pytest.raises(UsageError, match=r"has no temperature"):
        module.sample(1, noise=Noise([0]), condition=torch.tensor([1]), sampling=Sampling(temperature=2.0))
    with pytest.raises(UsageError, match=r"has no guidance"):
        built(classes=0).sample(1, noise=Noise([0]), sampling=Sampling(guidance=2.0))
    with pytest.raises(SpecError, match=r"image does not fit: got 9, expected a multiple of 2"):
        built(image=9)
    with pytest.raises(SpecError, match=r"classes or captions are told, not both"):
        built(vocabulary=5)
