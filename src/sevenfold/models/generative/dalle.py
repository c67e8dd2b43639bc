"""DALL-E: a caption and the codes of its picture as one text, which a transformer goes on writing.

B pictures, C channels, S side, G codes a side, N = G^2, K codes, T text tokens, V vocabulary, D width, H heads.

    1. pixels [B, C, S, S] <-> codes [B, G, G] by a discrete autoencoder            (_discrete_vae)
    2. [start, text 1..T, code 1..N-1] -token + position-> [B, T + N, D] -L blocks, norm->
           logits of text 1..T [B, T, V] and of codes 1..N [B, N, K]

A code's position is the sum of its row's and its column's vector; where a caption has ended (0 up to the last), a
vector of that position stands for it. Every code sees the whole text, and of the codes before it (figure 11):

    row     itself and the G before it, across rows: the last of them lies above it
    column  itself and those above it in its column
    conv    those that a kernel of 11 x 11 with its middle here covers, across the picture's sides

Layer i of L (from 1) is conv where i = L, column where (i - 2) mod 4 = 0, row elsewhere. The loss is 1/8 of the
mean over text tokens and 7/8 of the mean over codes (section 2.2). Both stages are trained in one run, one after
the other, as in the paper; the first stands still while the second learns.

Ramesh et al. 2021, Zero-Shot Text-to-Image Generation. Where the paper is silent it is ours: the start vector in
place of the first text token's predecessor, one head a kind of token, GPT-2's initialization. Not here: byte-pair
dropout, averages of the weights, and the choice of the best of 512 samples by a contrastive model.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Self

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from sevenfold.errors import SpecError, UsageError
from sevenfold.layers import (
    FeedForward,
    Generative,
    Inpaints,
    KeyValueCache,
    LayerCache,
    MultiHeadAttention,
    Noise,
    OnStep,
    Played,
    Player,
    Reconstructs,
    Sampling,
    init_gpt,
    require_images,
    require_tokens,
    untold,
)
from sevenfold.layers.generative import require_sampling
from sevenfold.models._entry import Family, Input, Landmark, fit_generation
from sevenfold.models.generative._discrete_vae import Annealing, DiscreteVAE
from sevenfold.spec import Spec

Form = Literal["row", "column", "conv"]
TEXT_SHARE = 1 / 8  # of the transformer's loss


class DALLESpec(Spec):
    """Settings of DALL-E."""

    image: int = Field(default=256, ge=1, description="pixels a side; a multiple of 2^(groups - 1)")
    channels: int = Field(default=3, ge=1, description="channels of the image")
    codes: int = Field(default=8192, ge=2, description="different codes of a picture's place")
    hidden: int = Field(default=256, ge=4, multiple_of=4, description="width of the autoencoder at full size")
    first: int = Field(default=128, ge=1, description="width into which the decoder takes the codes")
    groups: int = Field(default=4, ge=1, description="sizes of feature maps, each half of the one before")
    blocks: int = Field(default=2, ge=1, description="residual blocks of each size")
    kl_weight: float = Field(default=6.6, ge=0, description="weight of the divergence of the codes from uniform")
    kl_updates: int = Field(default=5000, ge=1, description="updates over which that weight grows from 0")
    temperature: float = Field(default=1 / 16, gt=0, le=1, description="of the relaxation, at the end")
    temperature_updates: int = Field(default=150_000, ge=1, description="updates over which it falls from 1")
    likelihood: Literal["logit-laplace", "bernoulli"] = Field(
        default="logit-laplace", description="of pixels; bernoulli suits drawings whose values are 0 or 1"
    )
    vocabulary: int = Field(default=16_384, ge=2, description="different text tokens; 0 is padding")
    context: int = Field(default=256, ge=1, description="text tokens")
    width: int = Field(ge=1, description="width of the transformer; a multiple of heads")
    layers: int = Field(ge=1, description="blocks of the transformer")
    heads: int = Field(ge=1, description="attention heads a block")
    kernel: int = Field(default=11, ge=1, description="side of the last layer's attention pattern; odd")
    first_stage: float = Field(default=0.5, gt=0, lt=1, description="share of a run that trains the autoencoder")
    first_stage_rate: float = Field(default=1.0, gt=0, description="its learning rate as a share of the recipe's")

    @model_validator(mode="after")
    def _sizes_fit(self) -> Self:
        if self.width % self.heads:
            raise SpecError("width does not fit", got=self.width, expected=f"a multiple of heads={self.heads}")
        if self.image % 2 ** (self.groups - 1):
            expected = f"a multiple of 2^(groups - 1) = {2 ** (self.groups - 1)}"
            raise SpecError("image does not fit", got=self.image, expected=expected)
        if self.kernel % 2 == 0:
            raise SpecError("kernel does not fit", got=self.kernel, expected="an odd number")
        return self

    @property
    def side(self) -> int:
        """Codes a side, G."""
        return int(self.image // 2 ** (self.groups - 1))


def form_of(layer: int, layers: int) -> Form:
    """The attention pattern of a layer, counted from 1 (appendix B.1).

    >>> [form_of(layer, 64) for layer in (1, 2, 3, 4, 5, 6, 64)]
    ['row', 'column', 'row', 'row', 'row', 'column', 'conv']
    """
    if layer == layers:
        return "conv"
    return "column" if (layer - 2) % 4 == 0 else "row"


def seen_codes(form: Form, side: int, kernel: int) -> Tensor:
    """Which codes [N] each code [N] sees, itself included: booleans [N, N] (figure 11; with the wraparound).

    >>> [seen_codes(form, 4, 3)[9].nonzero().flatten().tolist() for form in ("row", "conv")]
    [[5, 6, 7, 8, 9], [4, 5, 6, 8, 9]]
    """
    place = torch.arange(side * side)
    back = place[:, None] - place[None, :]  # how far back in raster order
    if form == "row":
        return (back >= 0) & (back <= side)
    if form == "column":
        return (back >= 0) & (back % side == 0)
    half = kernel // 2
    offsets = [down * side + right for down in range(half + 1) for right in range(-half, half + 1)]
    return torch.isin(back, torch.tensor([offset for offset in offsets if offset >= 0]))


def seen_positions(form: Form, *, text: int, side: int, kernel: int) -> Tensor:
    """Booleans [T + N, T + N] over [start, text 1..T, code 1..N-1]: text sees text before it, codes all text."""
    length = text + side * side
    seen = torch.ones(length, length, dtype=torch.bool).tril()
    seen[text + 1 :, text + 1 :] = seen_codes(form, side, kernel)[:-1, :-1]
    return seen


class TextAndPictureBlock(nn.Module):
    """x + attention(norm(x)), then x + feedforward(norm(x)), under one of the three patterns."""

    seen: Tensor

    def __init__(self, spec: DALLESpec, form: Form) -> None:
        super().__init__()
        self.form = form
        self.attention_norm = nn.LayerNorm(spec.width)
        self.attention = MultiHeadAttention(width=spec.width, heads=spec.heads)
        self.feedforward_norm = nn.LayerNorm(spec.width)
        self.feedforward = FeedForward(width=spec.width)
        seen = seen_positions(form, text=spec.context, side=spec.side, kernel=spec.kernel)
        self.register_buffer("seen", seen, persistent=False)

    def forward(self, x_bld: Tensor, cache: LayerCache | None = None) -> Tensor:
        """With a cache, x goes on where it ended."""
        start = 0 if cache is None else cache.length
        end = start + x_bld.shape[1]
        mask = self.seen[start:end, :end]
        x_bld = x_bld + self.attention(self.attention_norm(x_bld), mask=mask, cache=cache)
        out: Tensor = x_bld + self.feedforward(self.feedforward_norm(x_bld))
        return out


class TextAndPictureTransformer(nn.Module):
    """Text [B, T] and codes [B, n] -> hidden states [B, 1 + T + n, D], as far as there are positions."""

    def __init__(self, spec: DALLESpec) -> None:
        super().__init__()
        self.spec = spec
        width = spec.width
        self.start = nn.Parameter(torch.empty(width))
        self.text_embedding = nn.Embedding(spec.vocabulary, width)
        self.text_position = nn.Embedding(spec.context, width)
        self.padding = nn.Embedding(spec.context, width)
        self.code_embedding = nn.Embedding(spec.codes, width)
        self.row = nn.Embedding(spec.side, width)
        self.column = nn.Embedding(spec.side, width)
        self.blocks = nn.ModuleList(
            TextAndPictureBlock(spec, form_of(layer, spec.layers)) for layer in range(1, spec.layers + 1)
        )
        self.final_norm = nn.LayerNorm(width)
        self.text_head = nn.Linear(width, spec.vocabulary)
        self.code_head = nn.Linear(width, spec.codes)
        init_gpt(self, layers=spec.layers)
        nn.init.normal_(self.start, std=0.02)

    def embed_text(self, tokens: Tensor) -> Tensor:
        """[B, T] -> [B, T, D]; a position's own vector where the caption has ended."""
        positions = torch.arange(tokens.shape[1], device=tokens.device)
        # An encoding may have a word of number 0: the end is what only zeros follow.
        ended = (tokens == 0).flip(1).int().cumprod(1).flip(1).bool()
        embedded = torch.where(ended[..., None], self.padding(positions), self.text_embedding(tokens))
        out: Tensor = embedded + self.text_position(positions)
        return out

    def embed_codes(self, codes: Tensor, first: int = 0) -> Tensor:
        """Codes [B, n] at places first, first + 1, ... -> [B, n, D]."""
        place = torch.arange(first, first + codes.shape[1], device=codes.device)
        side = self.spec.side
        out: Tensor = self.code_embedding(codes) + self.row(place // side) + self.column(place % side)
        return out

    def embed_prefix(self, tokens: Tensor) -> Tensor:
        """The start and the text [B, 1 + T, D]."""
        start = self.start.expand(len(tokens), 1, -1)
        return torch.cat([start, self.embed_text(tokens)], dim=1)

    def hidden(self, x_bld: Tensor, cache: KeyValueCache | None = None) -> Tensor:
        """The blocks and the last norm; with a cache, x goes on where it ended."""
        for index, block in enumerate(self.blocks):
            x_bld = block(x_bld, None if cache is None else cache.layer(index))
        if cache is not None:
            cache.advance(x_bld.shape[1])
        out: Tensor = self.final_norm(x_bld)
        return out

    def forward(self, tokens: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of the text [B, T, V] and of the codes [B, N, K], each from what stands before it."""
        text = tokens.shape[1]
        embedded = torch.cat([self.embed_prefix(tokens), self.embed_codes(codes[:, :-1])], dim=1)
        hidden_bld = self.hidden(embedded)
        return self.text_head(hidden_bld[:, :text]), self.code_head(hidden_bld[:, text:])


class DALLE(Generative, Played, Reconstructs, Inpaints):
    """pixels [B, C, S, S] in 0..1 and tokens [B, T] -> the loss of each pair [B]: both stages' together."""

    condition = "tokens"

    def __init__(self, spec: DALLESpec) -> None:
        super().__init__()
        self.spec = spec
        self.autoencoder = DiscreteVAE(
            channels=spec.channels,
            codes=spec.codes,
            hidden=spec.hidden,
            first=spec.first,
            groups=spec.groups,
            blocks=spec.blocks,
            likelihood=spec.likelihood,
            kl_weight=Annealing(0.0, spec.kl_weight, updates=spec.kl_updates, follows="autoencoder"),
            temperature=Annealing(1.0, spec.temperature, updates=spec.temperature_updates, follows="autoencoder"),
        )
        self.transformer = TextAndPictureTransformer(spec)

    def forward(self, *inputs: Tensor) -> Tensor:
        images, tokens = self._checked(*inputs)
        loss_b: Tensor = self.autoencoder(images) + self.transformer_loss(images, tokens)
        return loss_b

    def transformer_loss(self, images: Tensor, tokens: Tensor) -> Tensor:
        """1/8 of the mean nats a text token and 7/8 of the mean nats a code, [B]."""
        with torch.no_grad():
            codes_bn = self.autoencoder.encode(images).flatten(1)
        text_btv, codes_bnk = self.transformer(tokens, codes_bn)
        of_text = F.cross_entropy(text_btv.transpose(1, 2), tokens, reduction="none").mean(dim=1)
        of_codes = F.cross_entropy(codes_bnk.transpose(1, 2), codes_bn, reduction="none").mean(dim=1)
        return TEXT_SHARE * of_text + (1 - TEXT_SHARE) * of_codes

    def players(self) -> tuple[Player, ...]:
        """The autoencoder, and after it the transformer over its codes."""
        stage = self.spec.first_stage
        return (
            Player(
                "autoencoder",
                tuple(self.autoencoder.parameters()),
                lambda images, tokens: self.autoencoder(images).mean(),
                rate=self.spec.first_stage_rate,
                ends=stage,
            ),
            Player(
                "transformer",
                tuple(self.transformer.parameters()),
                lambda images, tokens: self.transformer_loss(images, tokens).mean(),
                begins=stage,
            ),
        )

    @torch.no_grad()
    def sample(
        self,
        num: int,
        *,
        noise: Noise,
        condition: Tensor | None = None,
        sampling: Sampling = Sampling(),
        on_step: OnStep = untold,
    ) -> Tensor:
        """Codes one after the other, then their picture; ``sampling`` knows the temperature alone."""
        if condition is None or len(condition) != num or num != len(noise):
            raise UsageError(
                "DALL-E draws what captions say",
                got="no captions" if condition is None else f"{len(condition)} captions for {num} samples",
                expected="tokens [num, context], and as many seeds",
            )
        codes_bn = self._written(condition, noise, sampling, on_step, lambda place, drawn: drawn)
        return self.autoencoder.decode(codes_bn.reshape(-1, self.spec.side, self.spec.side))

    @torch.no_grad()
    def reconstruct(self, images: Tensor) -> Tensor:
        """Through the codes and back; the caption is not asked."""
        require_images("DALL-E's encoder", images, self.spec.channels, self.spec.image)
        return self.autoencoder.decode(self.autoencoder.encode(images))

    @torch.no_grad()
    def inpaint(
        self,
        images: Tensor,
        kept: Tensor,
        *,
        noise: Noise,
        condition: Tensor | None = None,
        sampling: Sampling = Sampling(),
        on_step: OnStep = untold,
    ) -> Tensor:
        """Codes of which a pixel is not kept are drawn anew, each by the codes before it alone.

        So the drawn part fits what is above it and to its left; it is the model's own distribution where the open
        part reaches to the lower right corner, as in the paper.
        """
        if condition is None:
            raise UsageError("DALL-E draws what captions say", got="no captions", expected="tokens [B, context]")
        images, tokens = self._checked(images, condition)
        own = self.autoencoder.encode(images).flatten(1)
        cell = self.spec.image // self.spec.side
        whole = F.max_pool2d((~kept).float(), cell).flatten(1) == 0
        codes_bn = self._written(
            tokens, noise, sampling, on_step, lambda n, drawn: torch.where(whole[:, n], own[:, n], drawn)
        )
        drawn = self.autoencoder.decode(codes_bn.reshape(-1, self.spec.side, self.spec.side))
        return torch.where(kept, images, drawn)

    def _written(
        self,
        tokens: Tensor,
        noise: Noise,
        sampling: Sampling,
        on_step: OnStep,
        settle: Callable[[int, Tensor], Tensor],
    ) -> Tensor:
        """Codes [B, N] drawn in raster order; ``settle(place, drawn)`` has the last word on each."""
        require_sampling("DALL-E", sampling, "temperature")
        spec, transformer = self.spec, self.transformer
        require_tokens("DALL-E's text embedding", tokens, spec.vocabulary, context=spec.context, values=True)
        cache, codes = KeyValueCache(), []
        x_bld = transformer.embed_prefix(tokens)
        for place in range(spec.side**2):
            logits_bk = transformer.code_head(transformer.hidden(x_bld, cache)[:, -1])
            chances = F.softmax(logits_bk.float() / max(sampling.temperature, 1e-4), dim=-1)
            codes.append(settle(place, noise.choose(chances)))
            x_bld = transformer.embed_codes(codes[-1][:, None], place)
            on_step(place + 1, spec.side**2)
        return torch.stack(codes, dim=1)

    def _checked(self, images: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        spec = self.spec
        require_images("DALL-E's encoder", images, spec.channels, spec.image)
        require_tokens("DALL-E's text embedding", tokens, spec.vocabulary, context=spec.context)
        if tokens.shape[1] != spec.context:
            raise UsageError(
                "DALL-E's text has one length",
                got=f"{tokens.shape[1]} tokens",
                expected=f"{spec.context}, the end filled with 0",
            )
        return images, tokens


DALLE_FAMILY = Family(
    landmark=Landmark(
        name="dalle",
        title="DALL-E",
        family="generative",
        year=2021,
        paper="Ramesh et al. 2021, Zero-Shot Text-to-Image Generation",
        constraint="data",
        summary="captions and pictures as one stream of tokens: a language model that goes on with a picture",
        proof="the autoencoder's two published counts, outputs and gradients against functional references on loud "
        "weights with mutations; logit-Laplace and divergence by quadrature; the attention patterns of figure 11; "
        "cached sampling equals the whole forward (tests/models/test_dalle.py)",
    ),
    task="generation",
    spec_type=DALLESpec,
    module=DALLE,
    fit=fit_generation,
    inputs=lambda spec: (
        Input((spec.channels, spec.image, spec.image)),
        Input((spec.context,), vocabulary=spec.vocabulary, context=spec.context),
    ),
    dial="width",
    dial_multiple=lambda spec: spec.heads,
)


@DALLE_FAMILY.preset("paper", parameters=12_390_452_998)
def dalle_12b() -> DALLESpec:
    """The paper's: 32 x 32 codes of 8,192, 64 layers of 62 heads of 64 ("12-billion")."""
    return DALLESpec(width=62 * 64, layers=64, heads=62)


@DALLE_FAMILY.preset("laptop")
def dalle_small() -> DALLESpec:
    """8 x 8 codes of 96 for drawings of 16 x 16 pixels, four layers of width 64."""
    return DALLESpec(
        image=16, codes=96, hidden=32, first=32, groups=2, blocks=1, kl_weight=0.1, kl_updates=1,
        temperature=0.125, temperature_updates=300, likelihood="bernoulli", vocabulary=17, context=11, width=64,
        layers=4, heads=4, kernel=5, first_stage=0.35, first_stage_rate=2.5,
    )  # fmt: skip
