"""A process that carries out runs for a diagnosis: one JSON object a line in, one a line out.

It must know nothing of diagnosis. It is started as ``python -m sevenfold.actions._worker``, so that a person's
script is never imported again (no ``if __name__ == "__main__"`` guard is needed around ``sevenfold.diagnose``).
What models print goes to stderr: stdout carries the protocol alone.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from typing import Any, TextIO

from sevenfold.errors import OutOfMemoryError, SevenfoldError


def serve(requests: TextIO, answers: TextIO) -> None:
    """Answer requests until the other side closes the pipe."""
    first = json.loads(requests.readline())
    for bundle in first["bundles"]:
        from sevenfold.recipes.custom import load_bundle

        load_bundle(bundle)
    import torch

    torch.set_num_threads(max(1, first["threads"]))
    _answer(answers, {"ready": True})
    for line in requests:
        _answer(answers, carry_out(json.loads(line)))


def carry_out(request: dict[str, Any]) -> dict[str, Any]:
    """Train one recipe; the record lies in the run store, the answer only says how it went."""
    from sevenfold.runs.recipe import Recipe
    from sevenfold.training import train_run

    recipe = Recipe.from_dict(request["recipe"])
    try:
        record = train_run(recipe, keep_weights=False)
    except SevenfoldError as error:
        return {"error": str(error)}
    except MemoryError:
        return {"error": str(OutOfMemoryError("the machine has no memory left"))}
    except (
        Exception
    ) as error:  # a fault in the person's own module: told in one line, never the end of the diagnosis
        return {"error": f"{type(error).__name__}: {' '.join(str(error).split())}"[:500]}
    return {"run": record.id}


def _answer(answers: TextIO, answer: dict[str, Any]) -> None:
    answers.write(json.dumps(answer) + "\n")
    answers.flush()


def _volunteer_for_the_oom_killer() -> None:
    # A probe that eats the memory should be the one that dies, not the diagnosis.
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as setting:
        setting.write("1000")


if __name__ == "__main__":
    protocol = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    _volunteer_for_the_oom_killer()
    with contextlib.suppress(BrokenPipeError, KeyboardInterrupt):
        serve(sys.stdin, protocol)
