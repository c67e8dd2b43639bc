"""Fine-tuning from human preferences: GPT-2 that scores texts, taught which of four answers is best.

B texts, K answers to a prompt, T tokens, V vocabulary, C context, D width, H heads, N layers.

    tokens [B, T] -GPT-2 without its head-> last state [B, D] -linear-> reward [B]

    loss  - log( exp r(x, y_best) / sum over the four of exp r(x, y_i) )         eq. 1   (objective.comparison=best)
    then  r moved and scaled to mean 0 and variance 1 on answers of the model that it starts from
    then  PPO on r(x, y) - beta log(pi(y|x) / rho(y|x))                                   eq. 2   (the task rlhf)

Ziegler, Stiennon, Wu, Brown, Radford, Amodei, Christiano & Irving 2019, arXiv 1909.08593, section 2.
"""

from __future__ import annotations

from typing import Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from sevenfold.errors import SpecError
from sevenfold.layers import PreNormBlock, init_gpt, require_tokens
from sevenfold.layers.text_rewards import RewardHead, last_states, texts_of
from sevenfold.models._entry import Family, Input, Landmark, fit_tokens
from sevenfold.spec import Spec


class RLHF2019Spec(Spec):
    """Settings of the reward model of 2019."""

    vocabulary: int = Field(default=50_257, ge=1, description="different tokens")
    context: int = Field(default=1024, ge=1, description="longest text in tokens, prompt and answer")
    width: int = Field(ge=1, description="width of the residual stream; a multiple of heads")
    layers: int = Field(ge=1, description="decoder blocks")
    heads: int = Field(ge=1, description="attention heads a block")
    dropout: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="in training: after embeddings, on attention weights, after each branch",
    )
    padding: int = Field(default=50256, ge=0, description="token that fills up short texts")

    @model_validator(mode="after")
    def _heads_divide_width(self) -> Self:
        if self.width % self.heads:
            raise SpecError("width does not fit", got=self.width, expected=f"a multiple of heads={self.heads}")
        return self


class RLHF2019(nn.Module):
    """tokens [B, T] -> rewards [B], or [B, K, T] -> [B, K]: read at each text's last token, which is no padding."""

    def __init__(self, spec: RLHF2019Spec) -> None:
        super().__init__()
        self.spec = spec
        self.token_embedding = nn.Embedding(spec.vocabulary, spec.width)
        self.position_embedding = nn.Embedding(spec.context, spec.width)
        self.dropout = nn.Dropout(spec.dropout)
        self.blocks = nn.ModuleList(
            PreNormBlock(width=spec.width, heads=spec.heads, dropout=spec.dropout) for _ in range(spec.layers)
        )
        self.final_norm = nn.LayerNorm(spec.width)
        init_gpt(self, layers=spec.layers)
        self.reward = RewardHead(spec.width)

    def forward(self, tokens: Tensor) -> Tensor:
        texts, axes = texts_of(tokens)
        require_tokens("RLHF 2019's token embedding", texts, self.spec.vocabulary, context=self.spec.context)
        positions = torch.arange(texts.shape[1], device=tokens.device)
        x_btd = self.dropout(self.token_embedding(texts) + self.position_embedding(positions))
        for block in self.blocks:
            x_btd = block(x_btd)
        states_bd = self.final_norm(last_states(x_btd, texts, self.spec.padding))
        rewards: Tensor = self.reward(states_bd)
        return rewards.reshape(axes)


RLHF2019_FAMILY = Family(
    landmark=Landmark(
        name="rlhf2019",
        title="Fine-tuning from human preferences",
        family="transformer",
        year=2019,
        paper="Ziegler et al. 2019, Fine-Tuning Language Models from Human Preferences",
        constraint="data",
        summary="a few thousand comparisons by people become a reward that a language model can be trained on",
        proof="rewards and gradients equal transformers' GPT2ForSequenceClassification with one label in "
        "float64; the loss is the closed form of equation 1 (tests/models/test_rlhf2019.py)",
    ),
    task="reward",
    spec_type=RLHF2019Spec,
    module=RLHF2019,
    fit=fit_tokens,
    inputs=lambda spec: (Input((spec.context,), vocabulary=spec.vocabulary, context=spec.context),),
    dial="width",
    dial_multiple=lambda spec: spec.heads,
    stands_alone=False,
)


@RLHF2019_FAMILY.preset("paper", parameters=774_031_360)
def rlhf2019() -> RLHF2019Spec:
    """The 774M GPT-2 of the paper with a reward for a head: 1,280 more numbers."""
    return RLHF2019Spec(layers=36, heads=20, width=1280)


@RLHF2019_FAMILY.preset("laptop")
def rlhf2019_nano() -> RLHF2019Spec:
    """Two layers of width 64, for texts in which token 0 is padding."""
    return RLHF2019Spec(layers=2, heads=4, width=64, context=64, vocabulary=96, padding=0)
