"""CLIP: pictures and their captions as vectors of one space, so that any words are a classifier.

B pairs, S image side, P patch side, T tokens, V vocabulary, D width of a tower, E width of the joint space.

    pixels [B, 3, S, S] -patches, class token, positions, norm, L blocks, norm of the class token-> [B, D]
    tokens [B, T]       -embedding, positions, L causal blocks, norm, at the end token-----------> [B, D']
    each projected to [B, E] and divided by its length
    logits [B, B] = exp(log scale) images . texts; row i and column i should choose i

Training minimizes the mean of the cross-entropies of rows and of columns (the task image-text). Both towers are
pre-norm transformers whose GELU is x sigmoid(1.702 x). The scale starts at 1 / 0.07 and is held to at most 100.

Zero-shot use: ``encode_image``, ``encode_text``, and ``classify``, which averages the prompts of each class.

Radford et al. 2021, Learning Transferable Visual Models From Natural Language Supervision, section 2, figure 3;
details as in the authors' code (clip/model.py).
"""

from __future__ import annotations

import math
from typing import Literal, Self

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from sevenfold.errors import SpecError, UsageError
from sevenfold.layers import require_images, require_tokens
from sevenfold.layers.prenorm import PatchEmbedding, PreNormEncoderBlock, fitting_patch
from sevenfold.models._entry import Family, Input, Landmark, ModelEntry
from sevenfold.models._published import Published, register
from sevenfold.models.transformer import _clip_names
from sevenfold.runs.recipe import Scalar
from sevenfold.spec import Spec

FIRST_LOG_SCALE = math.log(1 / 0.07)
LARGEST_LOG_SCALE = math.log(100)


class CLIPSpec(Spec):
    """Settings of CLIP with a Vision Transformer."""

    image: int = Field(default=224, ge=1, description="pixels a side; a multiple of patch")
    patch: int = Field(ge=1, description="pixels a side of a patch")
    channels: int = Field(default=3, ge=1, description="channels of the image")
    vision_width: int = Field(ge=1, description="width of the image tower; a multiple of vision_heads")
    vision_layers: int = Field(ge=1, description="blocks of the image tower")
    vision_heads: int = Field(ge=1, description="attention heads a block of the image tower")
    vision_inner: int | None = Field(default=None, ge=1, description="feedforward units; none is 4 vision_width")
    vocabulary: int = Field(default=49_408, ge=2, description="different tokens")
    context: int = Field(default=77, ge=1, description="longest text in tokens, start and end token included")
    text_width: int = Field(ge=1, description="width of the text tower; a multiple of text_heads")
    text_layers: int = Field(ge=1, description="blocks of the text tower")
    text_heads: int = Field(ge=1, description="attention heads a block of the text tower")
    text_inner: int | None = Field(default=None, ge=1, description="feedforward units; none is 4 text_width")
    end_token: int | None = Field(
        default=None, ge=0, description="token whose place stands for the text; none is the largest one of a text"
    )
    embedding: int = Field(ge=1, description="width of the joint space")
    activation: Literal["quick-gelu", "gelu"] = Field(
        default="quick-gelu", description="quick-gelu (the paper's weights) or gelu (exact)"
    )
    norm_epsilon: float = Field(default=1e-5, gt=0, description="added to the variance in layer norms")

    @model_validator(mode="after")
    def _sizes_divide(self) -> Self:
        for tower in ("vision", "text"):
            width, heads = getattr(self, f"{tower}_width"), getattr(self, f"{tower}_heads")
            if width % heads:
                expected = f"a multiple of {tower}_heads={heads}"
                raise SpecError(f"{tower}_width does not fit", got=width, expected=expected)
        if self.image % self.patch:
            raise SpecError("image does not fit", got=self.image, expected=f"a multiple of patch={self.patch}")
        return self


class ImageTower(nn.Module):
    """[B, C, S, S] -> [B, E]."""

    def __init__(self, spec: CLIPSpec) -> None:
        super().__init__()
        self.spec = spec
        width = spec.vision_width
        self.patch_embedding = PatchEmbedding(channels=spec.channels, patch=spec.patch, width=width, bias=False)
        self.class_token = nn.Parameter(torch.empty(width))
        self.position_embedding = nn.Parameter(torch.empty(1 + (spec.image // spec.patch) ** 2, width))
        self.first_norm = nn.LayerNorm(width, eps=spec.norm_epsilon)
        self.blocks = nn.ModuleList(
            PreNormEncoderBlock(
                width=width,
                heads=spec.vision_heads,
                inner=spec.vision_inner or 4 * width,
                activation=spec.activation,
                norm_epsilon=spec.norm_epsilon,
            )
            for _ in range(spec.vision_layers)
        )
        self.final_norm = nn.LayerNorm(width, eps=spec.norm_epsilon)
        self.projection = nn.Linear(width, spec.embedding, bias=False)
        self._initialize(width)

    def _initialize(self, width: int) -> None:
        """Embeddings and projection N(0, 1 / D); q, k, v as one matrix [3 D, D] would be; the rest is torch's."""
        for weight in (self.class_token, self.position_embedding, self.projection.weight):
            nn.init.normal_(weight, std=width**-0.5)
        for block in self.blocks:
            assert isinstance(block, PreNormEncoderBlock)
            for layer in (block.attention.query, block.attention.key, block.attention.value):
                nn.init.xavier_uniform_(layer.weight, gain=0.5**0.5)
                nn.init.zeros_(layer.bias)
            nn.init.zeros_(block.attention.projection.bias)

    def forward(self, pixels: Tensor) -> Tensor:
        require_images("CLIP's patch embedding", pixels, self.spec.channels, self.spec.image)
        patches_bnd = self.patch_embedding(pixels)
        class_b1d = self.class_token.expand(len(pixels), 1, -1)
        x_btd = self.first_norm(torch.cat([class_b1d, patches_bnd], dim=1) + self.position_embedding)
        for block in self.blocks:
            x_btd = block(x_btd)
        features_be: Tensor = self.projection(self.final_norm(x_btd[:, 0]))
        return features_be


class TextTower(nn.Module):
    """tokens [B, T] -> [B, E]: what stands at the end token, which has seen every token before it."""

    def __init__(self, spec: CLIPSpec) -> None:
        super().__init__()
        self.spec = spec
        width = spec.text_width
        self.token_embedding = nn.Embedding(spec.vocabulary, width)
        self.position_embedding = nn.Embedding(spec.context, width)
        self.blocks = nn.ModuleList(
            PreNormEncoderBlock(
                width=width,
                heads=spec.text_heads,
                inner=spec.text_inner or 4 * width,
                activation=spec.activation,
                norm_epsilon=spec.norm_epsilon,
                causal=True,
            )
            for _ in range(spec.text_layers)
        )
        self.final_norm = nn.LayerNorm(width, eps=spec.norm_epsilon)
        self.projection = nn.Linear(width, spec.embedding, bias=False)
        self._initialize(width, spec.text_layers)

    def _initialize(self, width: int, layers: int) -> None:
        """Normal; residual projections are smaller by sqrt(2 layers), as GPT-2's."""
        nn.init.normal_(self.token_embedding.weight, std=0.02)
        nn.init.normal_(self.position_embedding.weight, std=0.01)
        nn.init.normal_(self.projection.weight, std=width**-0.5)
        for block in self.blocks:
            assert isinstance(block, PreNormEncoderBlock)
            for layer in (block.attention.query, block.attention.key, block.attention.value):
                nn.init.normal_(layer.weight, std=width**-0.5)
                nn.init.zeros_(layer.bias)
            nn.init.normal_(block.attention.projection.weight, std=(2 * layers * width) ** -0.5)
            nn.init.zeros_(block.attention.projection.bias)
            nn.init.normal_(block.expand.weight, std=(2 * width) ** -0.5)
            nn.init.normal_(block.projection.weight, std=(2 * layers * width) ** -0.5)

    def hidden(self, tokens: Tensor, *, check_values: bool = False) -> Tensor:
        """The last block's output [B, T, D]."""
        spec = self.spec
        require_tokens("CLIP's token embedding", tokens, spec.vocabulary, context=spec.context, values=check_values)
        positions = torch.arange(tokens.shape[1], device=tokens.device)
        x_btd: Tensor = self.token_embedding(tokens) + self.position_embedding(positions)
        for block in self.blocks:
            x_btd = block(x_btd)
        return x_btd

    def forward(self, tokens: Tensor, *, check_values: bool = False) -> Tensor:
        spec, x_btd = self.spec, self.hidden(tokens, check_values=check_values)
        marks_bt = tokens if spec.end_token is None else (tokens == spec.end_token).int()
        ends_b = marks_bt.argmax(dim=1)
        ended_bd = x_btd[torch.arange(len(tokens), device=tokens.device), ends_b]
        features_be: Tensor = self.projection(self.final_norm(ended_bd))
        return features_be


class CLIP(nn.Module):
    """pixels [B, C, S, S] and tokens [B', T] -> logits [B, B']."""

    def __init__(self, spec: CLIPSpec) -> None:
        super().__init__()
        self.spec = spec
        self.images = ImageTower(spec)
        self.texts = TextTower(spec)
        self.log_scale = nn.Parameter(torch.tensor(FIRST_LOG_SCALE))

    def encode_image(self, pixels: Tensor) -> Tensor:
        """[B, C, S, S] -> [B, E], of length 1: products with texts are cosines."""
        return F.normalize(self.images(pixels), dim=-1)

    def encode_text(self, tokens: Tensor, *, check_values: bool = False) -> Tensor:
        """[B, T] -> [B, E], of length 1."""
        return F.normalize(self.texts(tokens, check_values=check_values), dim=-1)

    def classify(self, pixels: Tensor, prompts_cpt: Tensor) -> Tensor:
        """Zero-shot logits [B, classes]; ``prompts_cpt`` [classes, prompts, T] are tokens of each class's prompts.

        A class is the mean of its prompts' vectors, again of length 1 (section 3.1.4).
        """
        if prompts_cpt.dim() != 3:
            raise UsageError(
                "CLIP's prompts do not fit",
                got=f"shape {list(prompts_cpt.shape)}",
                expected="tokens [classes, prompts, time]",
            )
        classes, prompts, _ = prompts_cpt.shape
        texts_cpe = self.encode_text(prompts_cpt.flatten(0, 1)).view(classes, prompts, -1)
        classes_ce = F.normalize(texts_cpe.mean(dim=1), dim=-1)
        return self.log_scale.exp() * self.encode_image(pixels) @ classes_ce.T

    def forward(self, pixels: Tensor, tokens: Tensor, *, check_values: bool = False) -> Tensor:
        if self.training:  # after each update, that is before the next use
            with torch.no_grad():
                self.log_scale.clamp_(max=LARGEST_LOG_SCALE)
        texts_be = self.encode_text(tokens, check_values=check_values)
        return self.log_scale.exp() * self.encode_image(pixels) @ texts_be.T


def fit_pairs(entry: ModelEntry, input_shape: tuple[int, ...], num_outputs: int) -> dict[str, Scalar]:
    """``fit`` of models of pictures and texts: (channels, side, side, tokens), and the vocabulary."""
    if len(input_shape) != 4 or input_shape[1] != input_shape[2]:
        raise UsageError(
            f"{entry.name} cannot take this data",
            got=f"inputs of shape {list(input_shape)}",
            expected="square images with texts [channels, size, size, tokens]",
        )
    channels, side, _, tokens = input_shape
    patch = entry.preset["patch"]
    assert isinstance(patch, int)
    return {
        "image": side,
        "channels": channels,
        "patch": fitting_patch(side, patch),
        "context": tokens,
        "vocabulary": num_outputs,
    }


CLIP_FAMILY = Family(
    landmark=Landmark(
        name="clip",
        title="CLIP",
        family="transformer",
        year=2021,
        paper="Radford et al. 2021, Learning Transferable Visual Models From Natural Language Supervision",
        constraint="data",
        summary="captions of 400 million pictures stand in for labels: any words become a classifier",
        proof="outputs, loss and gradients equal transformers' CLIPModel on loud weights, with mutations; folders "
        "that it saved are read (tests/models/test_clip.py)",
    ),
    task="image-text",
    spec_type=CLIPSpec,
    module=CLIP,
    fit=fit_pairs,
    inputs=lambda spec: (
        Input((spec.channels, spec.image, spec.image)),
        Input((spec.context,), vocabulary=spec.vocabulary, context=spec.context),
    ),
    dial="vision_width",
    dial_multiple=lambda spec: spec.vision_heads,
)


def _base(*, patch: int) -> CLIPSpec:
    return CLIPSpec(
        patch=patch, vision_width=768, vision_layers=12, vision_heads=12,
        text_width=512, text_layers=12, text_heads=8, embedding=512,
    )  # fmt: skip


def _large(*, image: int) -> CLIPSpec:
    return CLIPSpec(
        image=image, patch=14, vision_width=1024, vision_layers=24, vision_heads=16,
        text_width=768, text_layers=12, text_heads=12, embedding=768,
    )  # fmt: skip


@CLIP_FAMILY.preset("paper", parameters=151_277_313)
def clip_b32() -> CLIPSpec:
    """ViT-B/32 (table 20)."""
    return _base(patch=32)


@CLIP_FAMILY.preset("paper", parameters=149_620_737)
def clip_b16() -> CLIPSpec:
    """ViT-B/16 (table 20)."""
    return _base(patch=16)


@CLIP_FAMILY.preset("paper", parameters=427_616_513)
def clip_l14() -> CLIPSpec:
    """ViT-L/14 (table 20)."""
    return _large(image=224)


@CLIP_FAMILY.preset("paper", name="clip-l14-336", parameters=427_944_193)
def clip_l14_336() -> CLIPSpec:
    """ViT-L/14 at 336 pixels (table 20): the paper's best."""
    return _large(image=336)


@CLIP_FAMILY.preset("laptop")
def clip_small() -> CLIPSpec:
    """Three blocks of width 64 a tower, for 16x16 pictures and captions of a few words."""
    return CLIPSpec(
        image=16, patch=4, channels=1, vision_width=64, vision_layers=3, vision_heads=4, vision_inner=128,
        vocabulary=40, context=12, text_width=64, text_layers=2, text_heads=4, text_inner=128, embedding=32,
    )  # fmt: skip


register(
    Published(
        model_type="clip",
        architectures=("CLIPModel",),
        spec=lambda config: CLIPSpec(**_clip_names.settings_from_config(config)),
        weights=_clip_names.weights_from_tensors,
        module=CLIP,
        ignored=("*.position_ids",),  # buffers of older files
    )
)
