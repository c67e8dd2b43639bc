"""InstructGPT: its reward model, GPT-3 that scores texts, taught by rankings of four to nine answers.

B texts, K answers to a prompt, T tokens, V vocabulary, C context, D width, H heads, N layers.

    tokens [B, T] -GPT-3 without its head-> last state [B, D] -linear-> reward [B]

    loss  - 1 / (K choose 2) sum over pairs of log sigmoid(r(x, y_w) - r(x, y_l))        eq. 1   (the task reward)
    then  a bias that gives demonstrations a mean of 0                                   section 3.5
    then  PPO on r(x, y) - beta log(pi(y|x) / pi_SFT(y|x)) + gamma log pi(x_pretrain)    eq. 2   (the task rlhf)

All pairs of a prompt stand in one batch: each answer is read once, and pairs that share an answer do not count as
independent. Odd blocks attend in a band, as GPT-3's (`gpt3`) do. Where the
data set has no demonstrations the bias is taken from the answers that were compared.

Ouyang et al. 2022, Training language models to follow instructions with human feedback, arXiv 2203.02155.
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


class InstructGPTSpec(Spec):
    """Settings of InstructGPT's reward model."""

    vocabulary: int = Field(default=50_257, ge=1, description="different tokens")
    context: int = Field(default=2048, ge=1, description="longest text in tokens, prompt and answer")
    width: int = Field(ge=1, description="width of the residual stream; a multiple of heads")
    layers: int = Field(ge=1, description="decoder blocks")
    heads: int = Field(ge=1, description="attention heads a block")
    dropout: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="in training: after embeddings, on attention weights, after each branch",
    )
    bandwidth: int | None = Field(
        default=256, ge=1, description="positions that odd blocks see, the own one included; none for all of them"
    )
    padding: int = Field(default=50256, ge=0, description="token that fills up short texts")

    @model_validator(mode="after")
    def _heads_divide_width(self) -> Self:
        if self.width % self.heads:
            raise SpecError("width does not fit", got=self.width, expected=f"a multiple of heads={self.heads}")
        return self


class InstructGPT(nn.Module):
    """tokens [B, T] -> rewards [B], or [B, K, T] -> [B, K]: read at each text's last token, which is no padding."""

    def __init__(self, spec: InstructGPTSpec) -> None:
        super().__init__()
        self.spec = spec
        self.token_embedding = nn.Embedding(spec.vocabulary, spec.width)
        self.position_embedding = nn.Embedding(spec.context, spec.width)
        self.dropout = nn.Dropout(spec.dropout)
        self.blocks = nn.ModuleList(
            PreNormBlock(
                width=spec.width, heads=spec.heads, dropout=spec.dropout, band=spec.bandwidth if index % 2 else None
            )
            for index in range(spec.layers)
        )
        self.final_norm = nn.LayerNorm(spec.width)
        init_gpt(self, layers=spec.layers)
        self.reward = RewardHead(spec.width)

    def forward(self, tokens: Tensor) -> Tensor:
        texts, axes = texts_of(tokens)
        require_tokens("InstructGPT's token embedding", texts, self.spec.vocabulary, context=self.spec.context)
        positions = torch.arange(texts.shape[1], device=tokens.device)
        x_btd = self.dropout(self.token_embedding(texts) + self.position_embedding(positions))
        for block in self.blocks:
            x_btd = block(x_btd)
        states_bd = self.final_norm(last_states(x_btd, texts, self.spec.padding))
        rewards: Tensor = self.reward(states_bd)
        return rewards.reshape(axes)


INSTRUCTGPT_FAMILY = Family(
    landmark=Landmark(
        name="instructgpt",
        title="InstructGPT",
        family="transformer",
        year=2022,
        paper="Ouyang et al. 2022, Training language models to follow instructions with human feedback",
        constraint="data",
        summary="people's demonstrations and rankings make a model preferred to one a hundred times its size",
        proof="rewards and gradients equal transformers' GPT2ForSequenceClassification with one label in "
        "float64; the loss is the closed form over all pairs (tests/models/test_instructgpt.py)",
    ),
    task="reward",
    spec_type=InstructGPTSpec,
    module=InstructGPT,
    fit=fit_tokens,
    inputs=lambda spec: (Input((spec.context,), vocabulary=spec.vocabulary, context=spec.context),),
    dial="width",
    dial_multiple=lambda spec: spec.heads,
    stands_alone=False,
)


@INSTRUCTGPT_FAMILY.preset("paper", name="instructgpt-6b", parameters=6_658_408_448)
def instructgpt_6b() -> InstructGPTSpec:
    """The reward model of the paper, printed as 6B: GPT-3 6.7B with 4,096 numbers for a head."""
    return InstructGPTSpec(layers=32, heads=32, width=4096)


@INSTRUCTGPT_FAMILY.preset("laptop", name="instructgpt-nano")
def instructgpt_nano() -> InstructGPTSpec:
    """Two dense layers of width 64, for texts in which token 0 is padding."""
    return InstructGPTSpec(layers=2, heads=4, width=64, context=64, vocabulary=96, bandwidth=None, padding=0)
