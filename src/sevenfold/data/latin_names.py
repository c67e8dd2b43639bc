"""``latin-names``: names of countries and languages in eight languages of Latin script, for masked-lm.

The names are those of the Unicode Common Locale Data Repository, which the ``babel`` package carries. A window is a
name: its first ``context`` characters, filled with spaces. The same name in two of the languages is left out, since
nobody could tell which it is. A country or language is in one split in all eight. `labelled_names` gives the
language of each window too, for what is to be told from features that were learnt without it.

See it work: ``python -m sevenfold.data``.
"""

from __future__ import annotations

import hashlib
import json

import numpy as np
import numpy.typing as npt

from sevenfold.data._catalogue import DATASETS, DatasetEntry
from sevenfold.data._dataset import Dataset
from sevenfold.data._locales import babel_version, locale
from sevenfold.data._splitting import Shares
from sevenfold.data._text import Stream, TextSettings, Unsplit, check_text_settings, windowed
from sevenfold.data._tokenizing import characters
from sevenfold.data.order import order
from sevenfold.errors import UsageError

__all__ = ["LANGUAGES", "labelled_names"]

LANGUAGES = ("de", "es", "fi", "fr", "it", "nl", "pl", "sv")
_PARTS = ("train", "validation", "test")

Named = list[tuple[str, int]]  # name, number of its language


def _items() -> list[Named]:
    """The names of each country and language in every language, without those that two languages share."""
    found: dict[str, dict[str, str]] = {}
    for code in LANGUAGES:
        known = locale(code)
        for kind, names in (("country", known.territories), ("language", known.languages)):
            for item, name in names.items():
                if name.isprintable():
                    found.setdefault(f"{kind} {item}", {})[code] = name
    times: dict[str, int] = {}
    for item in found.values():
        for name in item.values():
            times[name] = times.get(name, 0) + 1
    return [
        [(name, LANGUAGES.index(code)) for code, name in named.items() if times[name] == 1]
        for _, named in sorted(found.items())
    ]


def _shared_out(shares: Shares, seed: int) -> dict[str, Named]:
    """The names of each part in an order of the seed; an item is in one part."""
    shares.checked()
    items = _items()
    shuffled = [items[index] for index in order(seed, 0, 0, len(items), len(items), purpose="splits")]
    first = round(shares.validation_share * len(items))
    second = first + round(shares.test_share * len(items))
    groups = {"validation": shuffled[:first], "test": shuffled[first:second], "train": shuffled[second:]}
    parts = {}
    for number, part in enumerate(_PARTS):
        names = [one for item in groups[part] for one in item]
        places = order(seed, 1 + number, 0, len(names), len(names), purpose="splits")
        parts[part] = [names[place] for place in places]
    return parts


def _read(settings: TextSettings, split_seed: int, task: str) -> Dataset:
    check_text_settings(settings, task)
    if settings.tokenizer != "char":
        raise UsageError(
            "latin-names are read by character", got=f"tokenizer {settings.tokenizer}", expected="char"
        )
    parts = _shared_out(settings, split_seed)
    # One more character than windows hold: a window's target is the next token, which masked-lm does not ask for.
    texts = {
        part: "".join(name[: settings.context].ljust(settings.context) for name, _ in names) + " "
        for part, names in parts.items()
    }
    encoding = characters("".join(texts.values()))
    streams = {part: Stream(encoding.encode(text), len(text.encode()), len(text)) for part, text in texts.items()}
    text = Unsplit(
        name="latin-names",
        documents=(),
        source="Unicode Common Locale Data Repository, as the babel package carries it",
        licence="Unicode-3.0 (the names), BSD-3-Clause (babel)",
        sha256=hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest(),
        version=babel_version(),
        notes=f"names of countries and languages in {', '.join(LANGUAGES)}, one a window, no name twice",
    )
    return windowed(text, encoding, streams, settings, split_seed, task)


def labelled_names(
    dataset: Dataset, part: str, split_seed: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Tokens [N, context] of every name of a part, nothing hidden, and the number of its language [N].

    ``dataset`` is one of latin-names with the same ``split_seed`` and its own shares.
    """
    assert dataset.tokenizer is not None
    context = dataset.input_shape[0]
    names = _shared_out(TextSettings(), split_seed)[part]
    tokens = [dataset.tokenizer.encode(name[:context].ljust(context)).ids for name, _ in names]
    return np.array(tokens, dtype=np.int64), np.array([label for _, label in names], dtype=np.int64)


DATASETS.add(
    "latin-names",
    DatasetEntry(
        name="latin-names",
        tasks=("masked-lm",),
        summary="names of countries and languages in eight languages of Latin script, by character, one a window",
        settings=TextSettings,
        read=_read,
    ),
)
