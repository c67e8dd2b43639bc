"""``hugging-face:NAME``: a data set of the Hugging Face hub, or of a folder, through the ``datasets`` package.

>>> load(DataChoice(name="hugging-face:uoft-cs/cifar10", settings={"image": "img"}), task="classification")
... # doctest: +SKIP

NAME is ``owner/name`` on the hub (which needs a network the first time), or the path of a folder: one that the
package's ``save_to_disk`` wrote, or one with parquet, csv, json or image files. Images serve classification and
generation, a text column causal-lm, masked-lm and seq2seq (spans), two text columns seq2seq. Splits are the data
set's own; one that it does not have is held out of training by row, without a search for equal rows. Code that a
data set brings is never run.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from pydantic import Field

from sevenfold.data._catalogue import DATASETS, DatasetEntry
from sevenfold.data._dataset import Dataset, Provenance
from sevenfold.data._generation import Conditioning, for_task
from sevenfold.data._labels_kept import LabelsKept, keep_labels
from sevenfold.data._row_images import RowImages, labels_of
from sevenfold.data._row_pairs import RowPairs, Texts, framed
from sevenfold.data._row_texts import learned_encoding, stored_stream
from sevenfold.data._rows import Part, Rows, column, find, fingerprint, share_out
from sevenfold.data._text import DEFAULT_BPE, TextSettings, Unsplit, check_text_settings, windowed
from sevenfold.data._tokenizing import TextTokenizer, byte_pairs, characters
from sevenfold.errors import UsageError

__all__ = ["HubSettings"]

_PREFIX = "hugging-face:"
_DEFAULT_VOCABULARY = 8192
_IMAGE_TASKS = ("classification", "generation", "contrastive")
_OF_IMAGES = ("image", "label", "classes", "size", "grayscale", "condition", "labels", "unlabelled")
_OF_TEXT = ("text", "tokenizer", "vocabulary", "context", "hidden_share", "masks", "span")
_OF_PAIRS = ("source", "target", "tokenizer", "vocabulary", "longest")


class HubSettings(TextSettings, Conditioning, LabelsKept):
    """How rows become a data set."""

    config: str | None = Field(
        default=None, description="configuration of the data set, such as de-en or wikitext-103-v1"
    )
    revision: str | None = Field(default=None, description="commit or tag on the hub; none is the newest")
    train: str | None = Field(default=None, description="split to train on; none is train")
    validation: str | None = Field(
        default=None, description="split for validation; none is validation, else a share of the training split"
    )
    test: str | None = Field(
        default=None, description="split for the final test; none is test, else a share of the training split"
    )
    image: str = Field(default="image", description="classification: column of the images")
    label: str = Field(default="label", description="classification: column of the class numbers")
    classes: int | None = Field(
        default=None, ge=2, description="classification: how many; none is as the column says"
    )
    size: int | None = Field(default=None, ge=1, description="classification: pixels of the square that is cut out")
    grayscale: bool | None = Field(
        default=None, description="one channel (true), three (false), none: as the first image"
    )
    text: str = Field(default="text", description="column of the text")
    source: str | None = Field(default=None, description="seq2seq: column of the source, such as translation.de")
    target: str | None = Field(default=None, description="seq2seq: column of the target, such as translation.en")
    longest: int = Field(default=128, ge=1, description="seq2seq: pairs with more tokens on a side are left out")


def _find_rows(name: str) -> DatasetEntry | None:
    if not name.startswith(_PREFIX):
        return None
    return DatasetEntry(
        name=name,
        tasks=("classification", "generation", "contrastive", "causal-lm", "masked-lm", "seq2seq"),
        summary=f"{name.removeprefix(_PREFIX)}, through the package datasets",
        settings=HubSettings,
        read=partial(_read, name.removeprefix(_PREFIX)),
    )


def _read(name: str, settings: HubSettings, split_seed: int, task: str) -> Dataset:
    if not name:
        raise UsageError("a data set of the hub needs its name", got=_PREFIX, expected=f"{_PREFIX}owner/name")
    pairs = settings.source is not None or settings.target is not None
    _check_settings(settings, task, pairs)
    named: Mapping[Part, str | None] = {
        "train": settings.train, "validation": settings.validation, "test": settings.test,
    }  # fmt: skip
    shares: Mapping[Part, float] = {"validation": settings.validation_share, "test": settings.test_share}
    tables = find(name, settings.config, settings.revision)
    parts = share_out(tables, named, shares, split_seed)
    facts = _facts(name, settings, parts)
    if task in _IMAGE_TASKS:
        unlabelled = task == "generation" and settings.condition == "none"
        images = for_task(task, _images(facts, parts, settings, unlabelled), settings)
        return keep_labels(images, settings)
    if pairs:
        return _pairs(facts, parts, settings)
    return _texts(facts, parts, settings, split_seed, task)


def _check_settings(settings: HubSettings, task: str, pairs: bool) -> None:
    """A setting that would be passed over is an error."""
    own = _OF_IMAGES if task in _IMAGE_TASKS else _OF_PAIRS if pairs else _OF_TEXT
    if pairs and task != "seq2seq":
        raise UsageError("source and target are for another task", got=f"task {task}", expected="seq2seq")
    if pairs and (settings.source is None or settings.target is None):
        missing = "source" if settings.source is None else "target"
        raise UsageError("pairs have two columns", got=f"no {missing}", hint=f"--set data.{missing}=translation.en")
    for key in sorted(settings.model_fields_set & {*_OF_IMAGES, *_OF_TEXT, *_OF_PAIRS} - {*own}):
        if getattr(settings, key) != HubSettings.model_fields[key].default:
            raise UsageError(f"{key} means nothing for this data", got=f"task {task}", expected=", ".join(own))


def _facts(name: str, settings: HubSettings, parts: Mapping[Part, Rows]) -> Provenance:
    info = parts["train"].table.info
    sizes = ", ".join(f"{len(parts[part]):,} {part}" for part in ("train", "validation", "test"))
    return Provenance(
        name=_PREFIX + name,
        source=f"{name}{'' if settings.config is None else ', ' + settings.config}"
        f"{'' if settings.revision is None else ' at ' + settings.revision}",
        licence=str(info.license or "unknown"),
        num_examples=sum(len(rows) for rows in parts.values()),
        sha256=fingerprint(parts),
        version=str(info.version or "-"),
        notes=f"{sizes} rows; SHA-256 over the columns, sizes and a thousand rows of each split",
    )


def _images(
    facts: Provenance, parts: Mapping[Part, Rows], settings: HubSettings, unlabelled: bool = False
) -> Dataset:
    _require(parts["train"], settings.image, "image", "Image")
    labels = None if unlabelled else column(parts["train"], settings.label, "label")
    classes = 1 if unlabelled else settings.classes or getattr(labels, "num_classes", None)
    if classes is None:
        raise UsageError(
            f"column {settings.label!r} does not say how many classes there are",
            got=str(labels),
            expected="a ClassLabel",
            hint="--set data.classes=1000",
        )
    first = parts["train"].take(np.zeros(1, dtype=np.int64)).values(settings.image)[0]
    size = settings.size or min(first.size)
    grayscale = first.mode in ("1", "L", "LA") if settings.grayscale is None else settings.grayscale

    def told(rows: Rows, part: Part) -> torch.Tensor:
        if unlabelled:
            return torch.zeros(len(rows), dtype=torch.int64)
        return labels_of(rows, settings.label, classes, part)

    splits = {
        part: RowImages(rows, settings.image, told(rows, part), size, grayscale) for part, rows in parts.items()
    }
    known = "no" if unlabelled else classes
    notes = f"{known} classes; shorter side to {size} pixels, middle square, divided by 255; {facts.notes}"
    return Dataset(
        name=facts.name,
        task="classification",
        input_shape=(1 if grayscale else 3, size, size),
        num_outputs=classes,
        train=splits["train"],
        validation=splits["validation"],
        test=splits["test"],
        provenance=facts.with_changes({"notes": notes}),
        num_train_whole=len(splits["train"]),
    )


def _texts(
    facts: Provenance, parts: Mapping[Part, Rows], settings: HubSettings, split_seed: int, task: str
) -> Dataset:
    check_text_settings(settings, task)
    _require(parts["train"], settings.text, "text", "string")
    encoding, learned = learned_encoding(parts, settings.text, settings, settings.vocabulary or DEFAULT_BPE)
    made_of = {
        "tokenizer": settings.tokenizer,
        "vocabulary": encoding.vocabulary,
        "learned": learned,
        "rows": facts.sha256,
        "seed": split_seed,
    }
    streams = {
        str(part): stored_stream(rows, settings.text, encoding, {**made_of, "part": part})
        for part, rows in parts.items()
    }
    read = Unsplit(
        name=facts.name,
        documents=(),
        source=facts.source,
        licence=facts.licence,
        sha256=facts.sha256,
        version=facts.version,
        notes=f"{facts.notes}; {learned}",
    )
    return windowed(read, encoding, streams, settings, split_seed, task)


def _pairs(facts: Provenance, parts: Mapping[Part, Rows], settings: HubSettings) -> Dataset:
    assert settings.source is not None
    assert settings.target is not None
    _check_memory(parts)
    texts = {}
    for part, rows in parts.items():
        for path, setting in ((settings.source, "source"), (settings.target, "target")):
            column(rows, path, setting)
        texts[part] = rows.values(settings.source), rows.values(settings.target)
    if settings.tokenizer == "char":
        encoding = framed(characters("".join(text for both in texts.values() for side in both for text in side)))
    else:
        training = "\n".join(text for side in texts["train"] for text in side)
        encoding = framed(byte_pairs(training, settings.vocabulary or _DEFAULT_VOCABULARY))
    splits = {part: _encoded(*both, encoding, settings.longest) for part, both in texts.items()}
    left_out = sum(len(parts[part]) - len(split) for part, split in splits.items())
    if not all(len(split) for split in splits.values()):
        raise UsageError(
            "a split has no pair that is short enough",
            got=f"longest {settings.longest}",
            hint="--set data.longest=256",
        )
    longest = tuple(max(side(split) for split in splits.values()) for side in (_longest_source, _longest_target))
    notes = f"{encoding.notes}; {left_out:,} pairs of more than {settings.longest} tokens left out; {facts.notes}"
    return Dataset(
        name=facts.name,
        task="seq2seq",
        input_shape=longest,
        num_outputs=encoding.vocabulary,
        train=splits["train"],
        validation=splits["validation"],
        test=splits["test"],
        provenance=facts.with_changes({"notes": notes}),
        num_train_whole=len(splits["train"]),
        tokenizer=TextTokenizer(encoding),
    )


def _encoded(sources: list[str], targets: list[str], encoding: Any, longest: int) -> RowPairs:
    kept_source, kept_target = [], []
    for source, target in zip(sources, targets, strict=True):
        pair = encoding.encode(source), encoding.encode(target)
        if 0 < len(pair[0]) <= longest and 0 < len(pair[1]) < longest:  # the end is a token of the target too
            kept_source.append(pair[0])
            kept_target.append(pair[1])
    return RowPairs(Texts.of(kept_source), Texts.of(kept_target), np.arange(len(kept_source), dtype=np.int64))


def _longest_source(split: RowPairs) -> int:
    return split.source.longest


def _longest_target(split: RowPairs) -> int:
    return split.target.longest + 1


def _check_memory(parts: Mapping[Part, Rows]) -> None:
    """Pairs are held as a whole: about four times their bytes, as Python's own and as tokens."""
    needed = 4 * sum(rows.table.data.nbytes for rows in parts.values())
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if needed > machine:
        raise UsageError(
            "the pairs would not fit in memory",
            got=f"about {needed / 1e9:.0f} GB",
            expected=f"at most {machine / 1e9:.0f} GB, this machine's memory",
            hint="a smaller config of the data set",
        )


def _require(rows: Rows, path: str, setting: str, kind: str) -> None:
    feature = column(rows, path, setting)
    named = getattr(feature, "dtype", None) if kind == "string" else type(feature).__name__
    if named not in ((kind, "large_string") if kind == "string" else (kind,)):
        raise UsageError(
            f"column {path!r} holds something else",
            got=str(feature),
            expected=kind,
            hint=f"--set data.{setting}=COLUMN",
        )


DATASETS.add_finder(_find_rows)
