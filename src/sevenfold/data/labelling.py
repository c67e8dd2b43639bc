"""One person compares answers two by two: which pair is next, what is recorded, what is taken back.

A prompt with K answers is asked as pairs, but for those whose order follows from what was said before (a over b and
b over c say a over c): so a person cannot contradict himself in a circle, and a ranking of K takes fewer questions
than K (K - 1) / 2. Every judgement is a line of a file at once (`comparisons`); a session that is begun again goes
on where the file ends. Which answer stands first is drawn for each pair and labeller, so that a habit of taking the
first one does not favour whoever wrote it. It must not know terminals.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from sevenfold.data.comparisons import (
    Candidates,
    Judgement,
    append_judgement,
    read_judgements,
    take_back_judgement,
)
from sevenfold.errors import InputFileError

__all__ = ["Labelling", "Order", "Pair", "order_of", "pairs_to_compare"]

#: Of each prompt: for each answer, those that it is better than, by what was said and what follows from it.
Order = Mapping[str, Mapping[str, frozenset[str]]]


@dataclass(frozen=True)
class Pair:
    """Two answers to a prompt, as they are shown."""

    prompt: str
    first: str
    second: str

    @property
    def key(self) -> tuple[str, frozenset[str]]:
        """What it is apart from the order in which it is shown."""
        return self.prompt, frozenset((self.first, self.second))


def pairs_to_compare(candidates: Iterable[Candidates], labeller: str) -> list[Pair]:
    """Each pair of answers to a prompt once, in the order of the file; who stands first is drawn for the labeller.

    >>> [(pair.first, pair.second) for pair in pairs_to_compare([Candidates("p", ("a", "b"))], "me")]
    [('b', 'a')]
    """
    found: dict[tuple[str, frozenset[str]], Pair] = {}
    for one in candidates:
        for two in combinations(one.answers, 2):
            first, second = sorted(two)  # not as in the file, where the better one may stand first
            drawn = hashlib.sha256("\0".join((labeller, one.prompt, first, second)).encode()).digest()[0]
            pair = Pair(one.prompt, first, second) if drawn % 2 else Pair(one.prompt, second, first)
            found.setdefault(pair.key, pair)
    return list(found.values())


def order_of(judgements: Iterable[Judgement]) -> Order:
    """What the judgements of one person say, and what follows from them."""
    said: dict[str, dict[str, set[str]]] = {}
    for one in judgements:
        for better, worse in zip(one.answers, one.answers[1:], strict=False):
            said.setdefault(one.prompt, {}).setdefault(better, set()).add(worse)
    return {prompt: {answer: _below(graph, answer) for answer in graph} for prompt, graph in said.items()}


class Labelling:
    """What one labeller has still to compare; every judgement is in the file before `judge` returns."""

    def __init__(self, pairs: Sequence[Pair], out: Path, labeller: str = "") -> None:
        self.pairs = pairs
        self.recorded = 0  # in this session, less what was taken back
        self._out = out
        self._labeller = labeller
        self._skipped: list[Pair] = []
        self._last: list[Pair | None] = []  # what was done in this session: a skipped pair, or None for a judgement
        self._state = (-1, 0)
        self._refresh()

    @property
    def skipped(self) -> int:
        """How many pairs were put off; they are asked again in the next session."""
        return sum(not self._answered(pair) for pair in self._skipped)

    @property
    def done(self) -> int:
        """How many pairs have an order, by a judgement or by what follows from some."""
        return sum(self._answered(pair) for pair in self.pairs)

    def next(self) -> Pair | None:
        """The pair to ask; None when there is none left."""
        self._refresh()
        put_off = {pair.key for pair in self._skipped}
        return next((p for p in self.pairs if p.key not in put_off and not self._answered(p)), None)

    def judge(self, pair: Pair, *, first: bool) -> bool:
        """Record which of the two is better; False where another session has recorded that pair meanwhile."""
        self._refresh()
        if self._answered(pair):
            return False
        answers = (pair.first, pair.second) if first else (pair.second, pair.first)
        append_judgement(self._out, Judgement(pair.prompt, answers, self._labeller))
        self._last.append(None)
        self.recorded += 1
        return True

    def skip(self, pair: Pair) -> None:
        """Put a pair off until the next session."""
        self._skipped.append(pair)
        self._last.append(pair)

    def undo(self) -> bool:
        """Take the last judgement (of an earlier session too) or skip back; False where there is nothing to take.

        A judgement is taken back only while it is the last line of the file.
        """
        if self._last and (skipped := self._last[-1]) is not None:
            self._last.pop()
            self._skipped.remove(skipped)
            return True
        self._refresh()
        mine = {pair.key for pair in self.pairs}
        if not self._judgements:
            return False
        judgement = self._judgements[-1]
        known = len(judgement.answers) == 2 and (judgement.prompt, frozenset(judgement.answers)) in mine
        if not known or judgement.labeller != self._labeller or not take_back_judgement(self._out, judgement):
            return False
        if self._last:
            self._last.pop()
        self.recorded -= 1
        return True

    def _answered(self, pair: Pair) -> bool:
        below = self._order.get(pair.prompt, {})
        return pair.second in below.get(pair.first, ()) or pair.first in below.get(pair.second, ())

    def _refresh(self) -> None:
        """Read the file anew if it has changed: another session may write to it."""
        try:
            stat = self._out.stat()
            state = stat.st_size, stat.st_mtime_ns
        except FileNotFoundError:
            state = 0, 0
        except OSError as error:
            raise InputFileError("cannot read comparisons", got=f"{self._out} ({error.strerror})") from None
        if state != self._state:
            self._judgements = read_judgements(self._out) if state[0] else []
            self._order = order_of(one for one in self._judgements if one.labeller == self._labeller)
            self._state = state


def _below(graph: Mapping[str, set[str]], start: str) -> frozenset[str]:
    found: set[str] = set()
    waiting = list(graph[start])
    while waiting:
        answer = waiting.pop()
        if answer not in found:
            found.add(answer)
            waiting.extend(graph.get(answer, ()))
    return frozenset(found)
