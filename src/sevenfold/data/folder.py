"""``folder:PATH``: local images in one subfolder a class, images with captions, or ``.txt`` files.

>>> load(DataChoice(name="folder:photos", settings={"size": 32}), task="classification")  # doctest: +SKIP

Captions are those of a ``metadata.csv`` in the folder, with the columns file_name and text.

Files are taken in the order of their names, and the SHA-256 is over names and bytes. What a folder holds can change
while its name stays; ``pinned`` writes the digest into a choice, so that a changed folder is another recipe, and is
refused by the old one.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from functools import lru_cache, partial
from pathlib import Path

from pydantic import Field

from sevenfold.data._captions import METADATA, CaptionSettings, caption_dataset, read_captions
from sevenfold.data._catalogue import DATASETS, DatasetEntry
from sevenfold.data._dataset import Dataset
from sevenfold.data._generation import Conditioning, for_task
from sevenfold.data._images import IMAGE_SUFFIXES, ImageSettings, image_dataset
from sevenfold.data._text import TextSettings, Unsplit, text_dataset
from sevenfold.errors import InputFileError
from sevenfold.runs.recipe import DataChoice

__all__ = ["pinned"]

_PREFIX = "folder:"
_DIGEST_HELP = "what the SHA-256 of the folder must be; none takes it as it is"


class FolderImageSettings(ImageSettings, Conditioning):
    """A folder of images."""

    sha256: str | None = Field(default=None, description=_DIGEST_HELP)


class FolderTextSettings(TextSettings):
    """A folder of texts."""

    sha256: str | None = Field(default=None, description=_DIGEST_HELP)


class FolderCaptionSettings(CaptionSettings):
    """A folder of images with captions."""

    sha256: str | None = Field(default=None, description=_DIGEST_HELP)


def pinned(choice: DataChoice) -> DataChoice:
    """The choice with a folder's absolute path and digest written out; any other choice as it is.

    Raises InputFileError for a folder that is missing, or that has changed since the choice was pinned.
    """
    if not choice.name.startswith(_PREFIX):
        return choice
    root = _root(choice.name)
    files = _captioned(root) if _has_captions(root) else _files(root, _classes(root))
    digest = _checked_digest(root, files, choice.settings.get("sha256"))
    return choice.with_changes({"name": f"{_PREFIX}{root}", "settings.sha256": digest})


def _find_folder(name: str) -> DatasetEntry | None:
    if not name.startswith(_PREFIX):
        return None
    root = _root(name)
    if _has_captions(root):
        return DatasetEntry(
            name=name,
            tasks=("image-text", "generation"),
            summary=f"images of {root} with captions",
            settings=FolderCaptionSettings,
            read=partial(_read_captioned, root),
        )
    classes = _classes(root)
    _files(root, classes)  # an empty folder is told before any setting is
    return DatasetEntry(
        name=name,
        tasks=("classification", "generation", "contrastive") if classes else ("causal-lm", "masked-lm", "seq2seq"),
        summary=f"{'images' if classes else 'texts'} of {root}",
        settings=FolderImageSettings if classes else FolderTextSettings,
        read=partial(_read_images if classes else _read_texts, root),
    )


def _root(name: str) -> Path:
    text = name.removeprefix(_PREFIX)
    path = Path(text).expanduser().absolute()
    if not text or not path.is_dir():
        kind = "a file" if path.is_file() else "no such folder"
        raise InputFileError(
            "cannot read a folder of data",
            got=f"{text or 'no path'} ({kind})",
            expected=f"folder:PATH with images in one subfolder a class, with images and {METADATA}, or .txt files",
        )
    return path


def _visible(paths: Sequence[Path], root: Path) -> list[Path]:
    """Sorted by the name inside the root; hidden files and folders are no data."""
    kept = [path for path in paths if not any(part.startswith(".") for part in path.relative_to(root).parts)]
    return sorted(kept, key=lambda path: path.relative_to(root).as_posix())


def _classes(root: Path) -> list[Path]:
    """The class folders: all visible subfolders, where any of them holds an image; else none."""
    try:
        folders = _visible([path for path in root.iterdir() if path.is_dir()], root)
    except OSError as error:
        raise InputFileError("cannot read a folder of data", got=f"{root} ({error.strerror})") from None
    return folders if any(_images(folder, root) for folder in folders) else []


def _images(folder: Path, root: Path) -> list[Path]:
    return _visible([path for path in folder.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES], root)


def _files(root: Path, classes: Sequence[Path]) -> list[Path]:
    if not classes:
        texts = _visible([path for path in root.rglob("*") if path.suffix.lower() == ".txt"], root)
        if texts:
            return texts
        loose = _images(root, root)
        raise InputFileError(
            "a folder of data holds nothing to read",
            got=f"{root}, "
            + (f"{len(loose)} images that lie in no subfolder" if loose else "no image and no .txt file"),
            expected="images in one subfolder a class, or .txt files",
        )
    if len(classes) < 2:
        raise InputFileError(
            "a folder of images has a single class",
            got=f"{classes[0]}",
            expected="two subfolders or more, one a class",
        )
    of_classes = [(folder, _images(folder, root)) for folder in classes]
    for folder, images in of_classes:
        if not images:
            raise InputFileError(
                "a class folder holds no image",
                got=f"{folder}",
                expected="files that end in " + ", ".join(sorted(IMAGE_SUFFIXES)),
            )
    return [path for _, images in of_classes for path in images]


def _signature(root: Path, files: Sequence[Path]) -> tuple[tuple[str, int, int], ...]:
    """Names, sizes and times: while they stay, the files need not be read again."""
    rows = []
    for path in files:
        try:
            status = path.stat()
        except OSError as error:
            raise InputFileError("cannot read a file", got=f"{path} ({error.strerror})") from None
        rows.append((path.relative_to(root).as_posix(), status.st_size, status.st_mtime_ns))
    return tuple(rows)


@lru_cache(maxsize=8)
def _digest(root: Path, signature: tuple[tuple[str, int, int], ...]) -> str:
    digest = hashlib.sha256(b"sevenfold folder 1")
    for name, _, _ in signature:
        content = _bytes(root / name)
        # Lengths first, so that no other cutting into names and files gives the same bytes.
        digest.update(f"{len(os.fsencode(name))}:{len(content)}:".encode() + os.fsencode(name))
        digest.update(content)
    return digest.hexdigest()


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputFileError("cannot read a file", got=f"{path} ({error.strerror})") from None


def _checked_digest(root: Path, files: Sequence[Path], wanted: object) -> str:
    digest = _digest(root, _signature(root, files))
    if wanted is not None and wanted != digest:
        raise InputFileError(
            "a folder of data has changed",
            got=f"{root} with SHA-256 {digest[:12]}...",
            expected=f"SHA-256 {str(wanted)[:12]}..., as when the recipe was made",
            hint="the recipe without data.sha256, which makes a new run",
        )
    return digest


def _read_images(root: Path, settings: FolderImageSettings, split_seed: int, task: str) -> Dataset:
    classes = _classes(root)
    files = _files(root, classes)
    digest = _checked_digest(root, files, settings.sha256)
    numbers = {folder.name: number for number, folder in enumerate(classes)}
    labels = tuple(numbers[path.relative_to(root).parts[0]] for path in files)
    images = image_dataset(
        root, tuple(files), labels, tuple(numbers), digest, settings, split_seed=split_seed, task=task
    )
    return for_task(task, images, settings)


def _has_captions(root: Path) -> bool:
    return (root / METADATA).is_file()


def _captioned(root: Path) -> list[Path]:
    """The table and the images that it names."""
    return [root / METADATA, *read_captions(root)]


def _read_captioned(root: Path, settings: FolderCaptionSettings, split_seed: int, task: str) -> Dataset:
    digest = _checked_digest(root, _captioned(root), settings.sha256)
    return caption_dataset(root, read_captions(root), digest, settings, split_seed, task)


def _read_texts(root: Path, settings: FolderTextSettings, split_seed: int, task: str) -> Dataset:
    files = _files(root, [])
    digest = _checked_digest(root, files, settings.sha256)
    return text_dataset(_texts(root, tuple(files), digest), settings, split_seed, task)


@lru_cache(maxsize=2)
def _texts(root: Path, files: tuple[Path, ...], digest: str) -> Unsplit:
    documents: dict[str, None] = {}  # a dict, because equal documents must not come to lie in two splits
    num_empty = 0
    for path in files:
        try:
            text = _bytes(path).decode("utf-8-sig").replace("\r\n", "\n")
        except UnicodeDecodeError as error:
            raise InputFileError(
                "a file is no UTF-8 text",
                got=f"{path} (byte 0x{error.object[error.start]:02x} at {error.start})",
                expected="text files in UTF-8",
            ) from None
        num_empty += not text.strip()
        if text.strip():
            documents[text] = None
    if not documents:
        raise InputFileError(
            "all files of a folder of texts are empty", got=f"{root}", expected=".txt files with text"
        )
    num_equal = len(files) - num_empty - len(documents)
    return Unsplit(
        name=f"{_PREFIX}{root.name}",
        documents=tuple(documents),
        source=f"{root}",
        licence="unknown",
        sha256=digest,
        version="-",
        notes=f"{len(files)} files; {num_empty} empty and {num_equal} equal to an earlier one left out",
    )


DATASETS.add_finder(_find_folder)
