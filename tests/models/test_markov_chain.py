"""The Markov chain: exact counts, smoothing held to a loop with fractions, and what it must not see."""

from __future__ import annotations

from fractions import Fraction

import pytest
import torch

from sevenfold.errors import UsageError
from sevenfold.models import MODELS
from sevenfold.models._generating import generate


def slow(text, history, token, size, *, mutation=None):
    """p(token | history) from windows of text, by the recursion of Witten and Bell, in fractions.

    ``text`` is windows [T + 1] each of whose tokens but the first was counted.
    """
    order = len(history)
    followed = [
        window[end]
        for window in text
        for end in range(max(1, order), len(window))
        if window[end - order : end] == history
    ]
    if mutation == "types of all":
        different = size
    elif mutation == "no smoothing":
        different = 0
    else:
        different = len(set(followed))
    if order == 0:
        lower = Fraction(1, size)
    else:
        shorter = history[:-1] if mutation == "drops the newest" else history[1:]
        lower = slow(text, shorter, token, size, mutation=mutation)
    if not followed:
        return lower
    return (followed.count(token) + different * lower) / Fraction(len(followed) + different)


def windows_of(seed, size, count, length):
    return torch.randint(size, (count, length), generator=torch.Generator().manual_seed(seed))


def counted(size, order, batches, **settings):
    module = MODELS["markov-chain-small"].build({"vocabulary": size, "order": order, **settings}).double()
    for windows in batches:
        module.update(windows[:, :-1], windows[:, 1:])
    return module


def largest_difference(order, mutation=None, **settings):
    size, text = 3, windows_of(0, 3, 8, 7)
    module = counted(size, order, text.split(5), **settings)  # two batches of unequal size are one text
    told = windows_of(1, size, 2, 6)
    got = module(told).detach().exp()
    assert torch.allclose(got.sum(-1), torch.ones(2, 6, dtype=torch.float64))
    worst = 0.0
    for row, tokens in enumerate(told.tolist()):
        for t in range(len(tokens)):
            history = tokens[max(0, t - order + 1) : t + 1]
            for token in range(size):
                expected = slow(text.tolist(), history, token, size, mutation=mutation)
                worst = max(worst, abs(float(expected) - float(got[row, t, token])))
    return worst


@pytest.mark.parametrize("order", [1, 2, 3])
def test_probabilities_equal_a_loop_over_the_text(order):
    assert largest_difference(order) < 1e-12


@pytest.mark.parametrize("order", [3, 4])
def test_listed_contexts_give_the_same(order):
    """Of order 3 and up the contexts are listed, as they come; those of order 2 have a row each."""
    assert largest_difference(order, contexts=26) < 1e-12


def test_where_no_row_is_left_a_context_is_as_its_shorter_one():
    text = windows_of(0, 3, 8, 7)
    few, none = (counted(3, 3, [text], contexts=number) for number in (9, 26))
    listed = few.get_buffer("listed_3")
    assert (listed.diff() > 0).all()
    every = torch.cartesian_prod(*[torch.arange(3)] * 3)
    number = every[:, 0] * 9 + every[:, 1] * 3 + every[:, 2]
    kept = torch.isin(number, listed)
    assert kept.sum() == 9
    logits, whole = few(every)[:, -1], none(every)[:, -1]
    assert torch.allclose(logits[kept], whole[kept])
    assert torch.equal(logits[~kept], few(every[~kept, 1:])[:, -1])


@pytest.mark.parametrize("mutation", ["types of all", "no smoothing", "drops the newest"])
def test_a_mutated_reference_differs(mutation):
    assert largest_difference(2, mutation) > 1e-3


def test_counts_are_those_of_the_text():
    module = counted(4, 2, [torch.tensor([[0, 1, 2, 1], [1, 2, 1, 2]])])
    assert module.counts(0)[0].tolist() == [0, 3, 3, 0]  # the first token of a window is no target
    pairs = {(a, b): int(n) for a, row in enumerate(module.counts(1).tolist()) for b, n in enumerate(row) if n}
    assert pairs == {(0, 1): 1, (1, 2): 3, (2, 1): 2}
    triples = {(h, v): int(n) for h, row in enumerate(module.counts(2).tolist()) for v, n in enumerate(row) if n}
    assert triples == {(0 * 4 + 1, 2): 1, (1 * 4 + 2, 1): 2, (2 * 4 + 1, 2): 1}


def test_a_chain_is_found_again():
    """Markov's two symbols: from a long text of a chain, its two probabilities to the error of sampling."""
    draw = torch.Generator().manual_seed(5)
    to_vowel = torch.tensor([0.663, 0.128])  # after a consonant, after a vowel
    tokens = torch.zeros(400, 101, dtype=torch.int64)
    for t in range(1, 101):
        tokens[:, t] = (torch.rand(400, generator=draw) < to_vowel[tokens[:, t - 1]]).long()
    module = MODELS["markov-chain"].build()
    module.update(tokens[:, :-1], tokens[:, 1:])
    found = module(torch.tensor([[0, 1]])).exp()[0, :, 1]
    assert torch.allclose(found, to_vowel, atol=0.012)
    entropy = -(to_vowel * to_vowel.log() + (1 - to_vowel) * (1 - to_vowel).log())
    share = torch.tensor([1 - 0.663 / (0.663 + 1 - 0.128), 0.663 / (0.663 + 1 - 0.128)])  # stationary
    loss = module.update(tokens[:, :-1], tokens[:, 1:])
    assert float(loss) == pytest.approx(float((share * entropy).sum()), abs=0.01)


def test_the_loss_is_that_before_counting():
    module = MODELS["markov-chain-small"].build({"vocabulary": 5})
    windows = windows_of(2, 5, 6, 9)
    first = module.update(windows[:, :-1], windows[:, 1:])
    assert float(first) == pytest.approx(torch.tensor(5.0).log().item())
    assert module.update(windows[:, :-1], windows[:, 1:]) < first


def test_a_context_that_never_came_is_as_its_shorter_one():
    module = counted(4, 2, [torch.tensor([[0, 1, 2, 0, 1, 2]])])
    logits = module(torch.tensor([[3, 1], [0, 1], [3, 3]]))[:, -1]
    assert torch.equal(logits[0], module(torch.tensor([[1]]))[0, 0])
    assert not torch.equal(logits[0], logits[1])
    assert torch.allclose(logits[2].exp(), (module.counts(0)[0] + 3 / 4) / (5 + 3))


def test_it_writes_text():
    module = counted(3, 1, [torch.tensor([[0, 1, 2] * 50])])
    text = generate(module, torch.tensor([[0]]), max_new_tokens=6, method="greedy").tokens
    assert text.tolist() == [[0, 1, 2, 0, 1, 2, 0]]


def test_tokens_beyond_the_vocabulary_are_refused():
    with pytest.raises(UsageError, match="Markov chain"):
        MODELS["markov-chain"].build()(torch.tensor([[2]]), check_values=True)
