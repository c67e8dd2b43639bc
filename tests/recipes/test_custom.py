"""A person's own model and data: registered, named by what they compute, and the same in another process."""

from __future__ import annotations

import functools
import importlib
import json
import logging
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from sevenfold.data import ArrayData, arrays
from sevenfold.errors import InputFileError, UnknownNameError, UsageError
from sevenfold.models import MODELS
from sevenfold.recipes._fingerprint import fingerprint
from sevenfold.recipes.custom import CustomRecipe, custom_recipe, load_bundle
from sevenfold.runs.recipe import Optimizer, Recipe
from sevenfold.training import train_run


def blobs(num: int = 300) -> ArrayData:
    generator = np.random.default_rng(0)
    y = np.arange(num) % 3
    return arrays(generator.normal(size=(num, 5)) + 3 * np.eye(5)[y], y)


def net(width: int = 16) -> nn.Module:
    return nn.Sequential(nn.Linear(5, width), nn.ReLU(), nn.Linear(width, 3))


def test_a_lambda_becomes_a_recipe_that_learns() -> None:
    mine = custom_recipe(lambda width: net(width), blobs(), task="classification", steps=150)
    assert isinstance(mine, CustomRecipe)
    assert mine.recipe.model.name.startswith("custom/")
    assert mine.recipe.data.name == blobs().choice.name
    assert MODELS[mine.recipe.model.name].dial == "width"
    assert Recipe.from_dict(mine.recipe.to_dict()) == mine.recipe
    record = train_run(mine.recipe, keep_weights=False)
    assert float(record.summary["test_accuracy"] or 0) > 0.95


def test_sensible_settings_where_none_are_given() -> None:
    recipe = custom_recipe(net, blobs(), task="classification").recipe
    assert (recipe.batch_size, recipe.optimizer.name, recipe.optimizer.lr) == (64, "adamw", 1e-3)
    assert recipe.steps == 200  # thirty epochs of 180 examples are 84 steps: too few to converge
    small = custom_recipe(net, blobs(50), task="classification").recipe
    assert small.batch_size == 30
    large = custom_recipe(net, blobs(100_000), task="classification").recipe
    assert large.steps == 2000
    middle = custom_recipe(net, blobs(2000), task="classification").recipe
    assert 20 <= middle.steps * middle.batch_size / 1200 <= 50


def test_settings_go_to_the_model_or_to_the_recipe() -> None:
    given: dict[str, Any] = {"width": 4, "steps": 9, "optimizer.lr": 0.1, "data.fraction": 0.5}
    recipe = custom_recipe(net, blobs(), task="classification", **given).recipe
    assert recipe.model.settings == {"width": 4}
    assert (recipe.steps, recipe.optimizer.lr, recipe.data.fraction) == (9, 0.1, 0.5)
    recipe = custom_recipe(net, blobs(), task="classification", optimizer=Optimizer(lr=0.2)).recipe
    assert recipe.optimizer.lr == 0.2
    with pytest.raises(UnknownNameError, match=r"unknown setting: got 'step', expected .*; try steps"):
        custom_recipe(net, blobs(), task="classification", step=3)
    with pytest.raises(UnknownNameError, match=r"'optimizer.learning_rate'"):
        custom_recipe(net, blobs(), task="classification", **{"optimizer.learning_rate": 3})


def test_parameters_are_filled_from_the_data() -> None:
    def general(in_features: int, classes: int, width: int = 8) -> nn.Module:
        return nn.Sequential(nn.Linear(in_features, width), nn.Linear(width, classes))

    mine = custom_recipe(general, blobs(), task="classification")
    entry = MODELS[mine.recipe.model.name]
    assert entry.settings_for((5,), 3) == {"in_features": 5, "classes": 3}
    with pytest.raises(UsageError, match=r"parameter that nothing fills: got depth, expected a default"):
        custom_recipe(lambda depth, width=8: net(width), blobs(), task="classification")


def test_a_model_whose_parameters_only_the_data_fill_trains() -> None:
    def required(in_features: int, classes: int) -> nn.Module:
        return nn.Linear(in_features, classes)

    mine = custom_recipe(required, blobs(), task="classification", steps=3)
    assert train_run(mine.recipe, keep_weights=False).state == "finished"
    with pytest.raises(UnknownNameError, match="unknown setting"):
        train_run(mine.recipe.with_changes({"model.clases": 4}), keep_weights=False)


def test_alternatives_and_data_sets_of_the_catalogue() -> None:
    mine = custom_recipe(
        lambda width=8: nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.Linear(width, 10)),
        "digits",
        task="classification",
        alternatives=["mlp-small", lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 10))],
    )
    entry = MODELS[mine.recipe.model.name]
    assert entry.alternatives is not None
    assert entry.alternatives[0] == "mlp-small"
    assert MODELS[entry.alternatives[1]].dial is None
    preset = custom_recipe(
        "mlp-small", arrays(np.random.default_rng(0).normal(size=(60, 1, 8, 8)), [0, 1] * 30), task="classification"
    )
    assert preset.recipe.model.name == "mlp-small"


def test_what_cannot_be_a_model_or_data_is_told_in_one_line() -> None:
    with pytest.raises(UsageError, match=r"given as a function that builds it: got a Linear"):
        custom_recipe(nn.Linear(5, 3), blobs(), task="classification")
    with pytest.raises(UsageError, match=r"given as a function that builds it: got a int"):
        custom_recipe(3, blobs(), task="classification")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"data are of the wrong kind: got a ndarray"):
        custom_recipe(net, np.zeros((3, 3)), task="classification")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="does not serve the task"):
        custom_recipe(net, blobs(), task="causal-lm")
    with pytest.raises(UsageError, match="alternatives go with a function of your own"):
        custom_recipe("mlp-small", "digits", task="classification", alternatives=[net])


CHILD = """
import json, sys
from sevenfold.recipes.custom import load_bundle
from sevenfold.runs.recipe import Recipe
from sevenfold.training import train_run

load_bundle(sys.argv[1])
record = train_run(Recipe.from_dict(json.loads(sys.argv[2])), keep_weights=False)
print(record.summary["validation_loss"])
"""


def test_another_process_computes_the_same_from_the_bundle(tmp_path: Path) -> None:
    depth = 2  # captured, so that it must travel with the function

    def deep(width: int = 6) -> nn.Module:
        middle = [nn.Linear(width, width) for _ in range(depth)]
        return nn.Sequential(nn.Linear(5, width), *middle, nn.Tanh(), nn.Linear(width, 3))

    mine = custom_recipe(deep, blobs(90), task="classification", steps=3, alternatives=[lambda: net(2)])
    here = train_run(mine.recipe, keep_weights=False, home=tmp_path / "here").summary["validation_loss"]
    path = mine.bundle.save(tmp_path / "mine.bundle")
    assert [file.name for file in tmp_path.glob("*.tmp")] == []
    command = [sys.executable, "-W", "error", "-c", CHILD, str(path), json.dumps(mine.recipe.to_dict())]
    out = subprocess.run(command, capture_output=True, text=True)
    assert out.stderr == ""
    assert float(out.stdout) == here


def test_a_bundle_that_is_none_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "broken.bundle").write_bytes(b"not a pickle")
    for path in (tmp_path / "broken.bundle", tmp_path / "absent.bundle"):
        with pytest.raises(InputFileError, match="cannot read a bundle"):
            load_bundle(path)
    mine = custom_recipe(net, blobs(), task="classification")
    path = mine.bundle.save(tmp_path / "mine.bundle")
    assert load_bundle(path).models[0].digest == mine.bundle.models[0].digest
    whole = path.read_bytes()
    for cut in (10, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:cut])
        with pytest.raises(InputFileError, match="cannot read a bundle"):
            load_bundle(path)


def test_a_function_that_cannot_travel_is_told_in_one_line(tmp_path: Path) -> None:
    with open(tmp_path / "file", "w") as file:
        mine = custom_recipe(lambda width=4: (file.name, net(width))[1], blobs(), task="classification")
        with pytest.raises(UsageError, match="cannot be sent to another process"):
            mine.bundle.save(tmp_path / "mine.bundle")


SCRIPT = """
import sys
import own_blocks
from own_blocks import helper
from torch import nn
from sevenfold.recipes._fingerprint import fingerprint

SCALE = 2
NAMES = {"a", "b", "c", "d", "e"}

class Block(nn.Module):
    gain = 1.5
    def __init__(self, width):
        super().__init__()
        self.linear = nn.Linear(5, width * SCALE)
    def forward(self, x):
        return self.linear(x) * self.gain if "a" in NAMES else x

def build(width=4, *, bias=True):
    import json
    return nn.Sequential(Block(width), own_blocks.Tail(width), helper(lambda: width + 1))

print(fingerprint(build), fingerprint(lambda width: build(width)))
"""
BLOCKS = "from torch import nn\nDEPTH = 1\nclass Tail(nn.Module):\n    pass\ndef helper(f):\n    return nn.ReLU()\n"


def fingerprints(folder: Path, script: str = SCRIPT, blocks: str = BLOCKS, seed: str = "0") -> list[str]:
    folder.mkdir(exist_ok=True)
    (folder / "own_blocks.py").write_text(blocks)
    (folder / "script.py").write_text(script)
    environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, str(folder / "script.py")]
    return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout.split()


def test_the_digest_of_a_function_is_the_same_in_every_process_and_folder(tmp_path: Path) -> None:
    first = fingerprints(tmp_path / "one")
    moved = "# a comment\n\n\n" + SCRIPT.replace("SCALE = 2", "SCALE = 2  # twice")
    assert fingerprints(tmp_path / "two", moved, seed="7") == first
    assert len(set(first)) == 2


def variants() -> dict[str, Any]:
    """One function and what differs from it, each made anew, as a person would edit a file."""
    source = SCRIPT.replace("import fingerprint", "import fingerprint as digest_of")
    source = (
        source.replace("fingerprint(", "digest_of(")
        .replace("print(", "result = (", 1)
        .replace("import own_blocks\n", "")
    )
    source = source.replace(
        "from own_blocks import helper", "class own_blocks:\n    Tail = nn.Identity\ndef helper(f):\n    return f"
    )
    source = source.replace("import sys\n", "from torch import nn\n")
    edits = {
        "constant": ("SCALE = 2", "SCALE = 3"),
        "default": ("width=4", "width=5"),
        "keyword default": ("bias=True", "bias=False"),
        "attribute of a class": ("gain = 1.5", "gain = 1.6"),
        "method": ("width * SCALE", "width + SCALE"),
        "operator in forward": ("* self.gain", "/ self.gain"),
        "inner function": ("width + 1", "width + 2"),
        "helper": ("return f", "return f()"),
        "set": ('"e"}', '"f"}'),
        "import": ("import json", "import csv"),
        "other layer": ("nn.Identity", "nn.ReLU"),
    }
    found = {}
    for name, (old, new) in {"nothing": ("", ""), **edits}.items():
        assert old in source
        space: dict[str, Any] = {"__name__": "__main__"}
        exec(compile(source.replace(old, new, 1) if old else source, name, "exec"), space)
        found[name] = space["result"]
    return found


def test_every_edit_changes_the_digest() -> None:
    digests = variants()
    assert len({digest for digest, _ in digests.values()}) == len(digests)
    assert len({digest for _, digest in digests.values()}) == len(digests)
    assert variants() == digests


def test_an_edit_in_an_imported_file_changes_the_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def digest(blocks: str, inner: str = "WIDTH = 3\n") -> str:
        for name, text in (("own_edited_blocks", "import own_inner\n" + blocks), ("own_inner", inner)):
            (tmp_path / f"{name}.py").write_text(text)
            sys.modules.pop(name, None)
        importlib.invalidate_caches()
        blocks_module = importlib.import_module("own_edited_blocks")
        return fingerprint(lambda: blocks_module.Tail())

    first = digest(BLOCKS)
    assert digest(BLOCKS) == first
    assert digest(BLOCKS.replace("DEPTH = 1", "DEPTH = 2")) != first
    assert digest(BLOCKS, inner="WIDTH = 4\n") != first


def test_a_cached_function_counts_by_what_it_caches() -> None:
    one, two = functools.lru_cache(lambda: 1), functools.lru_cache(lambda: 2)
    assert fingerprint(lambda: one()) != fingerprint(lambda: two())


def test_a_function_made_by_a_library_counts_by_what_it_computes() -> None:
    def made(constant: int) -> Any:
        space = {"__name__": "sevenfold.data.digits"}
        exec(f"def outer():\n    return lambda width: width * {constant}\nfound = outer()", space)
        return space["found"]

    assert fingerprint(made(2)) == fingerprint(made(2)) != fingerprint(made(3))
    assert fingerprint(nn.Linear) != fingerprint(nn.Bilinear)


def test_what_is_nested_too_deeply_is_told_in_one_line() -> None:
    deep: list[Any] = []
    for _ in range(10_000):
        deep = [deep]
    with pytest.raises(UsageError, match="nested too deeply"):
        fingerprint(lambda: deep)


def test_a_lock_or_a_logger_does_not_make_a_function_nameless() -> None:
    lock, logger = threading.Lock(), logging.getLogger("mine")
    assert len(fingerprint(lambda: (lock, logger))) == 64


def test_captured_values_count() -> None:
    def with_weight(weight: Any) -> str:
        return fingerprint(lambda width=1: weight)

    tensor = torch.arange(4.0)
    assert with_weight(tensor) == with_weight(tensor.clone())
    values: list[Any] = [
        tensor,
        tensor + 1,
        tensor.double(),
        np.arange(4.0),
        np.arange(4),
        [1, 2],
        (1, 2),
        {1: 2},
        {2: 1},
        1,
        1.0,
        True,
        "1",
        b"1",
        None,
        nn.Linear(2, 2).requires_grad_(False).half(),
    ]
    assert len({with_weight(value) for value in values}) == len(values)
