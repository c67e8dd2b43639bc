"""Our autoencoders against AutoencoderKL and VQModel of the diffusers library, on loud weights."""

from __future__ import annotations

import pytest
import torch
from diffusers_oracles import compared, made
from encoder_oracles import relative, swapped, zeroed

from sevenfold.errors import UsageError
from sevenfold.layers.image_autoencoder import AutoencoderKL, AutoencoderSpec, VQAutoencoder, gaussian_divergence
from sevenfold.models._published import published, read

TINY = {
    "sample_size": 8, "block_out_channels": (8, 16), "layers_per_block": 1, "norm_num_groups": 4,
    "down_block_types": ("DownEncoderBlock2D", "DownEncoderBlock2D"),
    "up_block_types": ("UpDecoderBlock2D", "UpDecoderBlock2D"),
}  # fmt: skip
GAUSSIAN = ("AutoencoderKL", {**TINY, "latent_channels": 3})
NO_PROJECTION = ("AutoencoderKL", {**TINY, "use_quant_conv": False, "use_post_quant_conv": False})
CODEBOOK = ("VQModel", {**TINY, "latent_channels": 3, "num_vq_embeddings": 7, "vq_embed_dim": 2})
ATTENDING = ("VQModel", {**TINY, "latent_channels": 3, "num_vq_embeddings": 7,
                         "down_block_types": ("DownEncoderBlock2D", "AttnDownEncoderBlock2D"),
                         "up_block_types": ("AttnUpDecoderBlock2D", "UpDecoderBlock2D")})  # fmt: skip


def images():
    return torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def both(case, *, commitment=0.25, **mutation):
    """Reconstructions, and of a codebook its loss too: its own gradient comes through the loss alone."""
    name, config = case
    oracle = made(name, **config)
    if name == "AutoencoderKL":
        return compared(oracle, lambda m: m(images()).sample, lambda m: m(images()), **mutation)
    # Their default weighs the wrong half by beta, and says so ("due to a bug"); legacy=False is the paper's.
    oracle.quantize.legacy = False

    def theirs(module):
        out = module(images())
        return torch.cat([out.sample.flatten(), 5 * out.commit_loss[None]])

    def own(module):
        loss = module.codebook_loss(module.encode(images()), commitment).mean()
        return torch.cat([module(images()).flatten(), 5 * loss[None]])

    return compared(oracle, theirs, own, **mutation)


def ours_of(oracle):
    said = {**oracle.config, "_class_name": type(oracle).__name__}
    return read(published(said), said, oracle.state_dict())


@pytest.mark.parametrize(
    "case", [GAUSSIAN, NO_PROJECTION, CODEBOOK, ATTENDING], ids=["gaussian", "bare", "codebook", "attending"]
)
def test_reconstructions_and_gradients_equal_diffusers(case):
    outputs, gradients = both(case)
    assert outputs < 1e-10
    assert gradients < 1e-10


def test_the_latent_and_its_divergence_equal_diffusers():
    oracle = made(GAUSSIAN[0], **GAUSSIAN[1])
    theirs = oracle.encode(images()).latent_dist
    mean, log_variance = ours_of(oracle).encode(images())
    assert relative(mean, theirs.mean) < 1e-10
    assert relative(log_variance, theirs.logvar) < 1e-10
    assert relative(gaussian_divergence(mean, log_variance), theirs.kl()) < 1e-10
    normal = torch.distributions.Normal(mean, (0.5 * log_variance).exp())
    exact = torch.distributions.kl_divergence(normal, torch.distributions.Normal(0.0, 1.0)).flatten(1).sum(1)
    assert relative(gaussian_divergence(mean, log_variance), exact) < 1e-10


MUTATIONS = {
    "norms swapped": (GAUSSIAN, {"change_state": swapped("middle.residuals.0.norm1", "middle.residuals.0.norm2")}),
    "no bias before the decoder": (GAUSSIAN, {"change_state": zeroed("before_decoder.bias")}),
    "no bias after the encoder": (GAUSSIAN, {"change_state": zeroed("after_encoder.bias")}),
    "no value's bias": (GAUSSIAN, {"change_state": zeroed("value.bias")}),
    "q and k swapped": (GAUSSIAN, {"change_state": swapped("attention.query", "attention.key")}),
    "no upsampling's bias": (GAUSSIAN, {"change_state": zeroed("resample.conv.bias")}),
    "another codebook": (CODEBOOK, {"change_state": zeroed("codebook.weight")}),
    "another commitment": (CODEBOOK, {"commitment": 0.5}),
    "attention at no level": (ATTENDING, {"change_state": zeroed("attentions.0.projection.weight")}),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_mutation_differs(name):
    case, mutation = MUTATIONS[name]
    assert both(case, **mutation)[0] > 1e-7


def test_a_border_of_zeros_on_all_sides_differs():
    spec = AutoencoderSpec(widths=(8, 16), blocks=1, groups=4)
    module = AutoencoderKL(spec).double()
    before = module(images())
    halving = module.encoder.levels[0].resample
    halving.padding, halving.conv.padding = "all", (1, 1)
    assert relative(module(images()), before) > 1e-7


@pytest.mark.parametrize(("module", "parameters", "settings"), [
    (AutoencoderKL, 83_653_863, {"widths": (128, 256, 512, 512), "latent": 4}),  # Stable Diffusion's f8
    (VQAutoencoder, 55_322_782, {"widths": (128, 256, 512), "latent": 3, "codes": 8192}),  # f4 of the paper
])  # fmt: skip
def test_counts_are_the_published_ones(module, parameters, settings):
    with torch.device("meta"):
        built = module(AutoencoderSpec(**settings))
    assert sum(weight.numel() for weight in built.parameters()) == parameters


def test_what_ours_cannot_be_is_refused():
    said = {"_class_name": "AutoencoderKL", "in_channels": 3, "out_channels": 3, **GAUSSIAN[1]}
    for wrong in ({"act_fn": "relu"}, {"out_channels": 4}, {"use_quant_conv": False}, {"shift_factor": 0.1},
                  {"down_block_types": ("DownEncoderBlock2D", "AttnDownEncoderBlock2D")}):  # fmt: skip
        with pytest.raises(UsageError, match="a checkpoint that our model cannot be"):
            published(said).spec({**said, **wrong})
    with pytest.raises(UsageError, match=r"halve these images at every level: got 7x7"):
        AutoencoderKL(AutoencoderSpec(widths=(4, 8), groups=2, blocks=1))(torch.zeros(1, 3, 7, 7))
