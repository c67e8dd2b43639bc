"""The hidden Markov model held to sums over every path, and Baum-Welch to what it promises."""

from __future__ import annotations

from itertools import pairwise, product

import pytest
import torch

from sevenfold.errors import UsageError
from sevenfold.models import MODELS

S, V, LENGTH = 3, 4, 5


def model(**settings):
    torch.manual_seed(settings.pop("seed", 0))
    settings = {"vocabulary": V, "states": S, "added": 0.0, "forgetting": 0.0} | settings
    return MODELS["hidden-markov-small"].build(settings).double()


def loud_model(loud, **settings):
    return loud(model(**settings))


@pytest.fixture
def tokens():
    return torch.randint(V, (4, LENGTH), generator=torch.Generator().manual_seed(7))


def weights_of(module):
    """Rows that sum to 1, by their definition."""
    return [(w.exp() / w.exp().sum(-1, keepdim=True)).tolist() for w in module.parameters()]


def joint(weights, path, sequence, *, mutation=None):
    """p(x, z) of one path."""
    start, move, emit = weights
    probability = start[path[0]] * emit[path[0]][sequence[0]]
    for t in range(1, len(sequence)):
        one, other = (path[t], path[t - 1]) if mutation == "moves backwards" else (path[t - 1], path[t])
        shown = path[t - 1] if mutation == "emits before it moves" else path[t]
        probability *= move[one][other] * emit[shown][sequence[t]]
    return probability


def every_path(weights, sequence, **kind):
    return {path: joint(weights, path, sequence, **kind) for path in product(range(S), repeat=len(sequence))}


def next_distribution(weights, sequence, **kind):
    """p(x_{L+1} | x_1 .. x_L): sums over every path of L + 1 states."""
    wholes = [sum(every_path(weights, [*sequence, token], **kind).values()) for token in range(V)]
    return torch.tensor(wholes, dtype=torch.float64) / sum(wholes)


def reference(weights, tokens, **kind):
    rows = [weights[name].detach() for name in ("initial", "transition", "emission")]
    lists = [(w.exp() / w.exp().sum(-1, keepdim=True)).tolist() for w in rows]
    return torch.stack(
        [
            torch.stack([next_distribution(lists, row[: t + 1], **kind).log() for t in range(len(row))])
            for row in tokens.tolist()
        ]
    )


def test_logits_equal_sums_over_every_path(loud, tokens):
    module = loud_model(loud)
    got = module(tokens[:2]).detach()
    expected = reference(dict(module.named_parameters()), tokens[:2])
    assert float((got - expected).abs().max()) < 1e-10


@pytest.mark.parametrize("mutation", ["moves backwards", "emits before it moves"])
def test_a_mutated_reference_differs(loud, tokens, mutation):
    module = loud_model(loud)
    expected = reference(dict(module.named_parameters()), tokens[:1], mutation=mutation)
    assert float((module(tokens[:1]).detach() - expected).abs().max()) > 1e-3


def test_gradients_equal_differences_of_the_sums(loud, tokens):
    """Of the likelihood of the last token; every parameter, by central differences of the slow reference."""
    module = loud_model(loud)
    module(tokens)[0, -1, 1].backward()
    for weight in module.parameters():
        for index in list(product(*(range(size) for size in weight.shape)))[::3]:
            moved = []
            for step in (1e-5, -1e-5):
                with torch.no_grad():
                    weight[index] += step
                    moved.append(float(reference(dict(module.named_parameters()), tokens[:1])[0, -1, 1]))
                    weight[index] -= step
            assert float(weight.grad[index]) == pytest.approx((moved[0] - moved[1]) / 2e-5, abs=1e-7)


def test_likelihood_posterior_and_viterbi_equal_every_path(loud, tokens):
    module = loud_model(loud)
    weights = weights_of(module)
    likelihood, posterior = module.log_likelihood(tokens), module.posterior(tokens)
    paths, best = module.viterbi(tokens)
    for row, sequence in enumerate(tokens.tolist()):
        every = every_path(weights, sequence)
        whole = sum(every.values())
        assert float(likelihood[row].exp()) == pytest.approx(whole, rel=1e-12)
        likeliest = max(every, key=every.get)
        assert tuple(paths[row].tolist()) == likeliest
        assert float(best[row].exp()) == pytest.approx(every[likeliest], rel=1e-12)
        for t, state in product(range(LENGTH), range(S)):
            share = sum(p for path, p in every.items() if path[t] == state) / whole
            assert float(posterior[row, t, state]) == pytest.approx(share, abs=1e-12)


def test_an_update_is_in_proportion_to_expected_counts(loud, tokens):
    """One step of Baum-Welch: starts, moves and emissions weighted by the posterior of every path."""
    module = loud_model(loud)
    weights = weights_of(module)
    starts, moves, emissions = torch.zeros(S), torch.zeros(S, S), torch.zeros(S, V)
    for sequence in tokens.tolist():
        every = every_path(weights, sequence)
        whole = sum(every.values())
        for path, probability in every.items():
            starts[path[0]] += probability / whole
            for t, state in enumerate(path):
                emissions[state, sequence[t]] += probability / whole
                if t:
                    moves[path[t - 1], state] += probability / whole
    before = module.log_likelihood(tokens), module.log_likelihood(tokens[:, :1])
    loss = module.update(tokens[:, :-1], tokens[:, 1:])
    # The loss is of the targets alone: of a sequence less its first token.
    assert float(loss) == pytest.approx(-float((before[0] - before[1]).sum()) / tokens[:, 1:].numel(), rel=1e-12)
    for got, expected in zip(module.probabilities(), (starts, moves, emissions), strict=True):
        assert torch.allclose(got, (expected / expected.sum(-1, keepdim=True)).double(), atol=1e-6)


@pytest.mark.parametrize("added", [0.0, 0.5])
def test_no_step_of_baum_welch_lowers_the_likelihood(added):
    """With pseudo-counts what may not fall is the likelihood times the prior that they stand for."""
    text = torch.randint(5, (30, 12), generator=torch.Generator().manual_seed(3))
    module = model(states=4, vocabulary=5, added=added, seed=1)

    def objective():
        prior = sum(float(p.detach().log().sum()) for p in module.probabilities()) if added else 0.0
        return float(module.log_likelihood(text).sum()) + added * prior

    reached = [objective()]
    for _ in range(60):
        module.update(text[:, :-1], text[:, 1:])
        reached.append(objective())
    steps = [later - earlier for earlier, later in pairwise(reached)]
    assert min(steps) > -1e-8
    assert reached[-1] - reached[0] > 50


def test_a_planted_chain_is_found_again():
    """Two states that stay for long, each with its own tokens: Viterbi tells who spoke when."""
    draw = torch.Generator().manual_seed(2)
    states = torch.zeros(400, 41, dtype=torch.int64)
    for t in range(1, 41):
        states[:, t] = torch.where(torch.rand(400, generator=draw) < 0.1, 1 - states[:, t - 1], states[:, t - 1])
    emission = torch.tensor([[0.6, 0.3, 0.05, 0.05], [0.05, 0.05, 0.4, 0.5]])
    text = torch.multinomial(emission[states.flatten()], 1, generator=draw).reshape(400, 41)
    module = model(states=2, vocabulary=4)
    for _ in range(100):
        module.update(text[:, :-1], text[:, 1:])
    found, _ = module.viterbi(text)
    planted = model(states=2, vocabulary=4)
    truth = (torch.tensor([1.0, 1e-9]), torch.tensor([[0.9, 0.1], [0.1, 0.9]]), emission)
    with torch.no_grad():
        for weight, rows in zip(planted.parameters(), truth, strict=True):
            weight.copy_(rows.log())
    assert module.log_likelihood(text).sum() >= planted.log_likelihood(text).sum()
    best = float((planted.viterbi(text)[0] == states).float().mean())
    agreed = float((found == states).float().mean())
    assert max(agreed, 1 - agreed) > best - 0.01 > 0.87  # as often as who knows the chain
    initial, transition, emitted = (weights.detach() for weights in module.probabilities())
    assert float(transition.diagonal().min()) == pytest.approx(0.9, abs=0.03)
    order = emitted[:, 0].argsort(descending=True)
    assert torch.allclose(emitted[order].float(), emission, atol=0.05)
    assert float(initial[order[0]]) > 0.95


def test_batches_are_averaged_by_their_number():
    """The k-th batch weighs k^-forgetting: with 1 all batches count alike."""
    first, second = (torch.randint(V, (6, 5), generator=torch.Generator().manual_seed(n)) for n in (1, 2))
    module = model(forgetting=1.0)
    module.update(first[:, :-1], first[:, 1:])
    kept = module.emissions.clone()
    expected = module._expected(second)[0]
    module.update(second[:, :-1], second[:, 1:])
    counts = torch.zeros(S, V, dtype=torch.float64)
    for token in range(V):
        counts[:, token] = expected[second == token].sum(0)
    assert torch.allclose(module.emissions, (kept + counts / 6) / 2, atol=1e-12)


def test_long_sequences_do_not_underflow():
    module = model(states=8, vocabulary=50).float()
    text = torch.randint(50, (2, 2000), generator=torch.Generator().manual_seed(0))
    assert torch.isfinite(module.log_likelihood(text)).all()
    assert torch.isfinite(module.posterior(text)).all()
    paths, best = module.viterbi(text)
    assert torch.isfinite(best).all()
    assert (best <= module.log_likelihood(text)).all()
    assert paths.shape == text.shape


def test_tokens_beyond_the_vocabulary_are_refused():
    with pytest.raises(UsageError, match="hidden Markov model"):
        model()(torch.tensor([[V]]), check_values=True)
