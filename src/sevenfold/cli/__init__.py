"""The command line: one thin command per verb, in a file of the same name.

A command module imports typer and `sevenfold.cli._output` and nothing heavy at its top; it imports its action when
it runs, so that ``sevenfold --help`` answers in under 0.3 s. Data goes to stdout, everything else to stderr.
"""

from __future__ import annotations

import sys

from sevenfold.cli._boundary import run_guarded


def main(arguments: list[str] | None = None) -> None:
    """Entry point of the ``sevenfold`` command; always ends with SystemExit."""
    sys.exit(run_guarded(sys.argv[1:] if arguments is None else arguments))
