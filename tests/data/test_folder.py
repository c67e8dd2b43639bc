"""A local folder of images or texts: what is in it, split without overlap; clear words where it is damaged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from sevenfold.data import Dataset, Split, load, pinned
from sevenfold.data._tokenizing import characters
from sevenfold.errors import InputFileError, UsageError
from sevenfold.runs.recipe import DataChoice


def photos(root: Path, num: int = 12, mode: str = "RGB", size: tuple[int, int] = (6, 4)) -> Path:
    generator = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (root / name).mkdir(parents=True)
        for index in range(num):
            shape = (size[1], size[0]) if mode == "L" else (size[1], size[0], 3)
            Image.fromarray(generator.integers(0, 256, shape, dtype=np.uint8)).save(root / name / f"{index:02}.png")
    return root


def read(root: Path, task: str = "classification", **settings: Any) -> Dataset:
    return load(DataChoice(name=f"folder:{root}", settings=settings), task=task)


def contents(split: Split) -> set[bytes]:
    return {image.numpy().tobytes() for image in split.inputs}


def test_images_become_a_data_set(tmp_path: Path) -> None:
    dataset = read(photos(tmp_path / "pets"))
    assert (dataset.input_shape, dataset.num_outputs) == ((3, 4, 6), 2)
    splits = (dataset.train, dataset.validation, dataset.test)
    assert sum(map(len, splits)) == 24
    seen = {
        image.numpy().tobytes(): int(label)
        for s in splits
        for image, label in zip(s.inputs, s.targets, strict=True)
    }
    for number, name in enumerate(("cat", "dog")):
        for path in (tmp_path / "pets" / name).iterdir():
            with Image.open(path) as image:
                pixels = np.asarray(image).transpose(2, 0, 1).astype(np.float32) / 255
            assert seen[pixels.tobytes()] == number
    assert not contents(dataset.train) & (contents(dataset.validation) | contents(dataset.test))
    assert not contents(dataset.validation) & contents(dataset.test)
    assert "2 classes (cat, dog)" in dataset.provenance.notes


def test_the_same_picture_in_two_files_stays_in_one_split(tmp_path: Path) -> None:
    root = photos(tmp_path / "pets")
    for path in sorted(root.rglob("*.png")):
        path.with_name("copy-" + path.name).write_bytes(path.read_bytes())
    dataset = read(root)
    parts = [contents(split) for split in (dataset.train, dataset.validation, dataset.test)]
    assert not parts[0] & (parts[1] | parts[2])
    assert not parts[1] & parts[2]
    assert sum(map(len, parts)) == 24
    assert "24 images equal an earlier one" in dataset.provenance.notes


def test_grayscale_and_size(tmp_path: Path) -> None:
    assert read(photos(tmp_path / "gray", mode="L")).input_shape == (1, 4, 6)
    root = photos(tmp_path / "pets")
    assert read(root, grayscale=True, size=5).input_shape == (1, 5, 5)
    Image.new("RGB", (9, 9)).save(root / "cat" / "99.png")
    with pytest.raises(UsageError, match=r"differ in size: got 00.png 6x4 and 99.png 9x9.*--set data.size=32"):
        read(root)
    dataset = read(root, size=8)
    assert dataset.input_shape == (3, 8, 8)
    assert dataset.train.inputs.dtype == torch.float32
    assert 0 <= float(dataset.train.inputs.min()) < float(dataset.train.inputs.max()) <= 1


def test_palettes_transparency_and_cameras_orientation_are_read(tmp_path: Path) -> None:
    root = photos(tmp_path / "pets")
    Image.new("RGBA", (6, 4), (255, 0, 0, 0)).save(root / "cat" / "alpha.png")
    Image.new("P", (6, 4)).save(root / "cat" / "palette.png", transparency=b"\x00\x01")
    turned = Image.new("RGB", (4, 6))
    exif = Image.Exif()
    exif[0x0112] = 6
    turned.save(root / "dog" / "turned.jpg", exif=exif)
    assert read(root).input_shape == (3, 4, 6)


@pytest.mark.parametrize("damage", ["cut", "text", "empty"])
def test_a_damaged_image_is_named(tmp_path: Path, damage: str) -> None:
    root = photos(tmp_path / "pets")
    path = root / "dog" / "07.png"
    path.write_bytes({"cut": path.read_bytes()[:70], "text": b"not an image", "empty": b""}[damage])
    with pytest.raises(
        InputFileError, match=r"cannot read an image: got .*dog/07\.png \(.*expected a whole image file"
    ):
        read(root)


def test_sixteen_bit_images_are_refused(tmp_path: Path) -> None:
    root = photos(tmp_path / "pets")
    Image.fromarray(np.zeros((4, 6), dtype=np.uint16)).save(root / "cat" / "deep.png")
    with pytest.raises(InputFileError, match=r"8 bits a channel: got .*deep\.png"):
        read(root)


def test_folders_that_cannot_serve_are_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputFileError, match=r"got .*absent \(no such folder\)"):
        read(tmp_path / "absent")
    with pytest.raises(InputFileError, match="got no path"):
        load(DataChoice(name="folder:"), task="classification")
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputFileError, match=r"file \(a file\)"):
        read(tmp_path / "file")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputFileError, match=r"holds nothing to read: got .*no image and no \.txt file"):
        read(tmp_path / "empty")
    Image.new("L", (2, 2)).save(tmp_path / "empty" / "loose.png")
    with pytest.raises(InputFileError, match="1 images that lie in no subfolder"):
        read(tmp_path / "empty")
    root = photos(tmp_path / "pets")
    (root / "bird").mkdir()
    with pytest.raises(InputFileError, match=r"a class folder holds no image: got .*bird"):
        read(root)
    with pytest.raises(UsageError, match="does not serve the task: got causal-lm, expected classification"):
        read(photos(tmp_path / "more"), task="causal-lm")
    one = tmp_path / "one" / "cat"
    one.mkdir(parents=True)
    Image.new("L", (2, 2)).save(one / "a.png")
    with pytest.raises(InputFileError, match="single class"):
        read(tmp_path / "one")


def test_hidden_files_are_no_data(tmp_path: Path) -> None:
    root = photos(tmp_path / "pets")
    before = read(root).provenance.sha256
    (root / "cat" / "._00.png").write_bytes(b"left by a file manager")
    (root / ".cache").mkdir()
    assert read(root).provenance.sha256 == before


def test_the_digest_is_over_names_and_bytes(tmp_path: Path) -> None:
    digests = set()
    root = photos(tmp_path / "pets")
    digests.add(read(root).provenance.sha256)
    (root / "cat" / "00.png").rename(root / "cat" / "other.png")
    digests.add(read(root).provenance.sha256)
    Image.new("RGB", (6, 4)).save(root / "cat" / "01.png")
    digests.add(read(root).provenance.sha256)
    assert len(digests) == 3
    assert read(photos(tmp_path / "again")).provenance.sha256 in digests


def test_a_pinned_choice_refuses_a_changed_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = photos(tmp_path / "pets")
    monkeypatch.chdir(tmp_path)
    choice = pinned(DataChoice(name="folder:pets"))
    assert choice.name == f"folder:{root}"
    assert pinned(choice) == choice
    assert pinned(DataChoice(name="digits")) == DataChoice(name="digits")
    assert load(choice, task="classification").provenance.sha256 == choice.settings["sha256"]
    Image.new("RGB", (6, 4)).save(root / "cat" / "00.png")
    for use in (lambda: load(choice, task="classification"), lambda: pinned(choice)):
        with pytest.raises(InputFileError, match="a folder of data has changed"):
            use()
    assert pinned(DataChoice(name="folder:pets")).settings != choice.settings


def prose(root: Path, num: int, length: int = 400) -> Path:
    root.mkdir(parents=True)
    for index in range(num):
        words = " ".join(f"w{index}x{word}" for word in range(length))
        (root / f"{index:03}.txt").write_text(words + "\n")
    return root


def test_texts_are_split_whole(tmp_path: Path) -> None:
    root = prose(tmp_path / "texts", 30)
    dataset = read(root, task="causal-lm", context=16)
    encoding = characters("".join(path.read_text() for path in root.iterdir()))
    documents = [
        {word.partition("x")[0] for word in encoding.decode(split.inputs.numpy().reshape(-1)).split()[:-1]}
        for split in (dataset.train, dataset.validation, dataset.test)
    ]
    assert not documents[0] & (documents[1] | documents[2])
    assert not documents[1] & documents[2]
    assert len(documents[0] | documents[1] | documents[2]) == 30


def test_a_single_long_text_is_cut_into_pieces(tmp_path: Path) -> None:
    root = prose(tmp_path / "texts", 1, 4000)
    dataset = read(root, task="causal-lm", context=16)
    whole = (root / "000.txt").read_text()
    encoding = characters(whole + "\n")
    words = [
        set(encoding.decode(split.inputs.numpy().reshape(-1)).split()[1:-1])
        for split in (dataset.train, dataset.validation, dataset.test)
    ]
    assert not words[0] & (words[1] | words[2])
    assert not words[1] & words[2]
    shares = [len(part) / 4000 for part in words]
    assert shares == pytest.approx([0.8, 0.1, 0.1], abs=0.02)
    assert sum(shares) > 0.98


def test_equal_texts_are_read_once_and_line_ends_do_not_matter(tmp_path: Path) -> None:
    root = prose(tmp_path / "texts", 25)
    before = read(root, task="causal-lm")
    (root / "copy.txt").write_text((root / "003.txt").read_text())
    (root / "windows.txt").write_bytes(b"\xef\xbb\xbf" + (root / "004.txt").read_bytes().replace(b"\n", b"\r\n"))
    (root / "blank.txt").write_text(" \n")
    after = read(root, task="causal-lm")
    assert torch.equal(after.train.inputs, before.train.inputs)
    assert "28 files; 1 empty and 2 equal to an earlier one left out" in after.provenance.notes


def test_texts_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    root = prose(tmp_path / "texts", 3)
    (root / "001.txt").write_bytes(b"caf\xe9 in Latin-1")
    with pytest.raises(InputFileError, match=r"no UTF-8 text: got .*001\.txt \(byte 0xe9 at 3\)"):
        read(root, task="causal-lm")
    for path in root.iterdir():
        path.write_text("")
    with pytest.raises(InputFileError, match="all files of a folder of texts are empty"):
        read(root, task="causal-lm")
