"""Runs benchmarks: ``python -m benchmarks [NAME...] [--quick]``.

A benchmark is a module ``bench_NAME.py`` here with a docstring that says what it measures and how, and a function
``run(quick) -> list of rows`` (one flat mapping a row). Rows are printed as a table and appended, with date, commit
and machine, to ``results/NAME.csv``. Any failure makes the exit status 1, after the others have run.
"""

from __future__ import annotations

import argparse
import csv
import importlib
import os
import platform
import subprocess
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path

Row = Mapping[str, object]
HERE = Path(__file__).parent
RESULTS = HERE / "results"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the named benchmarks, or all of them; 0 where none failed."""
    known = sorted(path.stem.removeprefix("bench_") for path in HERE.glob("bench_*.py"))
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Run benchmarks.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(known)}; all by default")
    parser.add_argument("--quick", action="store_true", help="small versions; results are printed and not kept")
    chosen = parser.parse_args(arguments)
    unknown = [name for name in chosen.names if name not in known]
    if unknown:
        parser.error(f"unknown benchmark {unknown[0]!r}; known are {', '.join(known)}")
    failed = [name for name in chosen.names or known if not _run(name, chosen.quick)]
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def _run(name: str, quick: bool) -> bool:
    module = importlib.import_module(f"benchmarks.bench_{name}")
    print(f"\n{name}: {(module.__doc__ or '').strip().splitlines()[0]}", flush=True)
    started = time.perf_counter()
    try:
        rows: list[Row] = module.run(quick)
    except Exception:
        traceback.print_exc()
        return False
    print(_as_table(rows))
    seconds = time.perf_counter() - started
    if quick:
        print(f"{seconds:.1f} s")
    else:
        kept = keep(name, rows)
        print(f"{seconds:.1f} s, kept in {kept}")
    return True


def keep(name: str, rows: Sequence[Row], folder: Path = RESULTS) -> Path:
    """Append rows to the benchmark's CSV; a new column makes the file anew with the old rows in it."""
    stamped = [{**_stamp(), **row} for row in rows]
    path = folder / f"{name}.csv"
    old: list[dict[str, str]] = []
    if path.exists():
        with path.open(newline="") as file:
            old = list(csv.DictReader(file))
    columns = list(dict.fromkeys(column for row in [*old, *stamped] for column in row))
    draft = path.with_suffix(".csv.new")
    draft.parent.mkdir(exist_ok=True)
    with draft.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows([*old, *stamped])
    os.replace(draft, path)
    return path


def _stamp() -> dict[str, object]:
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=HERE, capture_output=True, text=True
    ).stdout.strip()
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    return {
        "date": time.strftime("%Y-%m-%d"),
        "commit": commit or "unknown",
        "machine": machine,
        "python": platform.python_version(),
    }


def _as_table(rows: Sequence[Row]) -> str:
    columns = list(dict.fromkeys(column for row in rows for column in row))
    cells = [columns, *([_cell(row.get(column)) for column in columns] for row in rows)]
    widths = [max(len(line[index]) for line in cells) for index in range(len(columns))]
    return "\n".join(
        "  ".join(text.rjust(width) for text, width in zip(line, widths, strict=True)) for line in cells
    )


def _cell(value: object) -> str:
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    sys.exit(main())
