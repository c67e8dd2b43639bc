"""Weights and training state in and out of folders: nothing pickled, half-written or damaged.

    manifest   which files belong to a folder, with size and SHA-256; protects itself
    folders    writes a whole folder or none; finds the newest whole one
    tensors    a model's and an optimizer's state as named tensors, and back, with every shape checked
    weights    the final weights of a run
    integers   weights of 8 or 4 bits, and how they lie in a file
    hugging_face   a folder in Hugging Face's layout: config.json and safetensors, whole or sharded

Knows no recipe, no run store and no training loop.
"""

from sevenfold.checkpoints._writing import write_file
from sevenfold.checkpoints.folders import (
    Checkpoint,
    checkpoint_folders,
    load_checkpoint,
    load_newest,
    remove_checkpoints,
    save_checkpoint,
)
from sevenfold.checkpoints.tensors import (
    model_tensors,
    optimizer_tensors,
    restore_model,
    restore_optimizer,
)
from sevenfold.checkpoints.weights import load_weights, save_weights, weights_path

__all__ = [
    "Checkpoint",
    "checkpoint_folders",
    "load_checkpoint",
    "load_newest",
    "load_weights",
    "model_tensors",
    "optimizer_tensors",
    "remove_checkpoints",
    "restore_model",
    "restore_optimizer",
    "save_checkpoint",
    "save_weights",
    "weights_path",
    "write_file",
]
