"""Catalogues: loaded at the first look-up, whole, and asked by name."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from sevenfold.catalog import Catalogue
from sevenfold.errors import UnknownNameError


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package ``shapes_of_a_test`` whose modules register what they hold."""
    folder = tmp_path / "shapes_of_a_test"
    (folder / "round").mkdir(parents=True)
    (folder / "__init__.py").write_text(
        "from sevenfold.catalog import Catalogue\nSHAPES = Catalogue('shape', package=__name__)\n"
    )
    (folder / "square.py").write_text("from shapes_of_a_test import SHAPES\nSHAPES.add('square', 4)\n")
    (folder / "round" / "__init__.py").write_text("")
    (folder / "round" / "circle.py").write_text("from shapes_of_a_test import SHAPES\nSHAPES.add('circle', 0)\n")
    (folder / "_drawing.py").write_text("raise AssertionError('machinery is not part of the catalogue')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield folder
    for name in [name for name in sys.modules if name.split(".")[0] == "shapes_of_a_test"]:
        del sys.modules[name]


def test_entries_by_name() -> None:
    shapes: Catalogue[int] = Catalogue("shape")
    shapes.add("square", 4)
    shapes.add("triangle", 3)
    assert (shapes["square"], list(shapes), len(shapes), "square" in shapes) == (4, ["square", "triangle"], 2, True)
    with pytest.raises(
        UnknownNameError, match="unknown shape: got 'sqare', expected one of square, triangle; try sq"
    ):
        shapes["sqare"]
    with pytest.raises(AssertionError, match="registered twice"):
        shapes.add("square", 5)
    shapes.add("square", 5, replace=True)
    assert shapes["square"] == 5


def test_finders_are_asked_for_what_has_no_entry() -> None:
    shapes: Catalogue[int] = Catalogue("shape")
    shapes.add("square", 4)
    shapes.add_finder(lambda name: int(name.removeprefix("sides:")) if name.startswith("sides:") else None)
    assert shapes["sides:7"] == 7
    assert "sides:7" in shapes
    assert "square" in shapes
    assert "hexagon" not in shapes
    assert shapes.names() == ["square"]
    with pytest.raises(UnknownNameError):
        shapes["hexagon"]


def test_the_listing_of_the_folder_is_the_catalogue(package: Path) -> None:
    import shapes_of_a_test

    assert "shapes_of_a_test.square" not in sys.modules
    assert shapes_of_a_test.SHAPES.names() == ["circle", "square"]


def test_a_module_that_does_not_import_hides_no_entry_in_silence(package: Path) -> None:
    import shapes_of_a_test

    broken = package / "broken.py"
    broken.write_text("import a_package_that_nobody_has\n")
    for _ in range(2):  # the second look-up must not see a catalogue that seems whole
        with pytest.raises(ModuleNotFoundError, match="nobody_has"):
            shapes_of_a_test.SHAPES["square"]
    broken.unlink()
    assert shapes_of_a_test.SHAPES.names() == ["circle", "square"]


def test_a_module_may_look_up_while_it_is_loaded(package: Path) -> None:
    (package / "zigzag.py").write_text(
        "from shapes_of_a_test import SHAPES\nSHAPES.add('zigzag', SHAPES['square'] + 1)\n"
    )
    import shapes_of_a_test

    assert shapes_of_a_test.SHAPES["zigzag"] == 5


def test_threads_see_it_whole(package: Path) -> None:
    (package / "slow.py").write_text(
        "import time\ntime.sleep(0.2)\nfrom shapes_of_a_test import SHAPES\nSHAPES.add('slow', 1)\n"
    )
    import shapes_of_a_test

    seen: list[list[str]] = []
    threads = [threading.Thread(target=lambda: seen.append(shapes_of_a_test.SHAPES.names())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [["circle", "slow", "square"]] * 4
