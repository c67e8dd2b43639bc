"""Comparisons of answers by people: JSON Lines in and out, and what makes such a file useless told before training.

One line is one judgement of the answers to a prompt, best first; ties are not recorded:

    {"prompt": "Is it raining?", "answers": ["No, sir.", "no"], "labeller": "a"}

Two answers are a plain comparison, K answers a ranking of K, which says K (K - 1) / 2 comparisons (Ouyang et al.
2022, section 3.5: all of a prompt belong into one batch). ``labeller`` may be left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from sevenfold.errors import InputFileError

__all__ = ["Judgement", "append_judgement", "check_judgements", "pairs_of", "read_judgements"]

_KEYS = {"prompt", "answers", "labeller"}


@dataclass(frozen=True)
class Judgement:
    """The answers to a prompt, best first, as one person ranked them."""

    prompt: str
    answers: tuple[str, ...]
    labeller: str = ""

    def to_json(self) -> str:
        """One line of the file, without its end."""
        row: dict[str, Any] = {"prompt": self.prompt, "answers": list(self.answers)}
        return json.dumps(row | ({"labeller": self.labeller} if self.labeller else {}), ensure_ascii=False)


def read_judgements(path: Path) -> list[Judgement]:
    """All judgements of a file, checked (`check_judgements`).

    Raises InputFileError naming the line for what is no JSON, a missing prompt or answer, an unknown key, equal
    answers, and for comparisons of one labeller that contradict each other in a circle.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputFileError("cannot read comparisons", got=f"{path} ({error})") from None
    numbered = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    if not numbered:
        raise InputFileError("no comparisons", got=f"{path} is empty", hint="`sevenfold label`")
    found = [_judgement(line, f"{path.name}, line {number}") for number, line in numbered]
    check_judgements(found, [f"line {number}" for number, _ in numbered], source=path.name)
    return found


def append_judgement(path: Path, judgement: Judgement) -> None:
    """Add one judgement to a file, which is made if it is not there; what it holds stays as it is."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(judgement.to_json() + "\n")
    except OSError as error:
        raise InputFileError("cannot write comparisons", got=f"{path} ({error.strerror})") from None


def pairs_of(judgements: Iterable[Judgement]) -> list[tuple[str, str, str]]:
    """Every comparison that the judgements say, as (prompt, better, worse).

    >>> pairs_of([Judgement("p", ("a", "b", "c"))])
    [('p', 'a', 'b'), ('p', 'a', 'c'), ('p', 'b', 'c')]
    """
    return [(one.prompt, better, worse) for one in judgements for better, worse in combinations(one.answers, 2)]


def check_judgements(judgements: Sequence[Judgement], places: Sequence[str], *, source: str) -> None:
    """Raise InputFileError where one labeller's comparisons of a prompt's answers run in a circle.

    Labellers may contradict each other: that is what is to be averaged out.
    """
    graphs: dict[tuple[str, str], dict[str, dict[str, str]]] = {}
    for judgement, place in zip(judgements, places, strict=True):
        graph = graphs.setdefault((judgement.labeller, judgement.prompt), {})
        for better, worse in zip(judgement.answers, judgement.answers[1:], strict=False):
            graph.setdefault(better, {}).setdefault(worse, place)
    for (labeller, prompt), graph in graphs.items():
        circle = _circle(graph)
        if circle:
            said = [graph[better][worse] for better, worse in zip(circle, [*circle[1:], circle[0]], strict=True)]
            order = " > ".join(repr(_short(one)) for one in [*circle, circle[0]])
            who = f" of labeller {labeller!r}" if labeller else ""
            raise InputFileError(
                f"comparisons{who} that contradict each other in {source}",
                got=f"{order} ({', '.join(dict.fromkeys(said))})",
                expected=f"an order of the answers to {_short(prompt)!r}",
                hint="leaving one of these lines out",
            )


def _judgement(line: str, place: str) -> Judgement:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise InputFileError(f"a comparison is no JSON in {place}", got=f"{error.msg} at {error.colno}") from None
    if not isinstance(row, Mapping):
        raise InputFileError(f"a comparison is an object in {place}", got=type(row).__name__, expected=_EXAMPLE)
    unknown = sorted(row.keys() - _KEYS)
    if unknown:
        raise InputFileError(f"an unknown key in {place}", got=unknown[0], expected=", ".join(sorted(_KEYS)))
    prompt, answers, labeller = row.get("prompt"), row.get("answers"), row.get("labeller", "")
    if not isinstance(prompt, str) or not prompt:
        raise InputFileError(f"a comparison without a prompt in {place}", got=repr(prompt), expected="a text")
    if not isinstance(answers, list) or len(answers) < 2 or not all(isinstance(one, str) for one in answers):
        raise InputFileError(
            f"a comparison needs two answers or more in {place}", got=_short(repr(answers)), expected=_EXAMPLE
        )
    if len(set(answers)) < len(answers):
        raise InputFileError(f"equal answers are compared in {place}", got=_short(repr(answers)))
    if not isinstance(labeller, str):
        raise InputFileError(f"a labeller is a text in {place}", got=repr(labeller))
    return Judgement(prompt, tuple(answers), labeller)


def _circle(graph: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Answers each of which is better than the next and the last better than the first; empty if there are none."""
    done: set[str] = set()
    for start in graph:
        path: list[str] = []
        waiting = [iter([start])]
        while waiting:
            node = next(waiting[-1], None)
            if node is None:
                waiting.pop()
                if path:
                    done.add(path.pop())
                continue
            if node in path:
                return path[path.index(node) :]
            if node not in done:
                path.append(node)
                waiting.append(iter(graph.get(node, {})))
    return []


def _short(text: str, longest: int = 40) -> str:
    return text if len(text) <= longest else text[: longest - 3] + "..."


_EXAMPLE = '{"prompt": "...", "answers": ["the better", "the worse"]}'
