"""Features of a trained run as a file and a map; what cannot be represented is refused in one line."""

from __future__ import annotations

import json

import numpy as np
import torch
from PIL import Image

from sevenfold.actions.load import load as load_folder
from sevenfold.actions.represent import represent
from sevenfold.actions.train import train
from sevenfold.cli._boundary import run_guarded
from sevenfold.data import load
from sevenfold.runs.recipe import DataChoice

FEW = {"steps": 30, "evaluate_examples": 50}


def test_features_and_labels_are_those_of_the_trained_model(home, tmp_path, capsys):
    run = train("digits-mlp", FEW).id
    found = represent(run, out=tmp_path / "f.npz", map=tmp_path / "map.png", method="pca")
    arrays = np.load(tmp_path / "f.npz", allow_pickle=False)
    digits = load(DataChoice(name="digits"), task="classification")
    assert np.array_equal(arrays["labels"], digits.test.targets.numpy())
    module = load_folder(home / "runs" / run).module
    with torch.no_grad():
        logits = torch.from_numpy(arrays["features"]) @ module.output.weight.T + module.output.bias
        assert torch.allclose(logits, module(digits.test.inputs), atol=1e-4)
    assert (found.rows, found.features) == (359, 64)
    with Image.open(tmp_path / "map.png") as picture:
        assert picture.size[0] > 500
    assert 0.5 < found.trustworthiness <= 1

    assert run_guarded(["represent", run, "--split", "validation", "--layer", "hidden.0", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["rows"], told["features"], told["map"]) == (359, 64, None)
    assert np.load(told["file"])["features"].min() < 0  # before the nonlinearity


def test_targets_that_are_numbers_and_a_vae_are_represented(home, tmp_path):
    run = train("rotated-digits", {**FEW, "data.turns": 1, "model.width": 6}).id
    found = represent(run, map=tmp_path / "angles.png", method="pca")
    assert np.load(found.file)["labels"].shape == (359, 1)
    run = train("vae-digits", {**FEW, "model.hidden": 16, "steps": 2}).id
    assert represent(run).features == 8


def test_what_cannot_be_represented_is_told_in_one_line(home, tmp_path, capsys):
    run = train("digits-mlp", {**FEW, "steps": 2}).id
    for arguments, said in (
        ([run, "--split", "all"], "train or validation or test"),
        ([run, "--layer", "output2"], "try output"),
        ([run, "--out", str(tmp_path / "f.csv")], "ends in .npz"),
        ([run, "--map", str(tmp_path / "f.gif")], "ends in .png"),
        ([run, "--map", str(tmp_path / "f.png"), "--method", "umap"], "tsne or pca"),
        ([run, "--out", "/proc/none/f.npz"], "f.npz"),
        (["nothing"], "nothing"),
    ):
        assert run_guarded(["represent", *arguments]) in (1, 2)
        error = capsys.readouterr().err
        assert said in error.replace("pca or tsne", "tsne or pca")
        assert error.count("\n") == 1
