"""GPT-2: a stack of pre-norm decoder blocks that predicts the next token, and nothing else.

B batch, T time, V vocabulary, C context, D width, H heads, N layers.

    tokens [B, T] -token and position embedding-> [B, T, D] -N x block-> [B, T, D] -norm, token embedding-> logits

Radford, Wu, Child, Luan, Amodei & Sutskever 2019, Language Models are Unsupervised Multitask Learners.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import nn

from sevenfold.errors import SpecError
from sevenfold.layers import CachedDecoder, KeyValueCache, PreNormBlock, init_gpt, require_tokens
from sevenfold.layers.decoder import Gelu
from sevenfold.models._entry import Family, Landmark, fit_tokens
from sevenfold.models._published import Published, register, require_config, take_tied, under
from sevenfold.spec import Spec


class GPT2Spec(Spec):
    """Settings of GPT-2."""

    vocabulary: int = Field(default=50_257, ge=1, description="different tokens")
    context: int = Field(
        default=1024, ge=1, description="longest window of tokens, and rows of the position embedding"
    )
    width: int = Field(ge=1, description="width of the residual stream; a multiple of heads")
    layers: int = Field(ge=1, description="decoder blocks")
    heads: int = Field(ge=1, description="attention heads a block")
    dropout: float = Field(
        default=0.1,
        ge=0,
        lt=1,
        description="in training: after embeddings, on attention weights, after each branch",
    )
    gelu: Gelu = Field(default="tanh", description="tanh, which GPT-2 was trained with, or exact")

    @model_validator(mode="after")
    def _heads_divide_width(self) -> Self:
        if self.width % self.heads:
            raise SpecError("width does not fit", got=self.width, expected=f"a multiple of heads={self.heads}")
        return self


class GPT2(CachedDecoder):
    """tokens [B, T] -> logits [B, T, V]; position t sees tokens 0..t only.

    With a cache, the tokens go on where it ended, and give the same logits as the whole sequence to rounding.
    """

    def __init__(self, spec: GPT2Spec) -> None:
        super().__init__()
        self.spec = spec
        self.token_embedding = nn.Embedding(spec.vocabulary, spec.width)
        self.position_embedding = nn.Embedding(spec.context, spec.width)
        self.dropout = nn.Dropout(spec.dropout)
        self.blocks = nn.ModuleList(
            PreNormBlock(width=spec.width, heads=spec.heads, dropout=spec.dropout, gelu=spec.gelu)
            for _ in range(spec.layers)
        )
        self.final_norm = nn.LayerNorm(spec.width)
        init_gpt(self, layers=spec.layers)

    @property
    def max_length(self) -> int:
        return self.spec.context

    def forward(
        self, tokens: torch.Tensor, *, cache: KeyValueCache | None = None, check_values: bool = False
    ) -> torch.Tensor:
        x_btd = self.features(tokens, cache=cache, check_values=check_values)
        # The head is the token embedding again, not a parameter of its own.
        return F.linear(x_btd, self.token_embedding.weight)

    def features(
        self, tokens: torch.Tensor, *, cache: KeyValueCache | None = None, check_values: bool = False
    ) -> torch.Tensor:
        """tokens [B, T] -> what the head reads [B, T, D]."""
        layer = "GPT-2's token embedding"
        require_tokens(layer, tokens, self.spec.vocabulary, context=self.spec.context, values=check_values)
        start, time = self.require_room(layer, cache, tokens.shape[1]), tokens.shape[1]
        positions = torch.arange(start, start + time, device=tokens.device)
        x_btd = self.dropout(self.token_embedding(tokens) + self.position_embedding(positions))
        for index, block in enumerate(self.blocks):
            x_btd = block(x_btd, None if cache is None else cache.layer(index))
        if cache is not None:
            cache.advance(time)
        normed: torch.Tensor = self.final_norm(x_btd)
        return normed


GPT2_FAMILY = Family(
    landmark=Landmark(
        name="gpt2",
        title="GPT-2",
        family="transformer",
        year=2019,
        paper="Radford et al. 2019, Language Models are Unsupervised Multitask Learners",
        constraint="data",
        summary="predicting the next token of enough text teaches tasks that nobody labelled",
        proof="released counts; outputs and gradients equal a slow reference from the formulas in "
        "float64 (tests/models/test_gpt2.py), and transformers' GPT2LMHeadModel on folders that it saved "
        "(tests/models/test_published_decoders.py)",
    ),
    task="causal-lm",
    spec_type=GPT2Spec,
    module=GPT2,
    fit=fit_tokens,
    shape=lambda spec: (spec.context,),
    dial="width",
    dial_multiple=lambda spec: spec.heads,
)


@GPT2_FAMILY.preset("paper", parameters=124_439_808)
def gpt2() -> GPT2Spec:
    """GPT-2 small, table 2 row 1 (printed as 117M; the released weights have 124,439,808 parameters)."""
    return GPT2Spec(layers=12, heads=12, width=768)


@GPT2_FAMILY.preset("paper", parameters=354_823_168)
def gpt2_medium() -> GPT2Spec:
    """GPT-2 medium, table 2 row 2 (printed as 345M)."""
    return GPT2Spec(layers=24, heads=16, width=1024)


@GPT2_FAMILY.preset("paper", parameters=774_030_080)
def gpt2_large() -> GPT2Spec:
    """GPT-2 large, table 2 row 3 (printed as 762M)."""
    return GPT2Spec(layers=36, heads=20, width=1280)


@GPT2_FAMILY.preset("paper", parameters=1_557_611_200)
def gpt2_xl() -> GPT2Spec:
    """GPT-2 XL, table 2 row 4 (printed as 1542M)."""
    return GPT2Spec(layers=48, heads=25, width=1600)


@GPT2_FAMILY.preset("laptop", name="gpt2-10m")
def gpt2_10m() -> GPT2Spec:
    """10.8M parameters for characters: the shape of nanoGPT's character model, with biases and tanh GELU."""
    return GPT2Spec(layers=6, heads=6, width=384, context=256, vocabulary=65, dropout=0.2)


@GPT2_FAMILY.preset("laptop")
def gpt2_nano() -> GPT2Spec:
    """Two layers of width 64 for characters: 0.1M parameters."""
    return GPT2Spec(layers=2, heads=4, width=64, context=64, vocabulary=96, dropout=0.0)


# Where Hugging Face keeps what; its "Conv1D" layers store a matrix input first.
_BLOCK = {
    "attention_norm": "ln_1",
    "attention.query_key_value": "attn.c_attn",
    "attention.projection": "attn.c_proj",
    "feedforward_norm": "ln_2",
    "feedforward.expand": "mlp.c_fc",
    "feedforward.projection": "mlp.c_proj",
}


_GELUS: dict[str, Gelu] = {"gelu_new": "tanh", "gelu_pytorch_tanh": "tanh", "gelu": "exact"}


def spec_from_config(config: Mapping[str, Any]) -> GPT2Spec:
    """config.json of GPT2LMHeadModel -> our spec, with its resid_pdrop as our one dropout rate.

    UsageError for another activation, another feed-forward width, other scalings, or a head of its own.
    """
    require_config(
        config,
        activation_function=tuple(_GELUS),
        n_inner=(None, 4 * config["n_embd"]),
        layer_norm_epsilon=1e-5,
        scale_attn_weights=True,
        scale_attn_by_inverse_layer_idx=False,
        add_cross_attention=False,
        tie_word_embeddings=True,
    )
    return GPT2Spec(
        vocabulary=config["vocab_size"],
        context=config["n_positions"],
        width=config["n_embd"],
        layers=config["n_layer"],
        heads=config["n_head"],
        dropout=float(config.get("resid_pdrop", 0.1)),
        gelu=_GELUS[config.get("activation_function", "gelu_new")],
    )


def weights_from_tensors(spec: GPT2Spec, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Hugging Face's tensors -> our state dict: renamed, and matrices transposed."""
    inner = under(tensors, "transformer.")
    state = {
        "token_embedding.weight": inner["wte.weight"],
        "position_embedding.weight": inner["wpe.weight"],
        "final_norm.weight": inner["ln_f.weight"],
        "final_norm.bias": inner["ln_f.bias"],
    }
    for index in range(spec.layers):
        for ours, theirs in _BLOCK.items():
            weight = inner[f"h.{index}.{theirs}.weight"]
            state[f"blocks.{index}.{ours}.weight"] = weight if ours.endswith("norm") else weight.T
            state[f"blocks.{index}.{ours}.bias"] = inner[f"h.{index}.{theirs}.bias"]
    if "lm_head.weight" in tensors:
        take_tied(tensors, "lm_head.weight", "transformer.wte.weight")
    return state


register(
    Published(
        model_type="gpt2",
        architectures=("GPT2LMHeadModel", "GPT2Model"),
        spec=spec_from_config,
        weights=weights_from_tensors,
        module=GPT2,
        ignored=("*.attn.bias", "*.attn.masked_bias"),  # the causal mask, stored by older files
    )
)
