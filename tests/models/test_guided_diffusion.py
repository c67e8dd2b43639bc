"""Guided diffusion: published counts, the classifier against diffusers' blocks, guidance against closed forms."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from diffusers_oracles import made
from encoder_oracles import read_into, relative

from sevenfold.errors import SpecError, UsageError
from sevenfold.layers import Noise, Sampling
from sevenfold.layers.diffusion import Denoiser, Process, betas, mean_square, path, walk
from sevenfold.layers.noisy_classifier import NoisyClassifier
from sevenfold.models import MODELS
from sevenfold.models._published import published
from sevenfold.models.generative import _diffusers_unets as folders

TRUNK = {
    "sample_size": 8, "in_channels": 3, "out_channels": 5, "block_out_channels": (8, 16), "layers_per_block": 2,
    "down_block_types": ("ResnetDownsampleBlock2D", "AttnDownBlock2D"), "norm_num_groups": 4,
    "up_block_types": ("AttnUpBlock2D", "ResnetUpsampleBlock2D"), "downsample_type": "resnet",
    "upsample_type": "resnet", "resnet_time_scale_shift": "scale_shift", "attention_head_dim": 4,
    "attn_norm_num_groups": 4,
}  # fmt: skip


@pytest.mark.parametrize(("name", "network", "classifier"), [
    ("guided-diffusion-64", 295_904_454, 65_438_568), ("guided-diffusion-128", 421_529_606, 42_568_040),
    ("guided-diffusion-256", 553_838_086, 54_096_360), ("guided-diffusion-512", 558_997_638, 54_448_360),
])  # fmt: skip
def test_both_parts_have_the_published_counts(name, network, classifier):
    module = MODELS[name].build_meta()
    assert sum(weight.numel() for weight in module.unet.parameters()) == network
    assert sum(weight.numel() for weight in module.classifier.parameters()) == classifier


def trunk_state(spec, oracle):
    """The trunk of a U-Net of theirs, under the names of our classifier; the pool is drawn beside it."""
    state = folders.weights_of(spec, oracle.state_dict())
    kept = {name: weight for name, weight in state.items() if name.startswith(("time.", "enter.", "middle."))}
    kept |= {f"levels.{n[5:]}": w for n, w in state.items() if n.startswith("down.")}
    draw = torch.Generator().manual_seed(4)
    fresh = NoisyClassifier(spec).double().state_dict()
    pool = {
        name: 0.5 * torch.randn(weight.shape, generator=draw, dtype=torch.float64)
        for name, weight in fresh.items()
        if name.startswith(("pool.", "norm."))
    }
    return kept | pool


def oracle_logits(oracle, pool, x, steps, *, heads):
    """Their trunk, then CLIP's attention pool by torch's own multi-head attention."""
    time = oracle.time_embedding(oracle.time_proj(steps).to(x.dtype))
    hidden = oracle.conv_in(x)
    for block in oracle.down_blocks:
        hidden, _ = block(hidden, time)
    hidden = oracle.mid_block(hidden, time)
    hidden = F.silu(F.group_norm(hidden, 4, pool["norm.weight"], pool["norm.bias"], eps=1e-5))
    pixels = hidden.flatten(2).permute(2, 0, 1)
    pixels = torch.cat([pixels.mean(0, keepdim=True), pixels]) + pool["pool.positions"][:, None]
    names = ("pool.query", "pool.key", "pool.value")
    out, _ = F.multi_head_attention_forward(
        pixels, pixels, pixels, pixels.shape[2], heads, None,
        torch.cat([pool[f"{name}.bias"] for name in names]), None, None, False, 0.0,
        pool["pool.projection.weight"], pool["pool.projection.bias"], training=False, need_weights=False,
        use_separate_proj_weight=True, q_proj_weight=pool["pool.query.weight"],
        k_proj_weight=pool["pool.key.weight"], v_proj_weight=pool["pool.value.weight"],
    )  # fmt: skip
    return out[0]


def classifier_difference(change=dict, **told):
    oracle = made("UNet2DModel", **TRUNK)
    said = {**oracle.config, "_class_name": "UNet2DModel"}
    spec = published(said).spec({**said, **told})
    state = trunk_state(spec, oracle)
    # The attention of torch projects to its own width: here as many classes as channels.
    state["pool.projection.weight"] = torch.randn(16, 16, generator=torch.Generator().manual_seed(5)).double()
    state["pool.projection.bias"] = torch.linspace(-1, 1, 16, dtype=torch.float64)
    ours = read_into(NoisyClassifier(spec.with_changes({"outputs": 16})), change(dict(state)))
    x = torch.randn(3, 3, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    steps = torch.tensor([1, 500, 999])
    inputs = [x.clone().requires_grad_(True) for _ in range(2)]
    got, expected = ours(inputs[0], steps), oracle_logits(oracle, state, inputs[1], steps, heads=4)
    pull = torch.randn(got.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    gradients = [
        torch.autograd.grad((out * pull).sum(), one)[0] for out, one in zip((got, expected), inputs, strict=True)
    ]
    return relative(got, expected), relative(*gradients)


def test_the_classifier_and_its_gradient_by_the_image_equal_diffusers_trunk_and_torchs_attention():
    assert max(classifier_difference()) < 1e-10


def without(name):
    return lambda state: state | {name: torch.zeros_like(state[name])}


@pytest.mark.parametrize(("change", "told"), [
    (without("pool.positions"), {}), (without("pool.value.bias"), {}), (without("norm.bias"), {}),
    (without("time.expand.bias"), {}), (dict, {"attention_head_dim": 8}), (dict, {"flip_sin_to_cos": False}),
    (lambda s: s | {"pool.query.weight": s["pool.key.weight"], "pool.key.weight": s["pool.query.weight"]}, {}),
])  # fmt: skip
def test_a_mutation_of_the_classifier_differs(change, told):
    assert classifier_difference(change, **told)[0] > 1e-7


@pytest.fixture
def small():
    torch.manual_seed(0)
    module = MODELS["guided-diffusion-small"].build({"width": 8, "classifier_width": 8, "walked": 5})
    with torch.no_grad():
        for weight in module.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
        module.average.after_update()
    return module.eval()


def test_the_gradient_that_guides_is_that_of_the_log_probability(small):
    small.double()
    x = torch.randn(2, 1, 8, 8, dtype=torch.float64)
    t, labels = torch.tensor([3, 90]), torch.tensor([7, 2])

    def log_probability(x):
        return small.classifier(x, 10 * t).log_softmax(1)[torch.arange(2), labels]

    found = small.log_class_gradient(x, t, labels)
    step = 1e-5
    for place in ((0, 0), (3, 5), (7, 7)):
        moved = torch.zeros_like(x)
        moved[:, 0, *place] = step
        slope = (log_probability(x + moved) - log_probability(x - moved)) / (2 * step)
        assert torch.allclose(found[:, 0, *place], slope, rtol=1e-6, atol=1e-9)


def mixture(process, x, t, y=None):
    """Two classes, N(-1, 0.3^2) and N(1.5, 0.3^2), noised: log p(x_t), or log p(x_t | y)."""
    left = process.alpha_bar[t + 1].reshape(-1, 1)
    means = torch.tensor([-1.0, 1.5], dtype=torch.float64)
    logs = torch.distributions.Normal(left.sqrt() * means, (left * 0.09 + 1 - left).sqrt()).log_prob(x)
    return logs.logsumexp(1) - torch.log(torch.tensor(2.0)) if y is None else logs[:, y]


def slope(function, x):
    with torch.enable_grad():
        leaf = x.detach().requires_grad_(True)
        return torch.autograd.grad(function(leaf).sum(), leaf)[0]


def test_full_guidance_of_the_unconditional_model_is_the_conditional_one():
    """grad log p(x | y) = grad log p(x) + grad log p(y | x): exact where both are known (equation 10, scale 1)."""
    process = Process(betas("cosine", 100))

    def noise_of(x, t, y=None):  # the best prediction of the noise is -sqrt(1 - alpha_bar) times the score
        return -(1 - process.alpha_bar[t + 1]).sqrt()[:, None] * slope(lambda z: mixture(process, z, t, y), x)

    def pull(x, t):
        return slope(lambda z: mixture(process, z, t, 1) - mixture(process, z, t), x)

    guided = Denoiser(process, noise_of, clip=None, guide=pull)
    told = Denoiser(process, lambda x, t: noise_of(x, t, 1), clip=None)
    x = torch.randn(400, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for t in (0, 50, 99):
        t_b = torch.full((400,), t)
        assert relative(guided.ddim(x, t_b, t_b - 1)[0], told.ddim(x, t_b, t_b - 1)[0]) < 1e-10
    ends = {
        name: walk(one, x, path(100), Noise(range(400)), eta=0.0)
        for name, one in (("guided", guided), ("told", told), ("free", Denoiser(process, noise_of, clip=None)))
    }
    assert relative(ends["guided"], ends["told"]) < 1e-8
    assert abs(float(ends["guided"].mean()) - 1.5) < 0.05
    assert (ends["guided"] > 0).all()
    assert (ends["free"] < 0).any()
    ancestral = walk(guided, x, path(100), Noise(range(400)))
    assert abs(float(ancestral.mean()) - 1.5) < 0.05


def test_the_bound_moves_the_variance_and_not_the_mean(small):
    images, labels = torch.rand(4, 1, 8, 8), torch.tensor([0, 1, 2, 3])
    said = []
    small.unet.register_forward_hook(lambda module, given, out: said.append(out) or out.retain_grad())

    def channel_gradients():
        torch.manual_seed(5)
        loss = small(images, labels)
        loss.sum().backward()
        return loss, said[-1].grad

    loss, gradient = channel_gradients()
    torch.manual_seed(5)
    _, _, noisy, t, noise = small._noised((images, labels))
    prediction = small.unet(noisy, 10 * t, labels)[:, :1]
    expected = torch.autograd.grad(mean_square(prediction, noise).sum(), prediction)[0]
    assert torch.allclose(gradient[:, :1], expected, atol=1e-7)
    assert gradient[:, 1:].abs().max() > 0
    assert (loss > mean_square(prediction, noise) - 0.1 * small.process.steps).all()


def test_players_own_every_weight_once_and_only_the_mover_learns(small):
    images, labels = torch.rand(4, 1, 8, 8), torch.tensor([0, 1, 2, 3])
    players = {player.name: player for player in small.players()}
    owned = [weight for player in players.values() for weight in player.parameters]
    assert len(owned) == len(set(owned)) == len(list(small.parameters()))
    for name, other in (("denoiser", "classifier"), ("classifier", "denoiser")):
        loss = players[name].loss(images, labels)
        assert all(one is None for one in torch.autograd.grad(loss, players[other].parameters, allow_unused=True))


def test_a_sample_depends_on_its_seed_its_class_and_the_guidance(small):
    def drawn(seeds, labels, **how):
        return small.sample(
            len(seeds), noise=Noise(seeds), condition=torch.tensor(labels), sampling=Sampling(**how)
        )

    whole = drawn([3, 4, 5], [1, 2, 3])
    assert whole.shape == (3, 1, 8, 8)
    assert 0 <= whole.min() < whole.max() <= 1
    assert torch.allclose(drawn([4], [2]), whole[1:2], atol=1e-5)
    assert not torch.allclose(drawn([4], [7]), whole[1:2], atol=1e-3)
    assert not torch.allclose(drawn([4], [2], guidance=0.0), drawn([4], [2], guidance=5.0), atol=1e-3)
    assert torch.equal(drawn([4], [2], guidance=small.spec.guidance), drawn([4], [2]))
    calls = []
    small.sample(
        2,
        noise=Noise([0, 1]),
        condition=torch.tensor([0, 1]),
        sampling=Sampling(steps=3),
        on_step=lambda *done: calls.append(done),
    )
    assert calls == [(1, 3), (2, 3), (3, 3)]


def test_wrong_settings_and_requests_are_one_line(small):
    with pytest.raises(UsageError, match=r"has no temperature"):
        small.sample(1, noise=Noise([0]), sampling=Sampling(temperature=0.5))
    with pytest.raises(UsageError, match=r"not walked in that many steps"):
        small.sample(1, noise=Noise([0]), sampling=Sampling(steps=101))
    with pytest.raises(UsageError, match=r"has no row for a token: got tokens from 10 to 10"):
        small.sample(1, noise=Noise([0]), condition=torch.tensor([10]))
    with pytest.raises(SpecError, match=r"image does not fit: got 9, expected a multiple of 2"):
        MODELS["guided-diffusion-small"].spec({"image": 9})
    with pytest.raises(UsageError, match=r"classes does not fit: got 0"):
        MODELS["guided-diffusion-small"].settings_for((1, 8, 8), 0)
