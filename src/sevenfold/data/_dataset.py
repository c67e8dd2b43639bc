"""What a data set is: three splits that never overlap, and where they come from.

It must not know files, how a text becomes tokens, or how a split is drawn.
Shapes: N items, B items of a batch, T tokens of a window.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field

from sevenfold.spec import Spec

if TYPE_CHECKING:
    from sevenfold.data._tokenizing import TextTokenizer

__all__ = [
    "CaptionChecker",
    "CaptionTokens",
    "Dataset",
    "ExampleSplit",
    "Inputs",
    "Prompting",
    "Provenance",
    "Split",
    "WindowSplit",
    "moved",
    "parts_of",
]

Indices = npt.NDArray[np.int64]
#: What a model is called with: one tensor, or several, whose first axis is the batch.
Inputs = torch.Tensor | tuple[torch.Tensor, ...]


def parts_of(inputs: Inputs) -> tuple[torch.Tensor, ...]:
    """The tensors of the inputs, to call ``model(*parts_of(inputs))``."""
    return (inputs,) if isinstance(inputs, torch.Tensor) else inputs


def moved(inputs: Inputs, device: torch.device | str, *, pin: bool = False) -> Inputs:
    """The inputs on a device; ``pin`` lets the copy to an accelerator go on while the host does."""
    tensors = tuple((t.pin_memory() if pin else t).to(device, non_blocking=pin) for t in parts_of(inputs))
    return tensors[0] if isinstance(inputs, torch.Tensor) else tensors


class Provenance(Spec):
    """Where the data comes from; stored with every run."""

    name: str = Field(description="name of the data set")
    source: str = Field(description="where it was read")
    licence: str = Field(description="licence of the data, as far as its source states one")
    num_examples: int = Field(ge=1, description="items in all three splits together, before a subset is taken")
    sha256: str = Field(description="SHA-256 of what was read")
    version: str = Field(description="version of the package that brought it, or - where there is none")
    notes: str = Field(default="", description="scaling, removed duplicates, vocabulary, and the like")


class Split(ABC):
    """Items that are served by index: ``batch([3, 0])`` is (inputs [B, ...], targets [B, ...]).

    Inputs may be several tensors, for a model that takes several; the shapes of each task stand in
    `sevenfold.training.objectives`.
    """

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def batch(self, indices: Indices) -> tuple[Inputs, torch.Tensor]:
        """Inputs and targets of some items, in the order of the indices (int64, each in range(len))."""

    @abstractmethod
    def take(self, indices: Indices) -> Self:
        """The split that holds these items only, renumbered from 0."""

    @abstractmethod
    def to(self, device: torch.device | str) -> Self:
        """The split with its tensors on a device, so that batches need no copy from the host."""

    @property
    def copies(self) -> int:
        """How many items show the same content: i, i + len / copies, ... A subset keeps all of them, or none."""
        return 1

    @property
    def inputs(self) -> Inputs:
        """All inputs [N, ...], as batch would give them."""
        return self.batch(np.arange(len(self)))[0]

    @property
    def targets(self) -> torch.Tensor:
        """All targets [N, ...], as batch would give them."""
        return self.batch(np.arange(len(self)))[1]


@dataclass(frozen=True, eq=False)
class ExampleSplit(Split):
    """Examples of one shape with a class each; inputs [N, ...] float32, or uint8, divided by 255 when served."""

    stored_inputs: torch.Tensor
    stored_targets: torch.Tensor  # [N] int64

    def __len__(self) -> int:
        return self.stored_targets.shape[0]

    def batch(self, indices: Indices) -> tuple[torch.Tensor, torch.Tensor]:
        rows = torch.from_numpy(indices).to(self.stored_targets.device)
        inputs = self.stored_inputs.index_select(0, rows)
        if inputs.dtype == torch.uint8:
            inputs = inputs.float().div_(255)
        return inputs, self.stored_targets.index_select(0, rows)

    def take(self, indices: Indices) -> ExampleSplit:
        rows = torch.from_numpy(indices).to(self.stored_targets.device)
        return ExampleSplit(self.stored_inputs.index_select(0, rows), self.stored_targets.index_select(0, rows))

    def to(self, device: torch.device | str) -> ExampleSplit:
        return ExampleSplit(self.stored_inputs.to(device), self.stored_targets.to(device))


@dataclass(frozen=True, eq=False)
class WindowSplit(Split):
    """Windows of T tokens over one stream; the target of each token is the next one.

    Window i covers tokens i * T to i * T + T as inputs, and the same moved on by one as targets: no token is
    predicted twice.
    """

    tokens: torch.Tensor  # [stream] int32
    context: int
    starts: Indices = field(repr=False)  # [N] windows kept, as multiples of the context

    @classmethod
    def over(cls, tokens: torch.Tensor, context: int) -> WindowSplit:
        """All whole windows of a stream."""
        num_windows = max(0, (tokens.shape[0] - 1) // context)
        return cls(tokens, context, np.arange(num_windows, dtype=np.int64))

    def __len__(self) -> int:
        return len(self.starts)

    def batch(self, indices: Indices) -> tuple[torch.Tensor, torch.Tensor]:
        # A view: row i is tokens[i * T : i * T + T + 1].
        windows = self.tokens.unfold(0, self.context + 1, self.context)
        rows = torch.from_numpy(self.starts[indices]).to(self.tokens.device)
        chosen = windows.index_select(0, rows).long()
        return chosen[:, :-1], chosen[:, 1:]

    def take(self, indices: Indices) -> WindowSplit:
        return WindowSplit(self.tokens, self.context, self.starts[indices])

    def to(self, device: torch.device | str) -> WindowSplit:
        return replace(self, tokens=self.tokens.to(device))


class CaptionTokens(ABC):
    """Captions of a data set of pictures as tokens, and back."""

    @abstractmethod
    def tokens(self, texts: Sequence[str]) -> torch.Tensor:
        """Tokens [N, T] int64; raises UsageError for a text that is no caption."""

    @abstractmethod
    def texts(self, tokens: torch.Tensor) -> list[str]:
        """The captions that tokens [N, T] stand for."""


class CaptionChecker(ABC):
    """Tells whether pictures show what their captions say; it belongs to a data set of pictures with captions."""

    @abstractmethod
    def fits(self, images: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        """[N] booleans: the picture [C, H, W] in 0 to 1 shows all that the caption [T] says."""

    @abstractmethod
    def parts_right(self, images: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        """[N] float64: the share of what the caption says that the picture shows."""


@dataclass(frozen=True)
class Prompting:
    """Of texts that are prompts with answers: how a model is asked, and what it has answered."""

    prompts: tuple[str, ...]  # of the validation split
    tokens: Callable[[str], list[int]]  # what the model goes on from; UsageError for a word that it does not know
    answer: Callable[[Sequence[int]], str]  # the text of the tokens that it went on with
    end: int  # the token that ends an answer


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set, ready to train on."""

    name: str
    task: str
    input_shape: tuple[int, ...]  # (channels, height, width), (features,), (context,), or as the task says
    num_outputs: int  # classes, or the vocabulary
    train: Split
    validation: Split
    test: Split
    provenance: Provenance
    unit: Literal["example", "token"] = "example"
    examples_per_item: int = 1  # units in an item: 1, or the tokens of a window
    #: UTF-8 bytes a token stands for, by split ("train": of the whole training split). Loss in bits per byte, which
    #: can be compared across vocabularies, is loss_nats / ln 2 / bytes_per_token. Empty where items are no text.
    bytes_per_token: Mapping[str, float] = field(default_factory=dict)
    num_train_whole: int = 0  # items of the training split before a subset was taken
    tokenizer: TextTokenizer | None = None  # of a text: how tokens were made of it
    prompting: Prompting | None = None  # of prompts with answers: how a model is asked
    checker: CaptionChecker | None = None  # of captioned pictures: whether a picture shows what a caption says
    captions: CaptionTokens | None = None  # of captioned pictures: texts to tokens and back
    #: Of two domains without pairs whose true translation is known: source images [B, C, H, W] as targets.
    translation: Callable[[torch.Tensor], torch.Tensor] | None = None
    unlabelled: int = 0  # examples without labels beside each labelled one of the training split
    levels: int | None = None  # of images to sample: how many values a pixel can have, 0 to 1 in equal steps

    def with_train(self, train: Split) -> Dataset:
        """The same data set with another training split (a subset of it)."""
        return replace(self, train=train)
