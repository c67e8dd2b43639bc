"""The action behind ``sevenfold load``: a checkpoint folder becomes our module with its weights.

Two kinds of folder: Hugging Face's (config.json and safetensors, by a landmark's reader), and a finished run of
ours (``runs/RUN_ID`` with weights.safetensors, whose recipe the run store beside it has).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sevenfold.errors import CheckpointError, InputFileError, unknown_name
from sevenfold.spec import Spec

if TYPE_CHECKING:
    import torch
    from torch import nn

    from sevenfold.checkpoints.hugging_face import HuggingFaceFolder
    from sevenfold.data._dataset import Prompting
    from sevenfold.models import ModelEntry
    from sevenfold.models._published import Published

SCHEMA_VERSION = "1.0"
DTYPES = ("bfloat16", "float16", "float32", "float64")


@dataclass(frozen=True)
class LoadReport:
    """What was loaded, and what was looked at."""

    path: str
    kind: Literal["hugging-face", "run"]
    model_type: str  # of config.json; the preset of a run
    architecture: str | None
    landmark: str | None
    preset: str | None  # the preset whose settings these are, if there is one
    settings: Mapping[str, Any]
    parameters: int
    bytes: int
    dtypes: tuple[str, ...]
    tokenizer_vocabulary: int | None  # None where the folder has no tokenizer
    checks: tuple[str, ...]  # what was found right

    def to_dict(self) -> dict[str, Any]:
        """The object that ``--json`` prints."""
        return {"schema_version": SCHEMA_VERSION, **asdict(self)}


@dataclass(frozen=True)
class Loaded:
    """What a checkpoint folder held; ``module, tokenizer = load(path)`` takes the two that matter apart."""

    module: nn.Module  # in evaluation mode
    tokenizer: Any | None  # a tokenizers.Tokenizer, or a run's alike: .encode(text).ids, .decode(ids)
    spec: Spec  # our settings
    model_type: str  # of config.json (the diffusers library's _class_name); the preset of a run
    architecture: str | None
    config: Mapping[str, Any]  # config.json as it was; the recipe of a run
    path: Path
    kind: Literal["hugging-face", "run"] = "hugging-face"
    format: Published | None = None  # how it was read; None for a run
    prompting: Prompting | None = None  # of a run whose texts are prompts with answers: how it is asked

    def __iter__(self) -> Iterator[Any]:
        return iter((self.module, self.tokenizer))

    def report(self) -> LoadReport:
        """What this is, after a look at every weight and one forward pass.

        Raises CheckpointError naming a tensor that is not finite, or a tokenizer that the model has no rows for.
        """
        entry = _entry(self.spec)
        weights = list(self.module.parameters())
        vocabulary = None if self.tokenizer is None else int(self.tokenizer.get_vocab_size())
        return LoadReport(
            path=str(self.path),
            kind=self.kind,
            model_type=self.model_type,
            architecture=self.architecture,
            landmark=_landmark(entry, self.format),
            preset=_preset(self.spec),
            settings=self.spec.to_dict(),
            parameters=sum(weight.numel() for weight in weights),
            bytes=sum(weight.numel() * weight.element_size() for weight in weights),
            dtypes=tuple(sorted({str(weight.dtype).removeprefix("torch.") for weight in weights})),
            tokenizer_vocabulary=vocabulary,
            checks=tuple(_checks(self, entry, vocabulary)),
        )


def load(path: str | os.PathLike[str], *, dtype: str | torch.dtype | None = None) -> Loaded:
    """Our module with the weights of a folder: a Hugging Face checkpoint (sharded too), or a finished run of ours.

    >>> module, tokenizer = load("gpt2-folder")  # doctest: +SKIP
    >>> module(torch.tensor([tokenizer.encode("Hello").ids])).shape  # doctest: +SKIP
    torch.Size([1, 1, 50257])

    Floating weights keep the dtype that is stored, or become ``dtype`` ("bfloat16", "float32", ...). The tokenizer
    is the folder's tokenizer.json, or what a run's text was encoded with; None where there is none. Nothing is
    unpickled.

    Raises InputFileError for a missing folder or file, CheckpointError for a damaged one or for a tensor that is
    missing, unknown or of another shape (naming the layer), UsageError for a model that no landmark reads.
    """
    from sevenfold.checkpoints import weights_path
    from sevenfold.checkpoints.hugging_face import is_hugging_face_folder, open_folder
    from sevenfold.models._published import published, read

    kind = _dtype(dtype)
    root = Path(path).expanduser()
    if weights_path(root).is_file() and not is_hugging_face_folder(root):
        return _load_run(root, kind)
    folder = open_folder(root)
    entry = published(folder.config)
    module = read(entry, folder.config, folder.tensors, source=str(root), dtype=kind)
    return Loaded(
        module=module,
        tokenizer=_tokenizer(folder),
        spec=entry.spec(folder.config),
        model_type=folder.model_type,
        architecture=folder.architecture,
        config=folder.config,
        path=root,
        format=entry,
    )


def _load_run(root: Path, dtype: torch.dtype | None) -> Loaded:
    """The final weights of a run, in the model that its recipe names."""
    from sevenfold.checkpoints import load_weights, restore_model
    from sevenfold.data import load as load_data
    from sevenfold.runs.store import RunStore
    from sevenfold.training.workload import fitted_model

    store = root.absolute().parent.parent / "runs.sqlite"
    record = RunStore(store).record(root.absolute().name) if store.is_file() else None
    if record is None:
        raise InputFileError(
            "the recipe of these weights is not known",
            got=str(root),
            expected=f"a run of {store}",
            hint="the folder runs/RUN_ID where it was trained",
        )
    recipe = record.run_recipe()
    dataset = load_data(recipe.data, task=recipe.data_task, subset_seed=recipe.seed)
    entry, settings = fitted_model(recipe, dataset)
    module = entry.build(settings)
    restore_model(module, load_weights(root), source=str(root))
    return Loaded(
        module=module.to(dtype).eval() if dtype is not None else module.eval(),
        tokenizer=dataset.tokenizer,
        spec=entry.spec(settings),
        model_type=entry.name,
        architecture=None,
        config=recipe.to_dict(),
        path=root,
        kind="run",
        prompting=dataset.prompting,
    )


def _dtype(dtype: str | torch.dtype | None) -> torch.dtype | None:
    import torch

    if dtype is None or isinstance(dtype, torch.dtype):
        return dtype
    if dtype not in DTYPES:
        raise unknown_name("dtype", dtype, DTYPES)
    found: torch.dtype = getattr(torch, dtype)
    return found


def _tokenizer(folder: HuggingFaceFolder) -> Any | None:
    from tokenizers import Tokenizer

    if folder.tokenizer is None:
        return None
    try:
        return Tokenizer.from_file(str(folder.tokenizer))
    except Exception as error:  # the library raises Exception itself
        raise CheckpointError("a tokenizer cannot be read", got=f"{folder.tokenizer} ({error})") from None


def _entry(spec: Spec) -> ModelEntry | None:
    """A preset of the landmark that these settings are of."""
    from sevenfold.models import MODELS

    return next((MODELS[name] for name in MODELS if MODELS[name].spec_type is type(spec)), None)


def _landmark(entry: ModelEntry | None, format: Published | None) -> str | None:
    if entry is not None and entry.landmark is not None:
        return entry.landmark.name
    return None if format is None else format.landmark


def _preset(spec: Spec) -> str | None:
    from sevenfold.models import MODELS

    same = (n for n in MODELS if MODELS[n].spec_type is type(spec) and MODELS[n].preset == spec.to_dict())
    return next(same, None)


def _checks(loaded: Loaded, entry: ModelEntry | None, vocabulary: int | None) -> Iterator[str]:
    import torch

    yield "every tensor of the files has its place, and every weight of the model its tensor"
    for name, tensor in loaded.module.state_dict().items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise CheckpointError(
                "a tensor holds values that are no numbers", got=repr(name), expected="finite values"
            )
    yield "every weight is finite"
    rows = loaded.spec.to_dict().get("vocabulary")
    if vocabulary is not None and rows is not None:
        if vocabulary > int(rows):
            raise CheckpointError(
                "the tokenizer makes tokens that the model has no row for",
                got=f"{vocabulary} tokens",
                expected=f"at most {rows} (vocabulary)",
            )
        yield f"the tokenizer's {vocabulary:,} tokens lie within the vocabulary of {rows:,}"
    if loaded.format is not None and loaded.format.example is not None:
        yield _forward(loaded.module, loaded.format.example(loaded.spec))
    elif entry is not None:
        yield _forward(loaded.module, entry.example(loaded.spec.to_dict(), device="cpu"))


def _forward(module: nn.Module, inputs: tuple[torch.Tensor | None, ...]) -> str:
    """One forward pass on an example; of tokens the first eight."""
    import torch

    kind = next(weight.dtype for weight in module.parameters())
    short = tuple(None if x is None else _short(x, kind) for x in inputs)
    with torch.no_grad():
        output = module(*short)
    if not bool(torch.isfinite(output).all()):
        raise CheckpointError("a forward pass gives values that are no numbers", got=type(module).__name__)
    shapes = " and ".join(str(list(x.shape)) for x in short if x is not None)
    return f"a forward pass on {shapes} gives finite values of shape {list(output.shape)}"


def _short(x: torch.Tensor, kind: torch.dtype) -> torch.Tensor:
    if x.is_floating_point():
        return x.to(kind)
    return x[:, :8] if x.dim() > 1 else x
