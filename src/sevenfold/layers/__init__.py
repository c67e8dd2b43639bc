"""The torch modules that several landmarks share; what only one landmark has stays in that landmark's file."""

from sevenfold.layers.activation import ACTIVATIONS, ActivationName, ScaledTanh
from sevenfold.layers.attention import CausalSelfAttention
from sevenfold.layers.auxiliary import AuxiliaryLoss, AuxiliaryOutputs
from sevenfold.layers.cache import CachedDecoder, KeyValueCache, LayerCache, causal_mask
from sevenfold.layers.checking import require_features, require_images, require_rows, require_tokens
from sevenfold.layers.decoder import FeedForward, PreNormBlock, init_gpt
from sevenfold.layers.encoder import MaskedTokenHead, PositionwiseFeedForward, PostNormBlock, init_bert
from sevenfold.layers.experts import balancing_loss, mixed_by_experts
from sevenfold.layers.generative import (
    Generative,
    Inpaints,
    Interpolates,
    Likelihood,
    OnStep,
    Reconstructs,
    Sampling,
    Translates,
    untold,
)
from sevenfold.layers.grouped_attention import GroupedQueryAttention
from sevenfold.layers.multihead import MultiHeadAttention, reads
from sevenfold.layers.noise import Noise
from sevenfold.layers.players import AfterUpdate, AveragedWeights, OwnUpdate, Played, Player
from sevenfold.layers.relative_positions import RelativePositions
from sevenfold.layers.response_norm import LocalResponseNorm
from sevenfold.layers.rotary import neighbours_from_halves, rotary_angles
from sevenfold.layers.sinusoid import sinusoidal_positions
from sevenfold.layers.swiglu import SwiGLU
from sevenfold.layers.unlabelled import LearnsUnlabelled

__all__ = [
    "ACTIVATIONS",
    "ActivationName",
    "AfterUpdate",
    "AuxiliaryLoss",
    "AuxiliaryOutputs",
    "AveragedWeights",
    "CachedDecoder",
    "CausalSelfAttention",
    "FeedForward",
    "Generative",
    "GroupedQueryAttention",
    "Inpaints",
    "Interpolates",
    "KeyValueCache",
    "LayerCache",
    "LearnsUnlabelled",
    "Likelihood",
    "LocalResponseNorm",
    "MaskedTokenHead",
    "MultiHeadAttention",
    "Noise",
    "OnStep",
    "OwnUpdate",
    "Played",
    "Player",
    "PositionwiseFeedForward",
    "PostNormBlock",
    "PreNormBlock",
    "Reconstructs",
    "RelativePositions",
    "Sampling",
    "ScaledTanh",
    "SwiGLU",
    "Translates",
    "balancing_loss",
    "causal_mask",
    "init_bert",
    "init_gpt",
    "mixed_by_experts",
    "neighbours_from_halves",
    "reads",
    "require_features",
    "require_images",
    "require_rows",
    "require_tokens",
    "rotary_angles",
    "sinusoidal_positions",
    "untold",
]
