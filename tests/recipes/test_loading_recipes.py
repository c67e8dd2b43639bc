"""A recipe out of a person's own file: found, carried to another process, and its faults told with their line."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sevenfold.errors import InputFileError, SpecError, UnknownNameError, UsageError
from sevenfold.recipes import recipe_from
from sevenfold.recipes.custom import CustomRecipe
from sevenfold.runs.recipe import DataChoice, ModelChoice, Recipe

HEAD = """
from sevenfold.runs.recipe import DataChoice, ModelChoice, Recipe
import sevenfold.recipes

def digits(**changes):
    return Recipe(name="mine", task="classification", model=ModelChoice(name="mlp-small"),
                  data=DataChoice(name="digits"), **changes)
"""


def file_with(folder: Path, body: str, name: str = "my_file.py") -> str:
    (folder / name).write_text(HEAD + textwrap.dedent(body))
    return str(folder / name)


def test_a_recipe_by_name_by_file_by_module_and_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = recipe_from("digits-cnn", {"optimizer.lr": "1e-3"})
    assert isinstance(found, Recipe)
    assert found.optimizer.lr == 1e-3
    path = file_with(tmp_path, "def short():\n    return digits(steps=7)\n", "some_recipes.py")
    expected = Recipe(
        name="mine",
        task="classification",
        model=ModelChoice(name="mlp-small"),
        data=DataChoice(name="digits"),
        steps=7,
    )
    assert recipe_from(f"{path}:short") == expected
    monkeypatch.syspath_prepend(tmp_path)
    assert recipe_from("some_recipes:short") == expected
    assert recipe_from(expected) == expected
    monkeypatch.chdir(tmp_path)
    assert recipe_from("some_recipes.py:short", {"seed": 3}) == expected.with_changes({"seed": 3})


def test_an_edited_file_is_read_again(tmp_path: Path) -> None:
    path = file_with(tmp_path, "def r():\n    return digits(steps=7)\n")
    assert recipe_from(f"{path}:r").to_dict()["steps"] == 7  # type: ignore[union-attr]
    file_with(tmp_path, "def r():\n    return digits(steps=1234)\n")
    assert recipe_from(f"{path}:r").to_dict()["steps"] == 1234  # type: ignore[union-attr]


def test_neighbours_of_a_file_can_be_imported(tmp_path: Path) -> None:
    (tmp_path / "neighbour_of_mine.py").write_text("STEPS = 17\n")
    path = file_with(tmp_path, "from neighbour_of_mine import STEPS\ndef r():\n    return digits(steps=STEPS)\n")
    found = recipe_from(f"{path}:r")
    assert isinstance(found, Recipe)
    assert found.steps == 17


def test_a_recipe_of_an_own_model_in_a_file(tmp_path: Path) -> None:
    path = file_with(
        tmp_path,
        """
        from torch import nn
        from sevenfold.recipes.custom import custom_recipe

        def r():
            return custom_recipe(lambda width=8: nn.Sequential(nn.Flatten(), nn.Linear(64, width),
                                 nn.Linear(width, 10)), "digits", task="classification")
        """,
    )
    found = recipe_from(f"{path}:r", {"model.width": 4, "steps": 5})
    assert isinstance(found, CustomRecipe)
    assert found.recipe.steps == 5
    assert found.recipe.model.settings == {"width": 4}


@pytest.mark.parametrize(
    ("body", "kind", "message"),
    [
        (
            "def r():\n    return 1 / 0\n",
            UsageError,
            r"my_file.py, line 10 failed: got ZeroDivisionError",
        ),
        ("def inner():\n    raise KeyError\ndef r():\n    inner()\n", UsageError, r"line 10 failed: got KeyError$"),
        (
            "def r():\n    return digits(stepz=3)\n",
            UnknownNameError,
            r"my_file.py, line 6: unknown setting.*try steps",
        ),
        ("def r():\n    return digits(steps=0)\n", SpecError, r"my_file.py, line 6: steps does not fit: got 0"),
        ("def r():\n    return 'digits-cnn'\n", UsageError, r"my_file.py:r returned something else: got a str"),
        (
            "def r():\n    pass\n",
            UsageError,
            r"returned something else: got a NoneType, expected a sevenfold Recipe",
        ),
        ("def r(seed):\n    pass\n", UsageError, r"r cannot be called without arguments: got missing a required"),
        ("r = 3\n", UsageError, r"my_file.py:r cannot be called: got a int"),
        (
            "def rr():\n    pass\n",
            UnknownNameError,
            r"unknown function in .*my_file.py: got 'r', expected .*; try rr",
        ),
        ("def r(:\n", UsageError, r"my_file.py, line 9 failed: got SyntaxError"),
        ("x = undefined\n", UsageError, r"my_file.py, line 9 failed: got NameError: name 'undefined'"),
        ("import absent_module_of_mine\n", UsageError, r"line 9 failed: got ModuleNotFoundError: No module named"),
        ("import sys\nsys.exit(3)\n", UsageError, r"my_file.py, line 10 failed: got SystemExit: 3"),
    ],
)
def test_a_fault_in_the_file_is_one_line_with_its_place(
    tmp_path: Path, body: str, kind: type[Exception], message: str
) -> None:
    path = file_with(tmp_path, "\n" + body if not body.startswith("\n") else body)
    with pytest.raises(kind, match=message) as fault:
        recipe_from(f"{path}:r")
    assert "\n" not in str(fault.value)


def test_names_that_lead_nowhere_are_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown recipe: got 'digit-cnn', expected .*; try digits-cnn"):
        recipe_from("digit-cnn")
    (tmp_path / "there.py").write_text("")
    with pytest.raises(InputFileError, match=r"no such file: got .*absent\.py.*there is there\.py"):
        recipe_from(f"{tmp_path}/absent.py:r")
    with pytest.raises(InputFileError, match="no such module: got 'absent_module_of_mine'"):
        recipe_from("absent_module_of_mine:r")
    with pytest.raises(
        UsageError, match=r"needs the name of a function: got my_file\.py, expected my_file\.py:FUNC"
    ):
        recipe_from("my_file.py")
    with pytest.raises(UsageError, match=r"cannot read the name of a function: got my_file.py:"):
        recipe_from("my_file.py:")


def test_a_folder_of_data_is_pinned_to_what_it_holds(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for index in range(8):
            pixels = generator.integers(0, 256, (8, 8), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{index}.png")
    given = Recipe(
        name="r",
        task="classification",
        model=ModelChoice(name="mlp-small"),
        data=DataChoice(name=f"folder:{tmp_path}"),
    )

    def found(changes: dict[str, Any] | None = None) -> Recipe:
        recipe = recipe_from(given, changes)
        assert isinstance(recipe, Recipe)
        return recipe

    before = found()
    assert len(str(before.data.settings["sha256"])) == 64
    assert found({"seed": 1}).data == before.data
    Image.new("L", (8, 8)).save(tmp_path / "a" / "0.png")
    assert found().run_id() != before.run_id()
