"""DALL-E 2: the prior and its steps against diffusers, the decoder's attention, guidance, and what stands still."""

from __future__ import annotations

import math

import pytest
import torch
from encoder_oracles import differences, made_loud, read_into, relative, swapped, zeroed

from sevenfold.errors import SpecError, UsageError
from sevenfold.layers import Noise, Sampling
from sevenfold.layers.context_attention import JointAttention
from sevenfold.layers.diffusion import Denoiser, Process, betas, path
from sevenfold.layers.unet_blocks import timestep_waves
from sevenfold.models import MODELS
from sevenfold.models._published import published, read
from sevenfold.models.generative._prior import PriorSpec, PriorTransformer

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")

TINY = {
    "num_attention_heads": 3,
    "attention_head_dim": 4,
    "num_layers": 2,
    "embedding_dim": 10,
    "num_embeddings": 5,
    "additional_embeddings": 4,
}


@pytest.fixture(scope="module")
def diffusers():
    return pytest.importorskip("diffusers")


def oracle_of(diffusers, **changes):
    torch.manual_seed(0)
    return made_loud(diffusers.PriorTransformer(**TINY | changes))


def config_of(oracle):
    return {"_class_name": "PriorTransformer", **oracle.config}


def inputs():
    draw = torch.Generator().manual_seed(3)
    noisy, caption, states = (
        torch.randn(*shape, generator=draw, dtype=torch.float64) for shape in ((3, 10), (3, 10), (3, 5, 10))
    )
    present = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [1, 0, 0, 0, 0]])
    return noisy, torch.tensor([0, 17, 999]), caption, states, present


def compared(diffusers, change_state=None, change_inputs=None):
    oracle = oracle_of(diffusers)
    entry = published(config_of(oracle))
    spec = entry.spec(config_of(oracle))
    state = entry.weights(spec, oracle.state_dict())
    ours = read_into(entry.module(spec), state if change_state is None else change_state(dict(state)))
    noisy, steps, caption, states, present = inputs()
    # Both round the angles of sines to float32, in another order: held to each other below, and here the same.
    oracle.time_proj.forward = lambda steps: timestep_waves(steps, 12, cosines_first=True, shift=0.0)
    expected = oracle(noisy, steps, caption, states, present.bool()).predicted_image_embedding
    given = inputs() if change_inputs is None else change_inputs(*inputs())
    pair = (ours(*given), ours.restored(noisy)), (expected, oracle.post_process_latents(noisy))
    return differences(ours, pair[0], oracle, pair[1], lambda grads: entry.weights(spec, grads))


def test_outputs_and_gradients_equal_diffusers(diffusers):
    outputs, gradients = compared(diffusers)
    assert outputs < 1e-10
    assert gradients < 1e-10


def test_the_waves_of_steps_are_diffusers(diffusers):
    steps = torch.arange(1000)
    theirs = oracle_of(diffusers).time_proj(steps)
    ours = timestep_waves(steps, 12, cosines_first=True, shift=0.0)
    assert float((ours - theirs).abs().max()) < 1e-4  # angles up to 999 in float32
    exact = steps.double()[:, None] * torch.exp(-torch.arange(6).double() / 6 * math.log(10_000))
    assert float((ours.double() - torch.cat([exact.cos(), exact.sin()], dim=1)).abs().max()) < 1e-4


MUTATIONS = {
    "no bias in norms": {"change_state": zeroed("attention_norm.bias")},
    "q and k swapped": {"change_state": swapped("attention.query", "attention.key")},
    "caption and noisy swapped": {"change_state": swapped("of_caption", "of_noisy")},
    "no bias in value": {"change_state": zeroed("value.bias")},
    "no bias of the time": {"change_state": zeroed("time.contract.bias")},
    "no query": {"change_state": zeroed("query")},
    "no positions": {"change_state": zeroed("positions")},
    "no mean": {"change_state": zeroed("mean")},
    "padding is seen": {"change_inputs": lambda n, t, c, s, p: (n, t, c, s, torch.ones_like(p))},
    "another step": {"change_inputs": lambda n, t, c, s, p: (n, (t + 1).clamp(max=999), c, s, p)},
}  # fmt: skip


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_a_mutation_differs(diffusers, mutation):
    outputs, _ = compared(diffusers, **MUTATIONS[mutation])
    assert outputs > 1e-7


def test_no_position_sees_the_future(diffusers):
    """Without the mask theirs looks both ways; ours never does."""
    oracle = oracle_of(diffusers)
    entry = published(config_of(oracle))
    ours = read(entry, config_of(oracle), oracle.state_dict()).double()
    noisy, steps, caption, states, _ = inputs()
    everyone = torch.ones(3, 5, dtype=torch.int64)
    torch.testing.assert_close(ours(noisy, steps, caption, states), ours(noisy, steps, caption, states, everyone))
    both_ways = oracle(noisy, steps, caption, states).predicted_image_embedding
    assert float((ours(noisy, steps, caption, states) - both_ways).detach().abs().max()) > 1e-6


def test_a_saved_folder_is_read(diffusers, tmp_path):
    from sevenfold.checkpoints.hugging_face import open_folder

    oracle = oracle_of(diffusers).float()
    oracle.save_pretrained(tmp_path)
    folder = open_folder(tmp_path)
    ours = read(published(folder.config), folder.config, folder.tensors)
    noisy, steps, caption, states, present = (one.float() if one.is_floating_point() else one for one in inputs())
    expected = oracle(noisy, steps, caption, states, present.bool()).predicted_image_embedding
    torch.testing.assert_close(ours(noisy, steps, caption, states, present), expected, rtol=1e-5, atol=1e-5)


def test_what_ours_cannot_be_is_refused(diffusers):
    for change in ({"added_emb_type": None}, {"encoder_hid_proj_type": None}, {"clip_embed_dim": 11}):
        oracle = diffusers.PriorTransformer(**TINY | change)
        with pytest.raises(UsageError, match="a checkpoint that our model cannot be"):
            published(config_of(oracle)).spec(config_of(oracle))


def test_the_prior_has_the_published_count(diffusers):
    with torch.device("meta"):
        ours, theirs = PriorTransformer(PriorSpec()), diffusers.PriorTransformer()
    counts = [sum(weight.numel() for weight in one.parameters()) for one in (ours, theirs)]
    assert counts == [1_022_030_080, 1_022_030_080]


# Steps.


@pytest.mark.parametrize("predicts", ["data", "noise"])
@pytest.mark.parametrize("variance", ["small", "learned-range"])
@pytest.mark.parametrize("num_steps", [1000, 25, 7])
def test_every_step_equals_unclip_scheduler(diffusers, predicts, variance, num_steps):
    """From the same network output and the same noise, along the whole path, to 1e-6."""
    scheduler = diffusers.UnCLIPScheduler(
        num_train_timesteps=1000,
        variance_type="fixed_small_log" if variance == "small" else "learned_range",
        prediction_type="sample" if predicts == "data" else "epsilon",
        clip_sample_range=1.0,
    )
    # Their table is rounded to float32; in ours' precision both are the same formula.
    scheduler.betas = betas("cosine", 1000)
    scheduler.alphas = 1 - scheduler.betas
    scheduler.alphas_cumprod = torch.cumprod(scheduler.alphas, 0)
    scheduler.one = scheduler.one.double()
    scheduler.set_timesteps(num_steps)
    pairs = path(1000, num_steps)
    assert [t for t, _ in pairs] == scheduler.timesteps.tolist()
    draw = torch.Generator().manual_seed(0)
    process = Process(betas("cosine", 1000))
    every = pairs if num_steps < 100 else [*pairs[:4], pairs[500], *pairs[-4:]]
    for t, s in every:
        noisy = torch.randn(2, 3, 4, 4, generator=draw, dtype=torch.float64)
        channels = 6 if variance == "learned-range" else 3
        said = torch.randn(2, channels, 4, 4, generator=draw, dtype=torch.float64)
        denoiser = Denoiser(process, lambda x, t, said=said: said, predicts=predicts, variance=variance)
        fresh = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(t), dtype=torch.float64)
        if variance == "learned-range":
            fresh = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(t), dtype=torch.float64)
        # At t = 1 of a one-step stride theirs and ours are N(mean, beta_tilde); at t = 0 theirs adds nothing.
        expected = scheduler.step(
            said, t, noisy, prev_timestep=s, generator=torch.Generator().manual_seed(t)
        ).prev_sample
        steps, earlier = (torch.full((2,), number) for number in (t, s))
        got = denoiser.step(noisy, steps, earlier, fresh if s >= 0 else torch.zeros_like(fresh), eta=None)
        assert relative(got, expected) < 1e-6, (t, s)


# The decoder.


def test_joint_attention_equals_diffusers(diffusers):
    from diffusers.models.attention_processor import Attention, AttnAddedKVProcessor

    torch.manual_seed(0)
    theirs = Attention(
        query_dim=12, heads=3, dim_head=4, bias=True, norm_num_groups=4, added_kv_proj_dim=7, eps=1e-5,
        residual_connection=True, processor=AttnAddedKVProcessor(),
    )  # fmt: skip
    made_loud(theirs)
    names = {
        "norm": "group_norm", "query": "to_q", "key": "to_k", "value": "to_v", "context_key": "add_k_proj",
        "context_value": "add_v_proj", "projection": "to_out.0",
    }  # fmt: skip

    def renamed(tensors):
        return {f"{a}.{part}": tensors[f"{b}.{part}"] for a, b in names.items() for part in ("weight", "bias")}

    ours = read_into(JointAttention(12, heads=3, context=7, groups=4), renamed(theirs.state_dict()))
    draw = torch.Generator().manual_seed(2)
    x = torch.randn(2, 12, 3, 5, generator=draw, dtype=torch.float64)
    context = torch.randn(2, 4, 7, generator=draw, dtype=torch.float64)
    outputs, gradients = differences(ours, (ours(x, context),), theirs, (theirs(x, context),), renamed)
    assert outputs < 1e-10
    assert gradients < 1e-10
    for part in ("context_value.bias", "key.weight", "norm.bias"):
        mutated = read_into(
            JointAttention(12, heads=3, context=7, groups=4), zeroed(part)(renamed(theirs.state_dict()))
        )
        assert relative(mutated(x, context), theirs(x, context)) > 1e-7


@pytest.fixture(scope="module")
def small():
    torch.manual_seed(0)
    model = MODELS["dalle2-small"].build()
    images, tokens = MODELS["dalle2-small"].example(batch=4, device="cpu")
    tokens[:, -1] = 16  # texts end there
    return model.eval(), images.clamp(0, 1), tokens


def test_withheld_captions_and_pictures_change_nothing_further(small):
    """What is withheld has no way in: other captions under told = 0 give the same picture."""
    model, images, tokens = small
    steps = torch.tensor([3, 50, 100, 199])
    picture = model.picture_embedding(images)
    silent = torch.zeros(4)
    first = model.decoder(2 * images - 1, steps, picture, tokens, silent)
    again = model.decoder(2 * images - 1, steps, picture, tokens.flip(0), silent)
    assert torch.equal(first, again)
    told = torch.ones(4)
    with torch.no_grad():
        for block in model.decoder.unet.modules():
            if isinstance(block, torch.nn.Conv2d) and not block.weight.any():
                block.weight.normal_(std=0.1)
    first = model.decoder(2 * images - 1, steps, picture, tokens, told)
    again = model.decoder(2 * images - 1, steps, picture, tokens.flip(0), told)
    assert not torch.allclose(first, again)
    other = model.decoder(2 * images - 1, steps, picture.flip(0), tokens, told)
    assert not torch.allclose(first, other)


def test_guidance_goes_beyond_what_was_told(small):
    """free + s (told - free) in the noise; the variance as told."""
    model, images, tokens = small
    steps, noisy = torch.tensor([3, 50, 100, 199]), 2 * images - 1
    picture = model.picture_embedding(images)
    told = torch.ones(4)
    said = model.decoder(noisy, steps, picture, tokens, told)
    free = model.decoder(noisy, steps, torch.zeros_like(picture), tokens, torch.zeros(4))
    found = model._decoding(picture, tokens, told, 2.5).network(noisy, steps)
    torch.testing.assert_close(found[:, :3], free[:, :3] + 2.5 * (said[:, :3] - free[:, :3]))
    torch.testing.assert_close(found[:, 3:], said[:, 3:])


def test_the_nearer_of_two_embeddings_is_taken(small):
    model, _, tokens = small
    caption, _ = model.caption_embedding(tokens)
    drawn = []
    restored = model.prior.restored
    model.prior.restored = lambda one: drawn.append(restored(one)) or drawn[-1]
    try:
        best = model.drawn_embedding(tokens, Noise([1, 2, 3, 4]))
    finally:
        del model.prior.restored
    near = torch.stack([(one * caption).sum(1) for one in drawn])
    assert near.shape == (2, 4)
    torch.testing.assert_close((best * caption).sum(1), near.amax(0))


def test_embeddings_are_scaled_and_restored(small):
    model, images, _ = small
    z = model.picture_embedding(images)
    assert torch.allclose(z.norm(dim=1), torch.ones(4))
    torch.testing.assert_close(model.prior.scaled(z), 4.3 * z)
    torch.testing.assert_close(model.prior.restored(model.prior.scaled(z)), z)


def test_the_parts_share_nothing_and_two_numbers_stand_still(small):
    model, images, tokens = small
    clip, prior, decoder = model.players()
    named = {id(weight): name for name, weight in model.named_parameters()}
    taken = [named[id(weight)] for player in (clip, prior, decoder) for weight in player.parameters]
    assert len(taken) == len(set(taken))
    assert set(named.values()) - set(taken) == {"prior.mean", "prior.deviation"}
    assert clip.ends == prior.begins == decoder.begins
    for player, others in ((prior, clip), (decoder, clip), (clip, decoder)):
        loss = player.loss(images, tokens)
        assert all(g is None for g in torch.autograd.grad(loss, others.parameters, allow_unused=True))


def test_evaluation_tells_everything_and_training_withholds(small):
    model, images, _ = small
    assert model._kept(1000, 0.5, images).all()
    model.train()
    try:
        torch.manual_seed(0)
        share = float(model._kept(20_000, 0.1, images).mean())
    finally:
        model.eval()
    assert abs(share - 0.9) < 0.01


def test_a_sample_depends_on_its_seed_and_caption_alone(small):
    model, _, tokens = small
    told = []
    images = model.sample(4, noise=Noise([5, 6, 7, 8]), condition=tokens, on_step=lambda *of: told.append(of))
    alone = model.sample(1, noise=Noise([7]), condition=tokens[2:3])
    torch.testing.assert_close(images[2:3], alone, rtol=1e-3, atol=1e-4)
    assert images.shape == (4, 3, 16, 16)
    assert told == [(done, 10) for done in range(1, 11)]
    few = model.sample(1, noise=Noise([7]), condition=tokens[2:3], sampling=Sampling(steps=3, guidance=2.0))
    assert not torch.allclose(few, alone)


def test_interpolation_ends_at_the_variations(small):
    model, images, _ = small
    between = model.interpolate(images[0], images[1], 5, noise=Noise([3] * 5))
    assert between.shape == (5, 3, 16, 16)
    alone = model.interpolate(images[0], images[0], 2, noise=Noise([3] * 2))
    torch.testing.assert_close(between[0], alone[0], rtol=1e-3, atol=1e-4)
    assert model.reconstruct(images).shape == images.shape


def test_what_does_not_fit_is_told(small):
    model, _, tokens = small
    with pytest.raises(UsageError, match="DALL-E 2 draws what captions say: got no captions"):
        model.sample(2, noise=Noise([1, 2]))
    with pytest.raises(UsageError, match="sampling from DALL-E 2 has no temperature"):
        model.sample(4, noise=Noise(range(4)), condition=tokens, sampling=Sampling(temperature=0.5))
    with pytest.raises(UsageError, match="DALL-E 2's text has one length: got 10 tokens, expected 11"):
        model.sample(4, noise=Noise(range(4)), condition=tokens[:, :10])
    for setting in ({"embedding": 66}, {"image": 17}, {"walked": 201}):
        with pytest.raises(SpecError, match="does not fit"):
            MODELS["dalle2-small"].spec(setting)
