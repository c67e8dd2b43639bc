"""DDPM as a whole against diffusers' UNet2DModel and DDPMScheduler: loss, gradients, and images that are drawn."""

from __future__ import annotations

import pytest
import torch
from diffusers_oracles import diffusers, made
from encoder_oracles import differences, read_into

from sevenfold.errors import SpecError, UsageError
from sevenfold.layers import Inpaints, Interpolates, Likelihood, Noise, Sampling, Translates
from sevenfold.models import MODELS
from sevenfold.models._published import published
from sevenfold.models.generative.ddpm import DDPMSpec, unet_of

# The two configurations that diffusers publishes for DDPM: google/ddpm-cifar10-32 and google/ddpm-bedroom-256.
_SHARED = {
    "_class_name": "UNet2DModel", "act_fn": "silu", "attention_head_dim": None, "center_input_sample": False,
    "downsample_padding": 0, "flip_sin_to_cos": False, "freq_shift": 1, "in_channels": 3, "layers_per_block": 2,
    "mid_block_scale_factor": 1, "norm_eps": 1e-06, "norm_num_groups": 32, "out_channels": 3,
    "time_embedding_type": "positional",
}  # fmt: skip
CIFAR = _SHARED | {
    "sample_size": 32, "block_out_channels": (128, 256, 256, 256),
    "down_block_types": ("DownBlock2D", "AttnDownBlock2D", "DownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "UpBlock2D", "AttnUpBlock2D", "UpBlock2D"),
}  # fmt: skip
BEDROOM = _SHARED | {
    "sample_size": 256, "block_out_channels": (128, 128, 256, 256, 512, 512),
    "down_block_types": ("DownBlock2D",) * 4 + ("AttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "AttnUpBlock2D") + ("UpBlock2D",) * 4,
}  # fmt: skip
TINY = CIFAR | {
    "sample_size": 32,
    "block_out_channels": (8, 16, 16, 16),
    "norm_num_groups": 4,
    "layers_per_block": 1,
}
OURS = {"width": 8, "groups": 4, "blocks": 1, "steps": 10, "schedule": "cosine", "average": 0.0}


@pytest.fixture(scope="module")
def pair():
    """Their U-Net, loud, and our DDPM with its weights, both float64."""
    config = {key: value for key, value in TINY.items() if key != "_class_name"}
    oracle = made("UNet2DModel", **config)
    with torch.no_grad():
        oracle.conv_out.weight *= 0.05  # loud weights say noise of 50; images of that are all black or white
        oracle.conv_out.bias *= 0.1
    entry = published({**oracle.config, "_class_name": "UNet2DModel"})
    ours = MODELS["ddpm-cifar10"].build(OURS).double().eval()
    read_into(ours.unet, entry.weights(entry.spec({**oracle.config}), oracle.state_dict()))
    with torch.no_grad():
        for name, buffer in ours.average.named_buffers():
            if name.startswith("average_"):
                buffer.copy_(ours.unet.get_parameter(name.removeprefix("average_").replace("__", ".")))
    return oracle, ours


def scheduler_of(process, **settings):
    """Their scheduler over the same betas, made anew in float64."""
    one = diffusers().DDPMScheduler(num_train_timesteps=process.steps, **settings)
    one.betas = 1 - process.alpha_bar[1:] / process.alpha_bar[:-1]
    one.alphas = 1 - one.betas
    one.alphas_cumprod = torch.cumprod(one.alphas, 0)
    one.one = torch.tensor(1.0, dtype=torch.float64)
    return one


def test_the_unets_are_the_published_configurations():
    entry = published(CIFAR)
    assert unet_of(DDPMSpec(dropout=0.0)) == entry.spec(CIFAR)
    assert unet_of(MODELS["ddpm-256"].spec()) == entry.spec(BEDROOM)
    assert unet_of(MODELS["ddpm-cifar10"].spec()).dropout == 0.1


def loss_differences(pair, *, scaled=lambda x: 2 * x - 1, told=lambda t: 100 * t):
    """Of the losses, and of all gradients, which their reader renames."""
    oracle, ours = pair
    images = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.manual_seed(7)
    got = ours(images)
    torch.manual_seed(7)
    t = torch.randint(10, (3,))
    noise = torch.randn(3, 3, 32, 32, dtype=torch.float64)
    noisy = scheduler_of(ours.process).add_noise(scaled(images), noise, t)
    said = oracle(noisy, told(t)).sample
    expected = torch.stack([torch.nn.functional.mse_loss(a, b) for a, b in zip(said, noise, strict=True)])
    entry = published({**oracle.config, "_class_name": "UNet2DModel"})
    renamed = lambda gradients: entry.weights(ours.unet.spec, gradients)  # noqa: E731
    return differences(ours.unet, (got,), oracle, (expected,), renamed)


def test_loss_and_gradients_equal_theirs(pair):
    losses, gradients = loss_differences(pair)
    assert losses < 1e-10
    assert gradients < 1e-10


MUTATIONS = {
    "pixels from 0": {"scaled": lambda x: x},
    "steps as they are": {"told": lambda t: t},
    "steps from 1": {"told": lambda t: 100 * t + 100},
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_another_loss_differs(pair, name):
    losses, gradients = loss_differences(pair, **MUTATIONS[name])
    assert losses > 1e-6
    assert gradients > 1e-6


def samples_of_theirs(oracle, process, noise, **settings):
    from diffusers.schedulers import scheduling_ddpm

    scheduler = scheduler_of(process, **settings)
    x = noise.normal(3, 32, 32)
    for t in scheduler.timesteps.tolist():
        fresh = noise.normal(3, 32, 32) if t > 0 else None
        with pytest.MonkeyPatch.context() as patched, torch.no_grad():
            patched.setattr(scheduling_ddpm, "randn_tensor", lambda *_, fresh=fresh, **__: fresh)
            x = scheduler.step(oracle(x, t * 1000 / process.steps).sample, t, x).prev_sample
    return ((x + 1) / 2).clamp(0, 1)


@pytest.mark.parametrize("variance", ["small", "large"])
def test_a_whole_way_from_noise_to_images_equals_theirs(pair, variance):
    oracle, ours = pair
    ours.spec = ours.spec.with_changes({"variance": variance})
    got = ours.sample(2, noise=DoubleNoise([3, 4]))
    assert ((got > 0) & (got < 1)).double().mean() > 0.1  # not black and white
    for theirs in ("small", "large"):
        expected = samples_of_theirs(oracle, ours.process, DoubleNoise([3, 4]), variance_type=f"fixed_{theirs}")
        off = (got - expected).abs().max()
        assert off < 1e-9 if theirs == variance else off > 1e-3


class DoubleNoise(Noise):
    """The same numbers in float64."""

    def normal(self, *shape):
        return super().normal(*shape).double()


@pytest.fixture(scope="module")
def small():
    torch.manual_seed(0)
    model = (
        MODELS["ddpm-small"]
        .build({"steps": 20, "schedule": "cosine", "width": 8, "groups": 4, "walked": None})
        .eval()
    )
    with torch.no_grad():
        model.unet.leave.weight.normal_(std=0.1)
    for _ in range(3):
        model.average.after_update()
    return model


def test_samples_are_drawn_with_the_averaged_weights(small):
    before = {name: weight.clone() for name, weight in small.unet.named_parameters()}
    first = small.sample(2, noise=Noise([0, 1]))
    with torch.no_grad():
        small.unet.leave.bias += 5
    try:
        assert torch.equal(small.sample(2, noise=Noise([0, 1])), first)
        small.average.after_update()
        assert not torch.equal(small.sample(2, noise=Noise([0, 1])), first)
    finally:
        small.unet.load_state_dict(before)
        for _ in range(200):
            small.average.after_update()


def test_what_it_gives(small):
    for kind in (Likelihood, Interpolates, Inpaints, Translates):
        assert isinstance(small, kind)
    images = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    kept = torch.zeros(4, 1, 8, 8, dtype=torch.bool)
    kept[..., :4] = True
    filled = small.inpaint(images, kept, noise=Noise([0, 1, 2, 3]))
    assert torch.equal(filled[..., :4], images[..., :4])
    assert (filled[..., 4:] != images[..., 4:]).any()
    again = small.inpaint(images[1:2], kept[1:2], noise=Noise([1]))
    torch.testing.assert_close(again, filled[1:2])
    assert torch.equal(small.translate(images, strength=0.0, noise=Noise([0, 1, 2, 3])), images)
    near, far = (
        (small.translate(images, strength=share, noise=Noise([0, 1, 2, 3])) - images).abs().mean()
        for share in (0.1, 1.0)
    )
    assert near < far
    between = small.interpolate(images[0], images[1], 5, noise=Noise([5]))
    assert between.shape == (5, 1, 8, 8)
    torch.testing.assert_close(between, small.interpolate(images[0], images[1], 5, noise=Noise([5])))
    one, other = ((between[0] - image).abs().mean() for image in images[:2])
    assert one < other
    bits = small.bits_per_dimension((16 * images).round() / 16)
    assert bits.shape == (4,)
    assert bool((bits > 0).all())


def test_few_steps_and_ddim_can_be_asked_for(small):
    told = []
    small.sample(1, noise=Noise([0]), sampling=Sampling(steps=5), on_step=lambda *of: told.append(of))
    assert told == [(1, 5), (2, 5), (3, 5), (4, 5), (5, 5)]
    quiet = small.sample(1, noise=Noise([0]), sampling=Sampling(steps=5, eta=0.0))
    assert not torch.equal(quiet, small.sample(1, noise=Noise([0]), sampling=Sampling(steps=5)))


def test_paper_sizes():
    for name, parameters in (("ddpm-cifar10", 35_746_307), ("ddpm-256", 113_673_219)):
        assert sum(weight.numel() for weight in MODELS[name].build_meta().parameters()) == parameters


def test_it_begins_by_saying_nothing(small):
    model = MODELS["ddpm-small"].build()
    noisy = torch.randn(2, 1, 8, 8)
    assert not model.network(noisy, torch.tensor([0, 9])).any()
    weight = model.unet.down[0].residuals[0].conv1.weight
    bound = (6 / (9 * (weight.shape[0] + weight.shape[1]))) ** 0.5
    assert 0.95 * bound < weight.abs().max() <= bound


def test_what_does_not_fit_is_told(small):
    images = torch.rand(2, 1, 8, 8)
    with pytest.raises(UsageError, match=r"DDPM cannot take this input: got shape \[2, 1, 16, 16\]"):
        small(torch.rand(2, 1, 16, 16))
    with pytest.raises(UsageError, match="DDPM is told nothing: got a condition, expected none"):
        small.sample(2, noise=Noise([0, 1]), condition=torch.tensor([0, 1]))
    with pytest.raises(UsageError, match="sampling from DDPM has no guidance: got guidance 3"):
        small.sample(1, noise=Noise([0]), sampling=Sampling(guidance=3.0))
    with pytest.raises(UsageError, match="not walked in that many steps: got 21, expected 1 to 20"):
        small.sample(1, noise=Noise([0]), sampling=Sampling(steps=21))
    with pytest.raises(UsageError, match=r"strength of a translation is a share: got 1\.5"):
        small.translate(images, strength=1.5, noise=Noise([0, 1]))
    with pytest.raises(SpecError, match="width does not fit: got 30, expected a multiple of groups=4"):
        MODELS["ddpm-small"].build({"width": 30})
    with pytest.raises(UsageError, match="cannot halve these images"):
        MODELS["ddpm-small"].build({"image": 9})(torch.rand(1, 1, 9, 9))
