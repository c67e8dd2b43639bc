"""A checkpoint folder in Hugging Face's layout: ``config.json`` beside safetensors, whole or sharded.

    folder/
      config.json                         what the model is
      model.safetensors                   its tensors, or
      model.safetensors.index.json        which of model-00001-of-0000N.safetensors holds which tensor
      tokenizer.json                      optional

The diffusers library writes ``diffusion_pytorch_model`` for ``model`` in these names, and ``_class_name`` in place
of ``model_type`` and ``architectures``.

Tensors are read when they are asked for. Nothing is unpickled: a folder with ``pytorch_model.bin`` alone is
refused. Knows no model. The layout is the one that ``save_pretrained`` of the transformers library writes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from sevenfold.errors import CheckpointError, InputFileError

__all__ = ["CONFIG", "TOKENIZER", "HuggingFaceFolder", "is_hugging_face_folder", "open_folder"]

CONFIG = "config.json"
TOKENIZER = "tokenizer.json"
_WHOLE = "model.safetensors"
_INDEX = "model.safetensors.index.json"
_DIFFUSERS = "diffusion_pytorch_"
_PICKLED = ("pytorch_model.bin", "pytorch_model.bin.index.json", f"{_DIFFUSERS}model.bin")


class LazyTensors(Mapping[str, Tensor]):
    """Tensors by name, each read from its file when it is asked for; names, shapes and dtypes cost nothing."""

    def __init__(self, places: Mapping[str, Path], files: Mapping[Path, Any]) -> None:
        self._places = dict(places)
        self._files = dict(files)

    def __getitem__(self, name: str) -> Tensor:
        path = self._places[name]
        try:
            tensor: Tensor = self._files[path].get_tensor(name)
        except (SafetensorError, OSError, ValueError) as error:
            raise _damaged(path, error) from None
        return tensor

    def __contains__(self, name: object) -> bool:
        return name in self._places

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a tensor, from the head of its file."""
        return tuple(self._files[self._places[name]].get_slice(name).get_shape())

    def dtype(self, name: str) -> str:
        """The dtype of a tensor as safetensors writes it ("F32", "BF16"), from the head of its file."""
        return str(self._files[self._places[name]].get_slice(name).get_dtype())


@dataclass(frozen=True)
class HuggingFaceFolder:
    """What lies in a folder: the configuration, the tensors (not read yet), and where a tokenizer is."""

    path: Path
    config: Mapping[str, Any]
    tensors: LazyTensors
    files: tuple[Path, ...]
    tokenizer: Path | None

    @property
    def model_type(self) -> str:
        """``model_type`` of config.json ("gpt2"), or ``_class_name`` ("UNet2DModel")."""
        return str(self.config.get("model_type") or self.config["_class_name"])

    @property
    def architecture(self) -> str | None:
        """The first of ``architectures`` of config.json ("GPT2LMHeadModel"), None where it names none."""
        named = self.config.get("architectures") or [None]
        return None if named[0] is None else str(named[0])


def is_hugging_face_folder(path: Path) -> bool:
    """Whether a folder has a config.json."""
    return (path / CONFIG).is_file()


def open_folder(path: str | os.PathLike[str]) -> HuggingFaceFolder:
    """Open a checkpoint folder without reading a tensor.

    >>> open_folder("/no/such/folder")
    Traceback (most recent call last):
    sevenfold.errors.InputFileError: no checkpoint folder: got /no/such/folder (no such folder), expected a ...

    Raises InputFileError for a folder or file that is missing, CheckpointError for one that is damaged or pickled.
    """
    root = Path(path).expanduser()
    if not root.is_dir():
        raise InputFileError(
            "no checkpoint folder",
            got=f"{root} ({'a file' if root.is_file() else 'no such folder'})",
            expected="a folder with config.json and model.safetensors",
        )
    config = _read_json(root / CONFIG, "a folder with config.json and model.safetensors")
    if not isinstance(config.get("model_type") or config.get("_class_name"), str):
        raise CheckpointError(
            "a checkpoint does not say what it is",
            got=f"{root / CONFIG} without model_type",
            expected='a model_type such as "gpt2", or a _class_name such as "UNet2DModel"',
        )
    tensors, files = _open_tensors(root)
    tokenizer = root / TOKENIZER
    return HuggingFaceFolder(root, config, tensors, files, tokenizer if tokenizer.is_file() else None)


def _open_tensors(root: Path) -> tuple[LazyTensors, tuple[Path, ...]]:
    for whole in (root / _WHOLE, root / (_DIFFUSERS + _WHOLE)):
        if whole.is_file():
            file = _open(whole)
            return LazyTensors(dict.fromkeys(file.keys(), whole), {whole: file}), (whole,)
    for index in (root / _INDEX, root / (_DIFFUSERS + _INDEX)):
        if index.is_file():
            return _open_shards(root, index)
    pickled = next((name for name in _PICKLED if (root / name).is_file()), None)
    raise CheckpointError(
        "pickled weights are not read, since reading them can run any program"
        if pickled
        else "a folder without weights",
        got=str(root / pickled) if pickled else str(root),
        expected=f"{_WHOLE}, or {_INDEX} and its shards",
        hint="model.save_pretrained(folder) of transformers, which writes safetensors" if pickled else None,
    )


def _open_shards(root: Path, index: Path) -> tuple[LazyTensors, tuple[Path, ...]]:
    listed = _read_json(index, "the index of the shards").get("weight_map")
    if not isinstance(listed, dict) or not listed:
        raise CheckpointError("a checkpoint's index is damaged", got=f"{index} without weight_map")
    for name in set(listed.values()):
        if not isinstance(name, str) or name != Path(name).name or name in ("", ".", ".."):
            raise CheckpointError(
                "a checkpoint's index is damaged", got=f"{index} naming {name!r}", expected="a file beside it"
            )
    paths = sorted({root / name for name in listed.values()})
    for path in paths:
        if not path.is_file():
            raise CheckpointError(
                "a shard of a checkpoint is missing",
                got=str(path),
                expected=f"{len(paths)} shards, as {index.name} lists them",
            )
    files = {path: _open(path) for path in paths}
    for path, file in files.items():
        held, wanted = set(file.keys()), {name for name, shard in listed.items() if root / shard == path}
        if held != wanted:
            differing = sorted(held ^ wanted)[0]
            raise CheckpointError(
                "a shard holds other tensors than its index says",
                got=f"{path} {'with' if differing in held else 'without'} {differing!r}",
                expected=f"the {len(wanted)} tensors that {index.name} lists",
            )
    return LazyTensors({name: root / shard for name, shard in listed.items()}, files), tuple(paths)


def _open(path: Path) -> Any:
    try:
        return safe_open(path, framework="pt")
    except (SafetensorError, OSError, ValueError) as error:
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> CheckpointError:
    return CheckpointError(
        "a checkpoint file is damaged",
        got=f"{path} ({error})",
        expected="a whole safetensors file",
        hint="copying it again",
    )


def _read_json(path: Path, expected: str) -> dict[str, Any]:
    try:
        read = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise InputFileError("a checkpoint file is missing", got=str(path), expected=expected) from None
    except (OSError, ValueError) as error:
        raise CheckpointError("a checkpoint file is damaged", got=f"{path} ({error})", expected="JSON") from None
    if not isinstance(read, dict):
        raise CheckpointError(
            "a checkpoint file is damaged", got=f"{path} holding a {type(read).__name__}", expected="a JSON object"
        )
    return read
