"""``sevenfold load`` on folders that transformers itself saved, one of every model type that a landmark reads.

That outputs equal the peer's is held by each landmark's own tests; here every type comes through the verb: sharded,
as stored and in bfloat16, and with one tensor of another shape.
"""

from __future__ import annotations

import json
import re
import warnings

import pytest
import safetensors.torch
import torch

import sevenfold
from sevenfold.errors import CheckpointError
from sevenfold.models import _published

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    transformers = pytest.importorskip("transformers")

TEXT = {
    "vocab_size": 60,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
}
SMALL_TEXT = TEXT | {"vocab_size": 60, "max_position_embeddings": 20}
CONFIGS = {
    "gpt2": ("GPT2LMHeadModel", {"vocab_size": 60, "n_positions": 20, "n_embd": 16, "n_layer": 2, "n_head": 2}),
    "bert": ("BertForPreTraining", SMALL_TEXT),
    "roberta": ("RobertaForMaskedLM", SMALL_TEXT),
    "t5": (
        "T5ForConditionalGeneration",
        {"vocab_size": 60, "d_model": 16, "d_kv": 8, "d_ff": 24, "num_layers": 2, "num_heads": 2},
    ),
    "llama": ("LlamaForCausalLM", SMALL_TEXT | {"num_key_value_heads": 1}),
    "mixtral": (
        "MixtralForCausalLM",
        SMALL_TEXT | {"num_key_value_heads": 1, "num_local_experts": 4, "num_experts_per_tok": 2},
    ),
    "vit": ("ViTForImageClassification", TEXT | {"image_size": 16, "patch_size": 8, "num_labels": 5}),
    "clip": (
        "CLIPModel",
        {
            "projection_dim": 12,
            "text_config": SMALL_TEXT | {"eos_token_id": 59, "bos_token_id": 58},
            "vision_config": TEXT | {"image_size": 16, "patch_size": 8},
        },
    ),
    "resnet": (
        "ResNetForImageClassification",
        {"embedding_size": 4, "hidden_sizes": [16, 32], "depths": [1, 1], "num_labels": 5},
    ),
}


def saved(kind, folder):
    name, settings = CONFIGS[kind]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model_class = getattr(transformers, name)
        config = model_class.config_class(**settings)
        torch.manual_seed(0)
        model = model_class(config)
        model.save_pretrained(folder, max_shard_size="12KB")
    return folder


def test_every_type_that_is_read_is_here():
    from sevenfold.models import MODELS

    MODELS.names()
    of_diffusers = {kind for kind in _published.PUBLISHED if kind[0].isupper()}  # classes, not model types
    assert of_diffusers == {"UNet2DModel", "UNet2DConditionModel", "AutoencoderKL", "VQModel", "PriorTransformer"}
    assert set(_published.PUBLISHED) - of_diffusers == set(CONFIGS)


@pytest.mark.parametrize("kind", sorted(CONFIGS))
def test_a_sharded_folder_is_read_and_looked_at(kind, tmp_path):
    folder = saved(kind, tmp_path)
    assert (folder / "model.safetensors.index.json").is_file()
    report = sevenfold.load(folder).report()
    assert report.model_type == kind
    assert report.architecture == CONFIGS[kind][0]
    assert report.landmark is not None
    assert "gives finite values of shape" in report.checks[-1]
    lower = sevenfold.load(folder, dtype="bfloat16").report()
    assert lower.dtypes == ("bfloat16",)
    assert "gives finite values of shape" in lower.checks[-1]


@pytest.mark.parametrize("kind", sorted(CONFIGS))
def test_one_tensor_of_another_shape_names_the_layer(kind, tmp_path):
    folder = saved(kind, tmp_path)
    index = json.loads((folder / "model.safetensors.index.json").read_text())["weight_map"]
    name = next(name for name in index if re.search(r"(norm|ln_f)[^.]*\.weight$", name.lower()))
    shard = folder / index[name]
    tensors = safetensors.torch.load_file(shard)
    tensors[name] = torch.zeros(7)
    safetensors.torch.save_file(tensors, shard, {"format": "pt"})
    with pytest.raises(CheckpointError, match=r"does not fit .*got \[7\], expected \[\d+\]") as caught:
        sevenfold.load(folder)
    assert re.search(r"'[a-z_.0-9]+\.weight'", caught.value.message)
