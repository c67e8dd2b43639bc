"""SIGKILL at random moments, saves included; a small version of ``benchmarks/bench_kills.py``."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_six_kills_need_no_repair_and_change_no_loss() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.bench_kills", "6"], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    counts = ast.literal_eval(done.stdout.strip().splitlines()[-1])
    assert counts["kills"] == 6
    assert counts["repairs"] == counts["differing"] == counts["damage_notes"] == 0
