"""``sevenfold train``: data on stdout, everything else on stderr, one line for what goes wrong."""

from __future__ import annotations

import json
import math
import os
import signal
from pathlib import Path

import pytest

from sevenfold.cli import train as command
from sevenfold.cli._boundary import run_guarded
from sevenfold.runs.store import RunStore
from sevenfold.training import Progress

SHORT = ["--set", "steps=12", "--set", "evaluate_every=6", "--set", "model.width=4"]


def test_the_result_is_a_small_table_on_stdout(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "_LINE_S", math.inf)
    assert run_guarded(["train", "digits-mlp", *SHORT]) == 0
    out, err = capsys.readouterr()
    record = RunStore().records()[0]
    assert f"run {record.id}" in out
    for key in ("validation_loss", "test_loss", "final_train_loss_eval"):
        assert f"{record.summary[key]:.4f}" in out
    assert f"{record.summary['test_accuracy']:.1%}" in out
    assert "nats an example" in out
    assert "12 steps" in out
    assert "weights.safetensors" in out.replace("\n", "")
    assert err == ""


def test_json_is_the_run_record(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_guarded(["train", "digits-mlp", *SHORT, "--json"]) == 0
    out, err = capsys.readouterr()
    shown = json.loads(out)
    assert shown == json.loads(json.dumps(RunStore().require(shown["id"]).to_dict()))
    assert shown["state"] == "finished"
    assert err == ""


def test_again_shows_the_run_and_fresh_trains_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "_LINE_S", 0.0)
    told = []
    for more in ([], [], ["--fresh"]):
        assert run_guarded(["train", "digits-mlp", *SHORT, *more]) == 0
        told.append(capsys.readouterr())
    assert told[0].err.count("step ") == told[2].err.count("step ") == 12
    assert told[1].err == ""
    assert told[1].out == told[0].out
    assert "step 12/12, loss " in told[0].err


def test_an_interrupted_run_is_told_and_goes_on(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Interrupting:
        def __call__(self, progress: Progress) -> None:
            if progress.step == 5:
                os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(command, "_Lines", Interrupting)
        assert run_guarded(["train", "digits-mlp", *SHORT]) == 130
    assert "interrupted" in capsys.readouterr().err
    assert run_guarded(["train", "digits-mlp", *SHORT]) == 0
    assert "going on from step 6 of 12" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["digits-cn"], 2, "try digits-cnn"),
        (["digits-mlp", "--set", "optimizer.lrr=1"], 2, "try optimizer.lr"),
        (["digits-mlp", "--set", "model.widht=1"], 2, "try model.width"),
        (["digits-mlp", "--set", "steps"], 2, "--set needs KEY=VALUE"),
        (["digits-mlp", "--set", "steps=0"], 2, "steps"),
        (["missing.py:recipe"], 2, "no such file"),
        (
            ["digits-mlp", *SHORT, "--set", "optimizer.lr=1e30", "--set", "optimizer.clip_norm=none"],
            1,
            "not finite",
        ),
    ],
)
def test_what_goes_wrong_is_one_line(
    capsys: pytest.CaptureFixture[str], arguments: list[str], status: int, says: str
) -> None:
    assert run_guarded(["train", *arguments]) == status
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert says in err
    assert "Traceback" not in err


def test_what_goes_wrong_with_json_is_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_guarded(["train", "digits-cn", "--json"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    error = json.loads(err)
    assert set(error) == {"error", "got", "expected", "hint"}
    assert error["hint"] == "digits-cnn"


def test_a_read_only_folder_is_one_line(
    capsys: pytest.CaptureFixture[str], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.parent.mkdir(exist_ok=True)
    (home.parent / "file").write_text("")
    monkeypatch.setenv("SEVENFOLD_HOME", str(home.parent / "file" / "home"))
    assert run_guarded(["train", "digits-mlp", *SHORT]) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "SEVENFOLD_HOME" in err


def test_the_flags_are_these(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_guarded(["train", "--help"]) == 0
    out = capsys.readouterr().out
    flags = {word.rstrip(",") for word in out.split() if word.startswith("--")}
    assert flags == {"--set", "--fresh", "--json", "--help"}


def test_a_terminal_gets_a_bar(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert run_guarded(["train", "digits-mlp", *SHORT]) == 0
    out, err = capsys.readouterr()
    assert "12/12" in err
    assert "loss" in err
    assert "12/12" not in out
