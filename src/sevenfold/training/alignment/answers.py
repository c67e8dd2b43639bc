"""Answers drawn from a language model, with its cache, and how likely models find them.

B texts, T tokens, V vocabulary. A text is prompt, answer, padding: `tokens` [B, T]; what a model is given is all
but the last token, what it is held to all but the first, and `answered` [B, T - 1] marks the answer among these.

Prompts may differ in length: rows are read together from the shortest prompt on, and where a longer prompt says
what comes next, that is taken for what was drawn. Padding follows the text, where a causal model does not see it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sevenfold.errors import UsageError
from sevenfold.layers import CachedDecoder, KeyValueCache

__all__ = ["Answers", "divergences", "entropies", "put_together", "sample_answers", "token_log_probabilities"]


@dataclass(frozen=True, eq=False)
class Answers:
    """Texts that are answers to prompts."""

    tokens: Tensor  # [B, T] int64
    answered: Tensor  # [B, T - 1] bool, over `targets`

    @property
    def inputs(self) -> Tensor:
        """What a model reads [B, T - 1]."""
        return self.tokens[:, :-1]

    @property
    def targets(self) -> Tensor:
        """What it is held to [B, T - 1]."""
        return self.tokens[:, 1:]

    @property
    def lengths(self) -> Tensor:
        """Tokens of each answer [B], that which ends it included."""
        return self.answered.sum(1)

    @property
    def ends(self) -> Tensor:
        """Where each text's last token stands in `tokens` [B]."""
        return (torch.arange(1, self.tokens.shape[1], device=self.tokens.device) * self.answered).argmax(1) + 1

    def take(self, rows: Tensor) -> Answers:
        """Some of the texts."""
        return Answers(self.tokens[rows], self.answered[rows])

    def prompts(self) -> list[list[int]]:
        """The tokens of each prompt."""
        starts = self.answered.int().argmax(1) + 1
        return [row[:start].tolist() for row, start in zip(self.tokens, starts, strict=True)]

    def lists(self) -> list[list[int]]:
        """The tokens of each answer."""
        return [row[kept].tolist() for row, kept in zip(self.targets, self.answered, strict=True)]


def put_together(prompts: Sequence[Sequence[int]], answers: Sequence[Sequence[int]], *, pad: int) -> Answers:
    """Prompts and their answers as one tensor.

    >>> put_together([[5, 6], [7]], [[1, 0], [0]], pad=0).tokens.tolist()
    [[5, 6, 1, 0], [7, 0, 0, 0]]

    Raises UsageError for an empty prompt or answer.
    """
    if not all(prompts) or not all(answers) or len(prompts) != len(answers):
        raise UsageError("a text is a prompt and an answer", got="an empty one, or one without the other")
    longest = max(len(prompt) + len(answer) for prompt, answer in zip(prompts, answers, strict=True))
    tokens = torch.full((len(prompts), longest), pad, dtype=torch.int64)
    answered = torch.zeros(len(prompts), longest - 1, dtype=torch.bool)
    for row, (prompt, answer) in enumerate(zip(prompts, answers, strict=True)):
        end = len(prompt) + len(answer)
        tokens[row, :end] = torch.tensor([*prompt, *answer])
        answered[row, len(prompt) - 1 : end - 1] = True
    return Answers(tokens, answered)


def sample_answers(
    model: CachedDecoder,
    prompts: Sequence[Sequence[int]],
    *,
    longest: int,
    end: int,
    pad: int | None = None,
    generator: torch.Generator | None = None,
) -> Answers:
    """An answer to each prompt, drawn at temperature 1 until ``end`` or ``longest`` tokens.

    ``pad`` fills up what is left (``end`` where it is not given). The model is used in the mode it is in; for one
    with dropout that is evaluation. Draws come from torch's own generator of the CPU where none is given. Raises
    UsageError for an empty prompt and where prompt and answer do not fit the model's context.
    """
    device = next(model.parameters()).device
    lengths = torch.tensor([len(prompt) for prompt in prompts])
    if not len(lengths) or int(lengths.min()) < 1 or longest < 1:
        raise UsageError(
            "an answer needs a prompt and room", got=f"{len(lengths)} prompts, {longest} tokens an answer"
        )
    total = int(lengths.max()) + longest
    if model.max_length is not None and total > model.max_length:
        raise UsageError(
            "prompt and answer are longer than the model's context",
            got=f"{int(lengths.max())} + {longest} tokens",
            expected=f"at most {model.max_length}",
        )
    pad = end if pad is None else pad
    tokens = torch.full((len(prompts), total), pad, dtype=torch.int64)
    for row, prompt in enumerate(prompts):
        tokens[row, : len(prompt)] = torch.tensor(prompt)
    answered = torch.zeros(len(prompts), total - 1, dtype=torch.bool)
    done = torch.zeros(len(prompts), dtype=torch.bool)
    cache, read = KeyValueCache(), 0
    with torch.no_grad():
        for at in range(int(lengths.min()), total):
            logits = model(tokens[:, read:at].to(device), cache=cache)[:, -1]
            read = at
            drawn = torch.multinomial(logits.float().softmax(-1).cpu(), 1, generator=generator).squeeze(1)
            answers = (at >= lengths) & ~done
            answered[:, at - 1] = answers
            tokens[:, at] = torch.where(answers, drawn, tokens[:, at])
            done |= answers & ((drawn == end) | (at + 1 >= lengths + longest))
            if done.all():
                break
    return Answers(tokens[:, : at + 1].to(device), answered[:, :at].to(device))


def token_log_probabilities(logits: Tensor, targets: Tensor) -> Tensor:
    """Log-probability [B, T] of each target [B, T] under logits [B, T, V]."""
    chosen = logits.gather(-1, targets[..., None]).squeeze(-1)
    return chosen - logits.logsumexp(-1)


def divergences(logits: Tensor, reference: Tensor) -> Tensor:
    """KL(policy, reference) [B, T] in nats of the next token, exact over the vocabulary; logits [B, T, V].

    Its sum over the tokens of answers that the policy drew is an unbiased estimate of the divergence of whole
    answers, and varies less than the sum of the drawn tokens' log-ratios.
    """
    policy, other = logits.log_softmax(-1), reference.log_softmax(-1)
    return (policy.exp() * (policy - other)).sum(-1)


def entropies(logits: Tensor) -> Tensor:
    """The entropy [B, T] of the next token in nats; logits [B, T, V]."""
    log = logits.log_softmax(-1)
    return -(log.exp() * log).sum(-1)
