"""How folders that the diffusers library saved are read: AutoencoderKL and VQModel into ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from sevenfold.errors import UsageError
from sevenfold.layers.image_autoencoder import AutoencoderKL, AutoencoderSpec, VQAutoencoder
from sevenfold.models._published import Published, register, require_config
from sevenfold.models.generative._diffusers_unets import attention_from, convolution, residual_from

_ATTENDS = {"DownEncoderBlock2D": False, "AttnDownEncoderBlock2D": True}
_ATTENDS_UP = {"UpDecoderBlock2D": False, "AttnUpDecoderBlock2D": True}


def gaussian_spec(config: Mapping[str, Any]) -> AutoencoderSpec:
    """config.json of AutoencoderKL."""
    require_config(config, shift_factor=None, latents_mean=None, latents_std=None)
    before, after = config.get("use_quant_conv", True), config.get("use_post_quant_conv", True)
    if before != after:
        raise UsageError(
            "a checkpoint that our model cannot be",
            got=f"use_quant_conv={before} and use_post_quant_conv={after}",
            expected="both or neither",
        )
    return AutoencoderSpec(**_shared(config), latent=config.get("latent_channels", 4), projected=before)


def codebook_spec(config: Mapping[str, Any]) -> AutoencoderSpec:
    """config.json of VQModel."""
    require_config(config, norm_type="group")
    return AutoencoderSpec(
        **_shared(config),
        latent=config.get("latent_channels", 3),
        codes=config.get("num_vq_embeddings", 256),
        code_width=config.get("vq_embed_dim"),
    )


def _shared(config: Mapping[str, Any]) -> dict[str, Any]:
    require_config(config, act_fn=("silu", "swish"), out_channels=config["in_channels"])
    down, up = list(config["down_block_types"]), list(config["up_block_types"])
    known = set(down) <= set(_ATTENDS) and set(up) <= set(_ATTENDS_UP)
    attends = tuple(_ATTENDS[name] for name in down) if known else ()
    if not known or attends != tuple(_ATTENDS_UP[name] for name in reversed(up)):
        raise UsageError(
            "a checkpoint that our model cannot be",
            got=f"down_block_types={down} and up_block_types={up}",
            expected=f"{list(_ATTENDS)} on the way down, mirrored by {list(_ATTENDS_UP)}",
        )
    size = config.get("sample_size") or 32
    return {
        "image": size if isinstance(size, int) else size[0],
        "channels": config["in_channels"],
        "widths": tuple(config["block_out_channels"]),
        "blocks": config.get("layers_per_block", 1),
        "attends": attends if any(attends) else None,
        "middle_attention": config.get("mid_block_add_attention", True),
        "groups": config.get("norm_num_groups", 32),
        "scale": config.get("scaling_factor", 0.18215),
    }


def weights_of(spec: AutoencoderSpec, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Their tensors, AutoencoderKL's or VQModel's, under our names."""
    state: dict[str, Tensor] = {}
    for part, levels, change, blocks in (
        ("encoder", "down_blocks", "downsamplers", spec.blocks),
        ("decoder", "up_blocks", "upsamplers", spec.blocks + 1),
    ):
        for one, other in (("enter", "conv_in"), ("leave", "conv_out"), ("norm", "conv_norm_out")):
            state |= convolution(f"{part}.{one}", tensors, f"{part}.{other}")
        for level in range(len(spec.widths)):
            ours, theirs = f"{part}.levels.{level}", f"{part}.{levels}.{level}"
            attends = spec.attends or (False,) * len(spec.widths)
            for block in range(blocks):
                state |= residual_from(f"{ours}.residuals.{block}", tensors, f"{theirs}.resnets.{block}")
                if attends[level if part == "encoder" else -1 - level]:
                    state |= attention_from(f"{ours}.attentions.{block}", tensors, f"{theirs}.attentions.{block}")
            if level < len(spec.widths) - 1:
                state |= convolution(f"{ours}.resample.conv", tensors, f"{theirs}.{change}.0.conv")
        for block in range(2):
            state |= residual_from(f"{part}.middle.residuals.{block}", tensors, f"{part}.mid_block.resnets.{block}")
        if spec.middle_attention:
            state |= attention_from(f"{part}.middle.attention", tensors, f"{part}.mid_block.attentions.0")
    if spec.projected:
        state |= convolution("after_encoder", tensors, "quant_conv")
        state |= convolution("before_decoder", tensors, "post_quant_conv")
    if spec.codes is not None:
        state["codebook.weight"] = tensors["quantize.embedding.weight"]
    return state


def _example(spec: AutoencoderSpec) -> tuple[Tensor | None, ...]:
    draw = torch.Generator().manual_seed(0)
    return (torch.randn(1, spec.channels, spec.image, spec.image, generator=draw),)


register(
    Published(
        model_type="AutoencoderKL",
        architectures=("AutoencoderKL",),
        spec=gaussian_spec,
        weights=weights_of,
        module=AutoencoderKL,
        landmark="latent-diffusion",
        example=_example,
    )
)
register(
    Published(
        model_type="VQModel",
        architectures=("VQModel",),
        spec=codebook_spec,
        weights=weights_of,
        module=VQAutoencoder,
        landmark="latent-diffusion",
        example=_example,
    )
)
