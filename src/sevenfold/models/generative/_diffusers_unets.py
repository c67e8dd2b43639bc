"""How folders that the diffusers library saved are read: UNet2DModel and UNet2DConditionModel into our U-Net.

Their config.json says ``_class_name``, and names one block type a level. What ours cannot be is refused: time
embeddings that are learned or random, norms that read the context, a way up that does not mirror the way down.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from sevenfold.errors import UsageError
from sevenfold.layers.diffusion_unet import DiffusionUNet, DiffusionUNetSpec
from sevenfold.layers.unet_blocks import Modulation
from sevenfold.models._published import Published, register, require_config

__all__ = ["attention_from", "convolution", "residual_from"]

Change = Literal["convolution", "residual"] | None

# block type -> (does it attend, what changes the size; None: what downsample_type or upsample_type says)
_DOWN: Mapping[str, tuple[bool, Change]] = {
    "DownBlock2D": (False, "convolution"),
    "AttnDownBlock2D": (True, None),
    "ResnetDownsampleBlock2D": (False, "residual"),
    "CrossAttnDownBlock2D": (True, "convolution"),
}
_UP: Mapping[str, tuple[bool, Change]] = {
    "UpBlock2D": (False, "convolution"),
    "AttnUpBlock2D": (True, None),
    "ResnetUpsampleBlock2D": (False, "residual"),
    "CrossAttnUpBlock2D": (True, "convolution"),
}
_CHANGES: Mapping[str, Literal["convolution", "residual"]] = {"conv": "convolution", "resnet": "residual"}
_MODULATIONS: Mapping[str, Modulation] = {"default": "shift", "scale_shift": "scale-shift"}


def plain_spec(config: Mapping[str, Any]) -> DiffusionUNetSpec:
    """config.json of UNet2DModel."""
    require_config(
        config, time_embedding_type="positional", mid_block_type="UNetMidBlock2D", mid_block_scale_factor=1
    )
    widths = tuple(config["block_out_channels"])
    width_of_head = config.get("attention_head_dim", 8)
    attends, resampling = _levels(config, ("DownBlock2D", "AttnDownBlock2D", "ResnetDownsampleBlock2D"))
    heads = [1 if width_of_head is None else width // width_of_head for width in widths]
    modulation, groups = _common(config)
    if config.get("add_attention", True):
        normed = config.get("attn_norm_num_groups") or (groups if modulation == "shift" else None)
        if normed != groups:
            raise UsageError(
                "a checkpoint that our model cannot be",
                got=f"attn_norm_num_groups={config.get('attn_norm_num_groups')!r}",
                expected=f"{groups}, as norm_num_groups",
            )
    return DiffusionUNetSpec(
        **_shared(config, modulation, groups),
        widths=widths,
        heads=tuple(number if attend else 0 for number, attend in zip(heads, attends, strict=True)),
        middle_heads=heads[-1] if config.get("add_attention", True) else 0,
        resampling=resampling,
    )


def conditional_spec(config: Mapping[str, Any]) -> DiffusionUNetSpec:
    """config.json of UNet2DConditionModel."""
    nothing = dict.fromkeys(
        ("encoder_hid_dim", "addition_embed_type", "time_embedding_act_fn", "timestep_post_act",
         "time_cond_proj_dim", "cross_attention_norm", "num_attention_heads",
         "reverse_transformer_layers_per_block")
    )  # fmt: skip
    require_config(
        config, **nothing, time_embedding_type="positional", mid_block_type="UNetMidBlock2DCrossAttn",
        mid_block_scale_factor=1, only_cross_attention=False, dual_cross_attention=False, attention_type="default",
        conv_in_kernel=3, conv_out_kernel=3, class_embeddings_concat=False, resnet_skip_time_act=False,
        resnet_out_scale_factor=(1, 1.0),
    )  # fmt: skip
    widths = tuple(config["block_out_channels"])
    attends, resampling = _levels(config, ("DownBlock2D", "CrossAttnDownBlock2D"))
    heads = _each(config.get("attention_head_dim", 8), widths, "attention_head_dim")  # their name for the number
    modulation, groups = _common(config)
    return DiffusionUNetSpec(
        **_shared(config, modulation, groups),
        widths=widths,
        heads=tuple(number if attend else 0 for number, attend in zip(heads, attends, strict=True)),
        middle_heads=heads[-1],
        resampling=resampling,
        context=_one(config.get("cross_attention_dim", 1280), widths, "cross_attention_dim"),
        depth=_one(config.get("transformer_layers_per_block", 1), widths, "transformer_layers_per_block"),
    )


def _common(config: Mapping[str, Any]) -> tuple[Modulation, int]:
    require_config(
        config, center_input_sample=False, act_fn=("silu", "swish"), class_embed_type=None,
        resnet_time_scale_shift=tuple(_MODULATIONS), downsample_padding=(0, 1),
    )  # fmt: skip
    return _MODULATIONS[config.get("resnet_time_scale_shift", "default")], config.get("norm_num_groups", 32)


def _shared(config: Mapping[str, Any], modulation: Modulation, groups: int) -> dict[str, Any]:
    size = config.get("sample_size")
    return {
        "image": (size if isinstance(size, int) else size[0]) if size else 32,
        "channels": config["in_channels"],
        "outputs": config["out_channels"],
        "blocks": _one(config.get("layers_per_block", 2), config["block_out_channels"], "layers_per_block"),
        "time": config.get("time_embedding_dim"),
        "classes": config.get("num_class_embeds"),
        "modulation": modulation,
        "padding": "all" if config.get("downsample_padding", 1) else "after",
        "groups": groups,
        "epsilon": config.get("norm_eps", 1e-5),
        "dropout": float(config.get("dropout", 0.0)),
        "cosines_first": config.get("flip_sin_to_cos", True),
        "shift": float(config.get("freq_shift", 0)),
    }


def _levels(
    config: Mapping[str, Any], known: Sequence[str]
) -> tuple[list[bool], Literal["convolution", "residual"]]:
    """Whether each level attends, and what changes the size between them all."""
    down, up = list(config["down_block_types"]), list(config["up_block_types"])
    expected_up = {name.replace("Downsample", "Upsample").replace("Down", "Up") for name in known}
    if not set(down) <= set(known) or not set(up) <= expected_up:
        raise UsageError(
            "a checkpoint that our model cannot be", got=f"blocks {[*down, *up]}", expected=list(known)
        )
    by_config = {"down": config.get("downsample_type", "conv"), "up": config.get("upsample_type", "conv")}
    changes = {_DOWN[name][1] or _CHANGES[by_config["down"]] for name in down[:-1]}
    changes |= {_UP[name][1] or _CHANGES[by_config["up"]] for name in up[:-1]}
    attends = [_DOWN[name][0] for name in down]
    if len(changes) > 1 or attends != [_UP[name][0] for name in reversed(up)]:
        raise UsageError(
            "a checkpoint that our model cannot be",
            got=f"down_block_types={down} and up_block_types={up}",
            expected="a way up that mirrors the way down, and one way of changing the size",
        )
    return attends, changes.pop() if changes else "convolution"


def _each(value: Any, widths: Sequence[int], name: str) -> list[int]:
    return list(value) if isinstance(value, (list, tuple)) else [value] * len(widths)


def _one(value: Any, widths: Sequence[int], name: str) -> int:
    values = set(_each(value, widths, name))
    if len(values) != 1:
        raise UsageError(
            "a checkpoint that our model cannot be", got=f"{name}={value!r}", expected="one for all levels"
        )
    return int(values.pop())


def weights_of(spec: DiffusionUNetSpec, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Their tensors, UNet2DModel's or UNet2DConditionModel's, under our names."""
    state = convolution("enter", tensors, "conv_in") | convolution("leave", tensors, "conv_out")
    state |= convolution("norm", tensors, "conv_norm_out")
    state |= convolution("time.expand", tensors, "time_embedding.linear_1")
    state |= convolution("time.contract", tensors, "time_embedding.linear_2")
    if spec.classes is not None:
        state["classes.weight"] = tensors["class_embedding.weight"]
    last = len(spec.widths) - 1
    for level in range(last + 1):
        state |= _level(spec, tensors, f"down.{level}", f"down_blocks.{level}", spec.heads[level], extra=0)
        state |= _level(spec, tensors, f"up.{level}", f"up_blocks.{level}", spec.heads[last - level], extra=1)
        if level < last:
            state |= _resample(spec, tensors, f"down.{level}.resample", f"down_blocks.{level}.downsamplers.0")
            state |= _resample(spec, tensors, f"up.{level}.resample", f"up_blocks.{level}.upsamplers.0")
    for index in range(2):
        state |= residual_from(f"middle.residuals.{index}", tensors, f"mid_block.resnets.{index}")
    if spec.middle_heads:
        state |= _attention(spec, "middle.attention", tensors, "mid_block.attentions.0")
    return state


def _level(
    spec: DiffusionUNetSpec, tensors: Mapping[str, Tensor], ours: str, theirs: str, heads: int, *, extra: int
) -> dict[str, Tensor]:
    state: dict[str, Tensor] = {}
    for block in range(spec.blocks + extra):
        state |= residual_from(f"{ours}.residuals.{block}", tensors, f"{theirs}.resnets.{block}")
        if heads:
            state |= _attention(spec, f"{ours}.attentions.{block}", tensors, f"{theirs}.attentions.{block}")
    return state


def _resample(spec: DiffusionUNetSpec, tensors: Mapping[str, Tensor], ours: str, theirs: str) -> dict[str, Tensor]:
    if spec.resampling == "residual":
        return residual_from(ours, tensors, theirs)
    return convolution(f"{ours}.conv", tensors, f"{theirs}.conv")


def _attention(spec: DiffusionUNetSpec, ours: str, tensors: Mapping[str, Tensor], theirs: str) -> dict[str, Tensor]:
    if spec.context is None:
        return attention_from(ours, tensors, theirs)
    state = convolution(f"{ours}.norm", tensors, f"{theirs}.norm")
    for one, other in (("enter", "proj_in"), ("leave", "proj_out")):  # 1x1 convolutions, or linear layers already
        state[f"{ours}.{one}.weight"] = tensors[f"{theirs}.{other}.weight"].flatten(1)
        state[f"{ours}.{one}.bias"] = tensors[f"{theirs}.{other}.bias"]
    for block in range(spec.depth):
        state |= _transformer(f"{ours}.blocks.{block}", tensors, f"{theirs}.transformer_blocks.{block}")
    return state


def _transformer(ours: str, tensors: Mapping[str, Tensor], theirs: str) -> dict[str, Tensor]:
    state: dict[str, Tensor] = {}
    for norm in ("norm1", "norm2", "norm3"):
        state |= convolution(f"{ours}.{norm}", tensors, f"{theirs}.{norm}")
    for one, other in (("own", "attn1"), ("cross", "attn2")):
        for name, short in (("query", "to_q"), ("key", "to_k"), ("value", "to_v")):
            state[f"{ours}.{one}.{name}.weight"] = tensors[f"{theirs}.{other}.{short}.weight"]
        state |= convolution(f"{ours}.{one}.projection", tensors, f"{theirs}.{other}.to_out.0")
    state |= convolution(f"{ours}.feedforward.expand", tensors, f"{theirs}.ff.net.0.proj")
    return state | convolution(f"{ours}.feedforward.contract", tensors, f"{theirs}.ff.net.2")


def convolution(ours: str, tensors: Mapping[str, Tensor], theirs: str) -> dict[str, Tensor]:
    """A weight and a bias under other names: of a convolution, a linear layer or a norm."""
    return {f"{ours}.{part}": tensors[f"{theirs}.{part}"] for part in ("weight", "bias")}


def residual_from(ours: str, tensors: Mapping[str, Tensor], theirs: str) -> dict[str, Tensor]:
    """Their ResnetBlock2D as our ResidualBlock."""
    state: dict[str, Tensor] = {}
    for part in ("norm1", "conv1", "norm2", "conv2"):
        state |= convolution(f"{ours}.{part}", tensors, f"{theirs}.{part}")
    if f"{theirs}.time_emb_proj.weight" in tensors:
        state |= convolution(f"{ours}.time", tensors, f"{theirs}.time_emb_proj")
    if f"{theirs}.conv_shortcut.weight" in tensors:
        state |= convolution(f"{ours}.shortcut", tensors, f"{theirs}.conv_shortcut")
    return state


def attention_from(ours: str, tensors: Mapping[str, Tensor], theirs: str) -> dict[str, Tensor]:
    """Their Attention over pixels as our PixelAttention; older folders have older names."""
    old = f"{theirs}.query.weight" in tensors
    names = ("query", "key", "value", "proj_attn") if old else ("to_q", "to_k", "to_v", "to_out.0")
    state = convolution(f"{ours}.norm", tensors, f"{theirs}.group_norm")
    for one, other in zip(("query", "key", "value", "projection"), names, strict=True):
        state |= convolution(f"{ours}.{one}", tensors, f"{theirs}.{other}")
    return state


def _example(spec: DiffusionUNetSpec) -> tuple[Tensor | None, ...]:
    draw = torch.Generator().manual_seed(0)
    images = torch.randn(1, spec.channels, spec.image, spec.image, generator=draw)
    classes = None if spec.classes is None else torch.zeros(1, dtype=torch.int64)
    context = None if spec.context is None else torch.randn(1, 4, spec.context, generator=draw)
    return images, torch.tensor([10]), classes, context


for _name, _spec, _landmark in (
    ("UNet2DModel", plain_spec, "ddpm"), ("UNet2DConditionModel", conditional_spec, "latent-diffusion"),
):  # fmt: skip
    register(
        Published(
            model_type=_name,
            architectures=(_name,),
            spec=_spec,
            weights=weights_of,
            module=DiffusionUNet,
            landmark=_landmark,
            example=_example,
        )
    )
