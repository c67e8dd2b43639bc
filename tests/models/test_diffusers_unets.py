"""Our U-Net against UNet2DModel and UNet2DConditionModel of the diffusers library, on loud weights."""

from __future__ import annotations

import pytest
import torch
from diffusers_oracles import compared, made
from encoder_oracles import swapped, zeroed

from sevenfold.errors import UsageError
from sevenfold.layers.diffusion_unet import DiffusionUNet, DiffusionUNetSpec
from sevenfold.models._published import published

DDPM = {
    "sample_size": 8, "block_out_channels": (8, 16), "layers_per_block": 1, "norm_num_groups": 4,
    "down_block_types": ("DownBlock2D", "AttnDownBlock2D"), "up_block_types": ("AttnUpBlock2D", "UpBlock2D"),
    "attention_head_dim": None, "downsample_padding": 0, "flip_sin_to_cos": False, "freq_shift": 1,
}  # fmt: skip
GUIDED = {
    "sample_size": 8, "block_out_channels": (8, 16), "layers_per_block": 2, "norm_num_groups": 4,
    "down_block_types": ("ResnetDownsampleBlock2D", "AttnDownBlock2D"),
    "up_block_types": ("AttnUpBlock2D", "ResnetUpsampleBlock2D"), "downsample_type": "resnet",
    "upsample_type": "resnet", "resnet_time_scale_shift": "scale_shift", "attention_head_dim": 4,
    "attn_norm_num_groups": 4, "out_channels": 6, "num_class_embeds": 5,
}  # fmt: skip
LATENT = {
    "sample_size": 8, "in_channels": 4, "out_channels": 4, "block_out_channels": (8, 16), "layers_per_block": 1,
    "norm_num_groups": 4, "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"), "cross_attention_dim": 6, "attention_head_dim": 2,
}  # fmt: skip


def drawn(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(len(shape)), dtype=torch.float64)


def plain(config, **mutation):
    oracle = made("UNet2DModel", **config)
    x, steps = drawn(2, 3, 8, 8), torch.tensor([3, 977])
    classes = None if "num_class_embeds" not in config else torch.tensor([1, 4])
    return compared(oracle, lambda m: m(x, steps, classes).sample, lambda m: m(x, steps, classes), **mutation)


def conditional(config, **mutation):
    oracle = made("UNet2DConditionModel", **config)
    x, steps, context = drawn(2, 4, 8, 8), torch.tensor([3, 977]), drawn(2, 5, 6) * 3
    return compared(oracle, lambda m: m(x, steps, context).sample, lambda m: m(x, steps, None, context), **mutation)


SAME = {
    "ddpm": (plain, DDPM),
    "improved": (plain, DDPM | {"resnet_time_scale_shift": "scale_shift", "attn_norm_num_groups": 4,
                                "attention_head_dim": 4, "flip_sin_to_cos": True, "freq_shift": 0}),
    "guided": (plain, GUIDED),
    "latent": (conditional, LATENT),
    "latent, linear, deep": (conditional, LATENT | {"use_linear_projection": True, "attention_head_dim": (2, 4),
                                                    "transformer_layers_per_block": 2}),
}  # fmt: skip


@pytest.mark.parametrize("name", SAME)
def test_outputs_and_gradients_equal_diffusers(name):
    run, config = SAME[name]
    outputs, gradients = run(config)
    assert outputs < 1e-10
    assert gradients < 1e-10


MUTATIONS = {
    "sines first": ("guided", {"told": {"flip_sin_to_cos": False}}),
    "another last frequency": ("ddpm", {"told": {"freq_shift": 0}}),
    "one head": ("guided", {"told": {"attention_head_dim": 16}}),
    "zeros on all sides": ("ddpm", {"told": {"downsample_padding": 1}}),
    "another epsilon": ("ddpm", {"told": {"norm_eps": 1e-4}}),
    "no time bias": ("guided", {"change_state": zeroed("time.contract.bias")}),
    "no time in blocks": ("ddpm", {"change_state": zeroed("residuals.0.time.weight")}),
    "no classes": ("guided", {"change_state": zeroed("classes.weight")}),
    "norms swapped": (
        "improved",
        {"change_state": swapped("middle.residuals.0.norm1", "middle.residuals.0.norm2")},
    ),
    "q and k swapped": ("ddpm", {"change_state": swapped("attention.query", "attention.key")}),
    "no shortcut's bias": ("ddpm", {"change_state": zeroed("shortcut.bias")}),
    "attentions of the context swapped": ("latent", {"change_state": swapped("cross.query", "own.query")}),
    "heads of the context": ("latent", {"told": {"attention_head_dim": 4}}),
    "no gate's bias": ("latent", {"change_state": zeroed("feedforward.expand.bias")}),
    "no last projection's bias": ("latent", {"change_state": zeroed("leave.bias")}),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_mutation_differs(name):
    which, mutation = MUTATIONS[name]
    run, config = SAME[which]
    outputs, gradients = run(config, **mutation)
    assert outputs > 1e-7
    assert gradients > 1e-7 or "last projection" in name


@pytest.mark.parametrize(("parameters", "settings"), [
    (35_746_307, {"widths": (128, 256, 256, 256), "heads": (0, 1, 0, 0)}),  # DDPM, CIFAR-10
    (113_673_219, {"widths": (128, 128, 256, 256, 512, 512), "heads": (0, 0, 0, 0, 1, 0)}),  # DDPM, 256x256
    (400_920_579, {"widths": (192, 384, 576, 960), "heads": (0, 12, 18, 30), "middle_heads": 30, "context": 512}),
    (872_300_484, {"channels": 4, "outputs": 4, "widths": (320, 640, 1280, 1280), "heads": (8, 8, 8, 0),
                   "middle_heads": 8, "context": 1280}),
    (859_520_964, {"channels": 4, "outputs": 4, "widths": (320, 640, 1280, 1280), "heads": (8, 8, 8, 0),
                   "middle_heads": 8, "context": 768}),
])  # fmt: skip
def test_counts_are_the_published_ones(parameters, settings):
    with torch.device("meta"):
        module = DiffusionUNet(DiffusionUNetSpec(**settings))
    assert sum(weight.numel() for weight in module.parameters()) == parameters


def test_what_ours_cannot_be_is_refused():
    said = {"_class_name": "UNet2DModel", "in_channels": 3, "out_channels": 3, **DDPM}
    entry = published(said)
    for wrong in ({"time_embedding_type": "fourier"}, {"act_fn": "relu"}, {"mid_block_type": None},
                  {"up_block_types": ("UpBlock2D", "UpBlock2D")}, {"upsample_type": "resnet"},
                  {"down_block_types": ("SkipDownBlock2D", "AttnDownBlock2D")},
                  {"resnet_time_scale_shift": "scale_shift"}):  # fmt: skip
        with pytest.raises(UsageError, match="a checkpoint that our model cannot be"):
            entry.spec({**said, **wrong})


def test_wrong_inputs_are_one_line():
    unet = DiffusionUNet(
        DiffusionUNetSpec(channels=1, outputs=1, widths=(4, 8), heads=(0, 1), groups=2, blocks=1, classes=3)
    )
    steps = torch.zeros(2, dtype=torch.int64)
    with pytest.raises(UsageError, match=r"halve these images at every level: got 7x7 pixels"):
        unet(torch.zeros(2, 1, 7, 7), steps, steps)
    with pytest.raises(UsageError, match=r"class embedding: got no classes"):
        unet(torch.zeros(2, 1, 8, 8), steps)
    with pytest.raises(UsageError, match=r"attention to a context: got a context"):
        unet(torch.zeros(2, 1, 8, 8), steps, steps, torch.zeros(2, 1, 4))
    with pytest.raises(UsageError, match=r"heads does not fit"):
        DiffusionUNetSpec(widths=(8, 16), heads=(1,), groups=4)
    with pytest.raises(UsageError, match=r"widths does not fit: got 6"):
        DiffusionUNetSpec(widths=(6,), heads=(1,), groups=4)
