"""Make the page again from its JSON: ``python -m sevenfold.diagnosis.report report.json out.html``.

With ``--pictures FOLDER`` the PNG pictures too. For iterating on looks; the command line proper is ``sevenfold``.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from sevenfold.diagnosis.report import write_pictures, write_report
from sevenfold.diagnosis.result import Diagnosis
from sevenfold.errors import InputFileError, SevenfoldError


def main(arguments: list[str] | None = None) -> int:
    """Read, write, say where; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m sevenfold.diagnosis.report", description=__doc__)
    parser.add_argument("report", type=Path, help="report.json of a diagnosis")
    parser.add_argument("page", type=Path, help="where the HTML goes")
    parser.add_argument("--pictures", type=Path, metavar="FOLDER", help="where effects.png and fits.png go")
    chosen = parser.parse_args(arguments)
    try:
        diagnosis = read(chosen.report)
        written = [write_report(diagnosis, chosen.page)]
        written += write_pictures(diagnosis, chosen.pictures) if chosen.pictures else []
    except SevenfoldError as error:
        print(f"sevenfold: {error}", file=sys.stderr)  # noqa: T201
        return error.exit_status
    for path in written:
        print(path)  # noqa: T201
    return 0


def read(path: Path) -> Diagnosis:
    """A diagnosis from its JSON file; raises InputFileError or SpecError."""
    try:
        data = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise InputFileError(
            "cannot read a report", got=f"{path} ({error.strerror})", expected="report.json"
        ) from None
    except ValueError as error:
        raise InputFileError("not a report", got=f"{path} ({error})", expected="the JSON of a diagnosis") from None
    return Diagnosis.from_dict(data)


if __name__ == "__main__":
    sys.exit(main())
