"""The actions behind ``sevenfold label``: a person compares answers two by two, and how two people agree.

The person is a function that is shown a question and returns a key, so that a terminal, a pipe and a program are
alike. It must not know terminals.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sevenfold.errors import UsageError

if TYPE_CHECKING:
    from sevenfold.data.labelling import Labelling, Pair

SCHEMA_VERSION = "1.0"
KEYS = {"1": "first", "2": "second", "s": "skip", "u": "undo", "q": "quit"}


@dataclass(frozen=True)
class Question:
    """Two answers to a prompt, and how far the person has come."""

    prompt: str
    first: str
    second: str
    labeller: str
    done: int
    pairs: int
    skipped: int
    note: str = ""  # what became of the last key


@dataclass(frozen=True)
class LabelResult:
    """What a session has recorded, and what is left."""

    out: str
    answers: str  # the file of what was compared; "" where two labellers' disputes were judged
    labeller: str
    pairs: int
    done: int  # of the pairs: compared, or following from those that were
    recorded: int  # judgements of this session, less what was taken back
    skipped: int
    drawn: int | None  # prompts that a run answered just now; those to which it had one answer are left out
    ended: str  # all compared, only skipped ones left, or left by the labeller

    def to_dict(self) -> dict[str, Any]:
        """The object that ``--json`` prints."""
        return {"schema_version": SCHEMA_VERSION, **asdict(self)}


@dataclass(frozen=True)
class LabellerAgreement:
    """How two labellers' comparisons agree, and what was written of it."""

    first: str
    second: str
    shared: int
    agreed: int
    share: float
    kappa: float
    only_first: int
    only_second: int
    out: str | None  # the comparisons that were decided
    comparisons: int | None
    judged: int | None
    open: int | None
    circular: int | None

    def to_dict(self) -> dict[str, Any]:
        """The object that ``--json`` prints."""
        return {"schema_version": SCHEMA_VERSION, **asdict(self)}


def label(
    answers: str | Path | None = None,
    *,
    out: str | Path,
    ask: Callable[[Question], str],
    labeller: str = "",
    judge: tuple[str | Path, str | Path] | None = None,
    from_run: str | None = None,
    prompts: str | Path | None = None,
    num: int = 20,
    max_new_tokens: int = 60,
    temperature: float = 1.0,
    seed: int = 0,
) -> LabelResult:
    """Let somebody compare the answers of a file two by two; each judgement is in ``out`` at once.

    >>> label("answers.jsonl", out="mine.jsonl", ask=lambda question: "1").ended  # doctest: +SKIP
    'all compared'

    ``ask`` is shown each question and returns a key: 1 or 2 for the better answer, s to skip, u to undo, q to quit
    ("" too). The same call goes on where the file ends. ``judge`` takes the pairs on which two labellers' files
    differ in place of ``answers``. With ``from_run``, a finished language model's answers to ``prompts`` (a line
    each; without them the beginnings of its validation texts) are written to ``answers`` first, two to each of
    ``num`` prompts.

    Raises UsageError where it is not clear what to compare, InputFileError for files that are missing, damaged, or
    contradict themselves.
    """
    from sevenfold.data.labelling import Labelling, pairs_to_compare

    _check_sources(answers, judge, from_run, prompts)
    if from_run is None and (num, max_new_tokens, temperature, seed) != (20, 60, 1.0, 0):
        raise UsageError(
            "how answers are drawn means something for a run's answers alone",
            got="num, max_new_tokens, temperature or seed without from_run",
            hint="--from-run RUN",
        )
    _check_out(Path(out), [path for path in (answers, *(judge or ())) if path is not None])
    drawn = None
    if from_run is not None and answers is not None and not Path(answers).exists():
        from sevenfold.actions._answers import sample_answers
        from sevenfold.data.comparisons import write_candidates

        found = sample_answers(
            from_run,
            None if prompts is None else Path(prompts),
            num=num,
            max_new_tokens=max_new_tokens,
            temperature=temperature,
            seed=seed,
        )
        write_candidates(Path(answers), found)
        drawn = len(found)
    session = Labelling(pairs_to_compare(_candidates(answers, judge), labeller), Path(out), labeller)
    left = _questions(session, labeller, ask)
    ended = "left by the labeller" if left else "only skipped ones left" if session.skipped else "all compared"
    return LabelResult(
        out=str(out),
        answers="" if answers is None else str(answers),
        labeller=labeller,
        pairs=len(session.pairs),
        done=session.done,
        recorded=session.recorded,
        skipped=session.skipped,
        drawn=drawn,
        ended=ended,
    )


def label_agreement(
    first: str | Path, second: str | Path, *, judged_by: str | Path | None = None, out: str | Path | None = None
) -> LabellerAgreement:
    """How often two labellers' files agree, and beyond chance; ``out`` takes what the two and their judge decided.

    >>> label_agreement("a.jsonl", "b.jsonl").kappa  # doctest: +SKIP
    0.62

    Raises InputFileError for a file that is missing, damaged or of several labellers, or an ``out`` that is there,
    UsageError where the two have no pair in common.
    """
    from sevenfold.data.agreement import agreement_of, decided, read_labeller
    from sevenfold.data.comparisons import write_judgements

    agreement = agreement_of(read_labeller(Path(first)), read_labeller(Path(second)))
    decisions = None
    if out is not None:
        decisions = decided(agreement, [] if judged_by is None else read_labeller(Path(judged_by)))
        write_judgements(Path(out), decisions.comparisons)
    elif judged_by is not None:
        raise UsageError("what the judge decided goes to a file", got="no --out", hint="--out decided.jsonl")
    return LabellerAgreement(
        first=str(first),
        second=str(second),
        shared=agreement.shared,
        agreed=len(agreement.agreed),
        share=agreement.share,
        kappa=agreement.kappa,
        only_first=agreement.only_first,
        only_second=agreement.only_second,
        out=None if out is None else str(out),
        comparisons=None if decisions is None else len(decisions.comparisons),
        judged=None if decisions is None else decisions.judged,
        open=None if decisions is None else decisions.open,
        circular=None if decisions is None else decisions.circular,
    )


def _check_sources(answers: object, judge: object, from_run: object, prompts: object) -> None:
    if prompts is not None and from_run is None:
        raise UsageError("prompts are for a model to answer", got="no --from-run", hint="--from-run RUN")
    if answers is None and judge is None:
        raise UsageError(
            "nothing to compare",
            expected="a file of answers" if from_run is None else "a file to write the run's answers to",
            hint="`sevenfold label answers.jsonl --out mine.jsonl`",
        )
    if judge is not None and (answers is not None or from_run is not None):
        raise UsageError(
            "a judge compares what two labellers differ on",
            got="answers, too",
            hint="`sevenfold label --judge a.jsonl b.jsonl --out judge.jsonl`",
        )


def _check_out(out: Path, read: Sequence[str | Path]) -> None:
    """What is compared would be taken for what was said."""
    if out.resolve() in {Path(path).resolve() for path in read}:
        raise UsageError(
            "comparisons go to a file of their own", got=f"--out {out}, which is read", hint="--out mine.jsonl"
        )


def _candidates(answers: str | Path | None, judge: tuple[str | Path, str | Path] | None) -> Any:
    from sevenfold.data.agreement import agreement_of, read_labeller
    from sevenfold.data.comparisons import read_candidates

    if judge is None:
        assert answers is not None
        return read_candidates(Path(answers))
    first, second = (read_labeller(Path(path)) for path in judge)
    return agreement_of(first, second).candidates()


def _questions(session: Labelling, labeller: str, ask: Callable[[Question], str]) -> bool:
    """Ask until nothing is left (False) or the person leaves (True)."""
    note = ""
    while (pair := session.next()) is not None:
        shown = Question(
            prompt=pair.prompt,
            first=pair.first,
            second=pair.second,
            labeller=labeller,
            done=session.done,
            pairs=len(session.pairs),
            skipped=session.skipped,
            note=note,
        )
        key = ask(shown)
        if KEYS.get(key.lower(), "quit" if not key else "") == "quit":
            return True
        note = _act(session, pair, key.lower())
    return False


def _act(session: Labelling, pair: Pair, key: str) -> str:
    """Carry a key out; what to tell of it."""
    match KEYS.get(key):
        case "first" | "second":
            recorded = session.judge(pair, first=key == "1")
            return "" if recorded else "another session has compared these two meanwhile"
        case "skip":
            session.skip(pair)
            return "skipped; asked again the next time"
        case "undo":
            return "taken back" if session.undo() else "nothing of yours to take back"
        case _:
            return f"{key!r} is no key: 1, 2, s(kip), u(ndo) or q(uit)"
