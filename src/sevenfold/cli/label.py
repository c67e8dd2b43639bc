"""``sevenfold label``: a person compares two answers to a prompt, and how two people's comparisons agree."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sevenfold.cli._output import Json, emit, tell

if TYPE_CHECKING:
    from sevenfold.actions.label import LabellerAgreement, LabelResult, Question

_NARROW = 80  # columns below which the answers stand one above the other


def label(
    answers: Annotated[
        Path | None,
        typer.Argument(
            metavar="ANSWERS.jsonl",
            help='What to compare, a line each: {"prompt": "...", "answers": ["...", "..."]}.',
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The file that takes the comparisons, best answer first.")
    ] = None,
    labeller: Annotated[str, typer.Option(help="Your name in the file.")] = "",
    judge: Annotated[
        tuple[Path, Path] | None,
        typer.Option(metavar="A B", help="Compare only what the files of two labellers differ on."),
    ] = None,
    agreement: Annotated[
        tuple[Path, Path] | None,
        typer.Option(metavar="A B", help="Print how often two labellers' files agree; nobody is asked."),
    ] = None,
    judged_by: Annotated[
        Path | None, typer.Option(help="With --agreement: the judge's file; --out takes what was decided.")
    ] = None,
    from_run: Annotated[
        str | None,
        typer.Option(metavar="RUN", help="Have this causal-lm run write ANSWERS.jsonl first."),
    ] = None,
    prompts: Annotated[
        Path | None, typer.Option(help="With --from-run: prompts, one a line; else beginnings of validation texts.")
    ] = None,
    num: Annotated[int, typer.Option(help="With --from-run: how many prompts.")] = 20,
    max_new_tokens: Annotated[int, typer.Option(help="With --from-run: tokens of an answer, at most.")] = 60,
    temperature: Annotated[float, typer.Option(help="With --from-run: what logits are divided by.")] = 1.0,
    seed: Annotated[int, typer.Option(help="With --from-run: one seed, the same answers.")] = 0,
    as_json: Json = False,
) -> None:
    """Compare answers two by two: 1 or 2 for the better, s(kip), u(ndo), q(uit); goes on where it ended."""
    from sevenfold.actions.label import label as action
    from sevenfold.actions.label import label_agreement

    if agreement is not None:
        emit(label_agreement(*agreement, judged_by=judged_by, out=out), as_json, _agreed)
        return
    if out is None:
        raise typer.BadParameter("the comparisons need a file: --out mine.jsonl")
    if from_run is not None and answers is not None and answers.exists() and not as_json:
        tell(f"{answers} is there: its answers are compared, none are drawn from {from_run}")
    result = action(
        answers,
        out=out,
        ask=_Page(quiet=as_json and not sys.stderr.isatty()),
        labeller=labeller,
        judge=judge,
        from_run=from_run,
        prompts=prompts,
        num=num,
        max_new_tokens=max_new_tokens,
        temperature=temperature,
        seed=seed,
    )
    emit(result, as_json, _labelled)


class _Page:
    """Shows a question on stderr and takes a key: pressed on a terminal, or read from a pipe."""

    def __init__(self, *, quiet: bool) -> None:
        from rich.console import Console

        self._console = Console(stderr=True, highlight=False, quiet=quiet)
        self._typed = ""

    def __call__(self, question: Question) -> str:
        if self._console.is_terminal:
            self._console.clear()
        self._console.print(_question(question, self._console.width))
        return self._key()

    def _key(self) -> str:
        """One key; from a pipe the next character that is no space, and nothing at its end."""
        if not sys.stdin.isatty():
            while (character := sys.stdin.read(1)).isspace():
                pass
            return character
        if not self._typed:
            try:
                self._typed = typer.getchar()  # several, if they were typed in haste
            except EOFError:
                return ""
        key = self._typed if self._typed.startswith("\x1b") else self._typed[0]  # an arrow is one key
        self._typed = self._typed[len(key) :]
        return key


def _question(question: Question, width: int) -> Any:
    from rich.console import Group
    from rich.panel import Panel
    from rich.table import Table
    from rich.text import Text

    who = f"{question.labeller}, " if question.labeller else ""
    head = f"{who}{question.done} of {question.pairs} compared"
    head += f", {question.skipped} skipped" if question.skipped else ""
    first, second = (
        Panel(_shown(text), title=number, title_align="left")
        for number, text in (("1", question.first), ("2", question.second))
    )
    if width < _NARROW:
        both: Any = Group(first, second)
    else:
        both = Table.grid(expand=True)
        both.add_column(ratio=1)
        both.add_column(ratio=1)
        both.add_row(first, second)
    return Group(
        Text(head, style="dim"),
        Panel(_shown(question.prompt), title="prompt", title_align="left", border_style="bold"),
        both,
        Text("which is better?   1   2   s skip   u undo   q quit"),
        *([Text(question.note, style="yellow")] if question.note else []),
    )


def _shown(text: str) -> Any:
    """A text as it is, but for control characters, which a terminal would obey."""
    from rich.text import Text

    safe = "".join(
        character if character >= " " or character in "\n\t" else chr(0x2400 + ord(character)) for character in text
    )
    return Text(safe.replace("\x7f", "\u2421")) if text.strip() else Text(repr(text), style="dim")


def _labelled(result: LabelResult) -> Any:
    from rich.text import Text

    drawn = "" if result.drawn is None else f"two answers to each of {result.drawn} prompts: {result.answers}\n"
    put_off = f", {result.skipped} skipped" if result.skipped else ""
    return Text(
        f"{drawn}{result.done} of {result.pairs} pairs compared ({result.recorded} now{put_off}): {result.ended}\n"
        f"comparisons: {result.out}",
        overflow="fold",
    )


def _agreed(result: LabellerAgreement) -> Any:
    from rich.text import Text

    alone = [
        f"{n} only in {path}"
        for n, path in ((result.only_first, result.first), (result.only_second, result.second))
        if n
    ]
    lines = [
        f"{result.agreed} of {result.shared} pairs alike: {result.share:.1%}, Cohen's kappa {result.kappa:.3f}"
        + (f" ({'; '.join(alone)})" if alone else "")
    ]
    if result.out is not None:
        lines.append(
            f"{result.comparisons} comparisons, {result.judged} of them judged, {result.open} disputes left open: "
            f"{result.out}"
        )
        if result.circular:
            lines.append(f"{result.circular} prompts left out: decided pair by pair, their answers run in a circle")
    return Text("\n".join(lines), overflow="fold")
