"""A report is written whole or not at all, and says in one line why not."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
from pathlib import Path

import example_verdicts
import pytest

from sevenfold.diagnosis.report import write_json, write_report
from sevenfold.diagnosis.report.__main__ import main, read
from sevenfold.diagnosis.report.writing import write_whole
from sevenfold.errors import InputFileError, StorageError


def test_writes_and_makes_the_folder(tmp_path: Path) -> None:
    path = write_whole(tmp_path / "a" / "b" / "report.html", "ünï")
    assert path.read_bytes() == "ünï".encode()
    assert [p.name for p in path.parent.iterdir()] == ["report.html"]
    umask = os.umask(0)
    os.umask(umask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~umask  # as a plainly created file, not private


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.EIO])
@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failure_leaves_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, step: str
) -> None:
    path = tmp_path / "report.html"
    path.write_text("old")

    def refuse(*_: object) -> None:
        raise OSError(code, os.strerror(code), str(path))

    monkeypatch.setattr(os, step, refuse)
    with pytest.raises(StorageError) as caught:
        write_whole(path, "new")
    monkeypatch.undo()
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    assert caught.value.exit_status == 1


def test_a_file_size_limit_stands_in_for_a_full_disk(tmp_path: Path) -> None:
    """The kernel itself refuses the bytes half way."""
    path = tmp_path / "report.html"
    program = (
        "import signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "from pathlib import Path\nfrom sevenfold.diagnosis.report.writing import write_whole\n"
        "from sevenfold.errors import StorageError\n"
        f"try: write_whole(Path({str(path)!r}), 'x' * 1_000_000)\n"
        "except StorageError as error: sys.exit(f'one line: {error}')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000)),
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith("one line: ")
    assert len(done.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_folder_or_a_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "report.html").mkdir()
    with pytest.raises(StorageError, match="needs the name of a file"):
        write_whole(tmp_path / "report.html", "x")
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot make a folder there"):
        write_whole(tmp_path / "file" / "report.html", "x")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o500)
    with pytest.raises(StorageError, match="cannot write there"):
        write_whole(tmp_path / "closed" / "report.html", "x")


def test_the_page_again_from_its_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    diagnosis = example_verdicts.tie()
    report = write_json(diagnosis, tmp_path / "report.json")
    assert read(report) == diagnosis
    assert main([str(report), str(tmp_path / "again.html")]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'again.html'}\n"
    assert (tmp_path / "again.html").read_bytes() == write_report(diagnosis, tmp_path / "first.html").read_bytes()


def test_what_is_no_report_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "broken.json").write_text('{"recipe":')
    with pytest.raises(InputFileError, match="not a report"):
        read(tmp_path / "broken.json")
    assert main([str(tmp_path / "missing.json"), str(tmp_path / "out.html")]) == 2
    assert main([str(tmp_path / "broken.json"), str(tmp_path / "out.html")]) == 2
    (tmp_path / "other.json").write_text("{}")
    assert main([str(tmp_path / "other.json"), str(tmp_path / "out.html")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 3
    assert not (tmp_path / "out.html").exists()
