"""Folders that the diffusers library saved: read by ``load``, sharded or whole, with the outputs of the library."""

from __future__ import annotations

import json
import warnings

import pytest
import torch

import sevenfold
from sevenfold.cli import run_guarded
from sevenfold.errors import CheckpointError, UsageError

LEVELS = {
    "sample_size": 8, "block_out_channels": (8, 16), "layers_per_block": 1, "norm_num_groups": 4,
}  # fmt: skip
AUTOENCODER = LEVELS | {
    "down_block_types": ("DownEncoderBlock2D", "DownEncoderBlock2D"),
    "up_block_types": ("UpDecoderBlock2D", "UpDecoderBlock2D"),
    "latent_channels": 3,
}
CASES = {
    "UNet2DModel": LEVELS | {"down_block_types": ("DownBlock2D", "AttnDownBlock2D"), "attention_head_dim": 4,
                             "up_block_types": ("AttnUpBlock2D", "UpBlock2D"), "num_class_embeds": 3},
    "UNet2DConditionModel": LEVELS | {"down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
                                      "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
                                      "cross_attention_dim": 6, "attention_head_dim": 2},
    "AutoencoderKL": AUTOENCODER,
    "VQModel": AUTOENCODER | {"num_vq_embeddings": 7},
}  # fmt: skip


@pytest.fixture(scope="module")
def diffusers():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("diffusers")


def saved(diffusers, name, path, **how):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(0)
        module = getattr(diffusers, name)(**CASES[name]).eval()
        module.save_pretrained(path, **how)
    return module


@pytest.mark.parametrize("name", CASES)
def test_a_saved_folder_gives_the_librarys_outputs(name, diffusers, tmp_path, capsys):
    theirs = saved(diffusers, name, tmp_path)
    loaded = sevenfold.load(tmp_path)
    report = loaded.report()
    x, steps = torch.randn(2, theirs.config.in_channels, 8, 8), torch.tensor([1, 900])
    context, classes = torch.randn(2, 5, 6), torch.tensor([0, 2])
    given = {"UNet2DModel": (steps, classes), "UNet2DConditionModel": (steps, context)}.get(name, ())
    own = (steps, None, context) if name == "UNet2DConditionModel" else given
    with torch.no_grad():
        expected, got = theirs(x, *given).sample, loaded.module(x, *own)
    assert (got - expected).abs().max() < 1e-5 * expected.abs().max()
    assert (report.model_type, report.kind) == (name, "hugging-face")
    assert report.landmark == ("ddpm" if name == "UNet2DModel" else "latent-diffusion")
    assert report.parameters == sum(weight.numel() for weight in theirs.parameters())
    assert "a forward pass" in report.checks[-1]
    assert run_guarded(["load", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["model_type"] == name


def test_shards_are_read(diffusers, tmp_path):
    theirs = saved(diffusers, "AutoencoderKL", tmp_path, max_shard_size="20KB")
    assert (tmp_path / "diffusion_pytorch_model.safetensors.index.json").exists()
    x = torch.randn(1, 3, 8, 8)
    with torch.no_grad():
        assert torch.allclose(sevenfold.load(tmp_path).module(x), theirs(x).sample, atol=1e-5)


def test_old_names_of_attention_are_read(diffusers, tmp_path):
    """google/ddpm-cifar10-32 and its like were saved with these names."""
    import safetensors.torch

    theirs = saved(diffusers, "UNet2DModel", tmp_path)
    path = tmp_path / "diffusion_pytorch_model.safetensors"
    tensors = safetensors.torch.load_file(path)
    renames = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    for new, old in renames.items():
        tensors = {name.replace(f".{new}.", f".{old}."): tensor for name, tensor in tensors.items()}
    safetensors.torch.save_file(tensors, path)
    x, steps, classes = torch.randn(2, 3, 8, 8), torch.tensor([1, 900]), torch.tensor([0, 2])
    with torch.no_grad():
        expected = theirs(x, steps, classes).sample
        assert torch.allclose(sevenfold.load(tmp_path).module(x, steps, classes), expected, atol=1e-5)


def test_what_cannot_be_read_is_one_line(diffusers, tmp_path):
    saved(diffusers, "VQModel", tmp_path)
    path = tmp_path / "config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({**config, "num_vq_embeddings": 8}))
    with pytest.raises(CheckpointError, match=r"'codebook.weight' does not fit .*got \[7, 3\], expected \[8, 3\]"):
        sevenfold.load(tmp_path)
    path.write_text(json.dumps({**config, "norm_type": "spatial"}))
    with pytest.raises(UsageError, match=r"our model cannot be: got norm_type='spatial', expected 'group'"):
        sevenfold.load(tmp_path)
    path.write_text(json.dumps({**config, "_class_name": "FluxTransformer2DModel"}))
    with pytest.raises(UsageError, match=r"unknown model_type of a checkpoint"):
        sevenfold.load(tmp_path)
