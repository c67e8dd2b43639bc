"""Comparisons of answers by people: JSON Lines in and out, and what makes such a file useless told before training.

One line is one judgement of the answers to a prompt, best first; ties are not recorded:

    {"prompt": "Is it raining?", "answers": ["No, sir.", "no"], "labeller": "a"}

Two answers are a plain comparison, K answers a ranking of K, which says K (K - 1) / 2 comparisons (Ouyang et al.
2022, section 3.5: all of a prompt belong into one batch). ``labeller`` may be left out.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from sevenfold.errors import InputFileError

__all__ = [
    "Candidates",
    "Judgement",
    "append_judgement",
    "check_judgements",
    "pairs_of",
    "read_candidates",
    "read_judgements",
    "take_back_judgement",
    "write_candidates",
    "write_judgements",
]

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


@dataclass(frozen=True)
class Candidates:
    """The answers to a prompt, in no order that means anything: what somebody is to compare."""

    prompt: str
    answers: tuple[str, ...]


def read_judgements(path: Path) -> list[Judgement]:
    """All judgements of a file, checked (`check_judgements`).

    Raises InputFileError naming the line for what is no JSON, a missing prompt or answer, an unknown key, equal
    answers, and for comparisons of one labeller that contradict each other in a circle.
    """
    numbered = _numbered_lines(path, "comparisons", "`sevenfold label`")
    found = [_judgement(line, f"{path.name}, line {number}") for number, line in numbered]
    check_judgements(found, [f"line {number}" for number, _ in numbered], source=path.name)
    return found


def read_candidates(path: Path) -> list[Candidates]:
    """What is to be compared: the same lines, whose order says nothing; a labeller's name is passed over.

    Raises InputFileError naming the line, as `read_judgements` does.
    """
    numbered = _numbered_lines(path, "answers", _EXAMPLE)
    rows = [_judgement(line, f"{path.name}, line {number}") for number, line in numbered]
    return [Candidates(row.prompt, row.answers) for row in rows]


def write_candidates(path: Path, candidates: Iterable[Candidates]) -> None:
    """A new file of answers to compare; raises InputFileError where there is one already."""
    write_judgements(path, [Judgement(one.prompt, one.answers) for one in candidates])


def write_judgements(path: Path, judgements: Iterable[Judgement]) -> None:
    """A new file of judgements; raises InputFileError where there is one already."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.writelines(one.to_json() + "\n" for one in judgements)
    except OSError as error:
        raise InputFileError("cannot write comparisons", got=f"{path} ({error.strerror})") from None


def append_judgement(path: Path, judgement: Judgement) -> None:
    """Add one judgement to a file, which is made if it is not there; what it holds stays as it is.

    On return the line is on the disk. Where the disk takes a part of it only, that part is taken off again.
    """
    line = (judgement.to_json() + "\n").encode()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+b") as file:
            end = file.seek(0, os.SEEK_END)
            if end and _last_byte(path) != b"\n":  # a file that was written by hand
                line = b"\n" + line
            try:
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
            except OSError:
                os.truncate(path, end)
                raise
    except OSError as error:
        raise InputFileError("cannot write comparisons", got=f"{path} ({error.strerror})") from None


def take_back_judgement(path: Path, judgement: Judgement) -> bool:
    """Take the last line off a file if it is this judgement; False, and nothing changed, if it is not."""
    try:
        whole = path.read_bytes()
        line = (judgement.to_json() + "\n").encode()
        before = len(whole) - len(line)
        if before < 0 or whole[before:] != line or (before and whole[before - 1 : before] != b"\n"):
            return False
        os.truncate(path, before)
    except OSError as error:
        raise InputFileError("cannot write comparisons", got=f"{path} ({error.strerror})") from None
    return True


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


def _numbered_lines(path: Path, of_what: str, hint: str) -> list[tuple[int, str]]:
    """The lines that are not blank; a text may hold the separators that ``splitlines`` would cut at."""
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputFileError(f"cannot read {of_what}", got=f"{path} ({error})") from None
    numbered = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    if not numbered:
        raise InputFileError(f"no {of_what}", got=f"{path} is empty", hint=hint)
    return numbered


def _last_byte(path: Path) -> bytes:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1)


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
