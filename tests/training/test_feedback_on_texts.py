"""PPO on texts: draws, rewards a token and advantages held to slow references, learning to a known optimum."""

from __future__ import annotations

import copy
import itertools
import math

import pytest
import torch
import torch.nn.functional as F

from sevenfold.errors import UsageError
from sevenfold.models.transformer.gpt2 import GPT2, GPT2Spec
from sevenfold.runs.recipe import DataChoice, Feedback, ModelChoice, Optimizer, Recipe, Schedule
from sevenfold.training.alignment.answers import (
    divergences,
    put_together,
    sample_answers,
    token_log_probabilities,
)
from sevenfold.training.alignment.best_of import best_of, best_of_divergence
from sevenfold.training.alignment.critic import TokenValues
from sevenfold.training.alignment.feedback import judged_answers, whitened
from sevenfold.training.alignment.texts import Networks, Prompts, TextLearner

END, WORDS = 0, 5
PROMPTS = [[1, 2, 3], [4], [2, 2], [3, 1, 4, 4]]


def language_model(loud, vocabulary=WORDS, context=12, layers=2, width=16, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = GPT2(
            GPT2Spec(vocabulary=vocabulary, context=context, width=width, layers=layers, heads=2, dropout=0.0)
        ).eval()
        if loud:
            for weight in model.parameters():
                torch.nn.init.normal_(weight, std=0.5)
    return model


def test_answers_are_those_of_reading_each_text_anew_without_a_cache():
    model = language_model(loud=True)
    drawn = sample_answers(model, PROMPTS, longest=5, end=END, generator=torch.Generator().manual_seed(3))
    draw = torch.Generator().manual_seed(3)
    rows = [list(prompt) for prompt in PROMPTS]
    for at in range(1, 9):
        logits = torch.stack(
            [model(torch.tensor([row[:at] + [END] * (at - len(row[:at]))]))[0, -1] for row in rows]
        )
        tokens = torch.multinomial(logits.softmax(-1), 1, generator=draw).squeeze(1).tolist()
        for row, prompt, token in zip(rows, PROMPTS, tokens, strict=True):
            ended = len(row) > len(prompt) and row[-1] == END
            if at >= len(prompt) and not ended and len(row) < len(prompt) + 5:
                row.append(token)
        if all(
            row[len(prompt) :][-1:] == [END] or len(row) == len(prompt) + 5
            for row, prompt in zip(rows, PROMPTS, strict=True)
        ):
            break
    expected = [row[len(prompt) :] for row, prompt in zip(rows, PROMPTS, strict=True)]
    assert drawn.lists() == expected
    assert len({len(answer) for answer in expected}) > 1  # some ended by themselves
    assert drawn.lengths.tolist() == [len(answer) for answer in expected]
    for row, prompt, answer, end in zip(drawn.tokens.tolist(), PROMPTS, expected, drawn.ends.tolist(), strict=True):
        assert row[: end + 1] == [*prompt, *answer]
        assert set(row[end + 1 :]) <= {END}
    again = put_together(PROMPTS, expected, pad=END)
    width = again.tokens.shape[1]
    assert again.tokens.equal(drawn.tokens[:, :width])
    assert again.answered.equal(drawn.answered[:, : width - 1])


def test_answers_come_as_often_as_they_are_likely():
    model = language_model(loud=True, vocabulary=3)
    answers = [
        a
        for n in (1, 2)
        for a in itertools.product(range(3), repeat=n)
        if (0 not in a[:-1]) and (n == 2 or a[-1] == 0)
    ]
    texts = put_together([[1, 2]] * len(answers), answers, pad=END)
    log = token_log_probabilities(model(texts.inputs), texts.targets) * texts.answered
    likely = log.sum(1).exp()
    assert likely.sum().item() == pytest.approx(1, abs=1e-5)
    num = 20_000
    drawn = sample_answers(model, [[1, 2]] * num, longest=2, end=END, generator=torch.Generator().manual_seed(0))
    counts = dict.fromkeys(answers, 0)
    for answer in drawn.lists():
        counts[tuple(answer)] += 1
    for answer, share in zip(answers, likely.tolist(), strict=True):
        assert counts[answer] / num == pytest.approx(share, abs=4 * math.sqrt(share * (1 - share) / num) + 1e-4)


def test_prompts_without_room_are_told():
    model = language_model(loud=False)
    for prompts, longest in (([[1, 2], []], 3), ([], 3), ([[1] * 9], 4)):
        with pytest.raises(UsageError):
            sample_answers(model, prompts, longest=longest, end=END)


def random_experience(beta, discount=1.0, trace=0.95):
    policy, reference = language_model(loud=True), language_model(loud=True, seed=1)
    values = TokenValues(language_model(loud=True, seed=2), 16)
    torch.nn.init.normal_(values.head.weight, std=0.5)
    answers = sample_answers(policy, PROMPTS, longest=5, end=END, generator=torch.Generator().manual_seed(3))
    rewards = torch.tensor([1.0, -0.5, 2.0, 0.25])
    nets = {"policy": policy, "reference": reference, "values": values}
    return (
        answers,
        rewards,
        nets,
        judged_answers(answers, rewards, **nets, beta=beta, discount=discount, trace=trace),
    )


@pytest.mark.parametrize(("discount", "trace"), [(1.0, 0.95), (1.0, 1.0), (0.9, 0.5)])
def test_rewards_and_advantages_equal_a_loop_over_each_answer(discount, trace):
    answers, rewards, nets, found = random_experience(0.3, discount, trace)
    slow = torch.zeros_like(found.advantages)
    returns = torch.zeros_like(slow)
    for row, prompt in enumerate(PROMPTS):
        text = [*prompt, *answers.lists()[row]]
        tokens = torch.tensor([text])
        policy, reference = (nets[name](tokens)[0].log_softmax(-1) for name in ("policy", "reference"))
        values = nets["values"](tokens)[0]
        places = range(len(prompt) - 1, len(text) - 1)  # where each token of the answer is chosen
        rewarded = [-0.3 * (policy[at, text[at + 1]] - reference[at, text[at + 1]]) for at in places]
        rewarded[-1] = rewarded[-1] + rewards[row]
        exact = sum((policy[at].exp() * (policy[at] - reference[at])).sum() for at in places)
        assert found.divergences[row].item() == pytest.approx(exact.item(), rel=1e-4)
        ahead, after = 0.0, 0.0
        for at, reward in reversed(list(zip(places, rewarded, strict=True))):
            ahead = reward + discount * after - values[at] + discount * trace * ahead
            after = values[at]
            slow[row, at], returns[row, at] = ahead, ahead + values[at]
    torch.testing.assert_close(found.returns, returns, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found.advantages, whitened(slow, answers.answered), rtol=1e-4, atol=1e-4)
    kept = found.advantages[answers.answered]
    assert kept.mean().item() == pytest.approx(0, abs=1e-5)
    assert kept.std(correction=0).item() == pytest.approx(1, abs=1e-4)


def test_padding_and_what_follows_an_answer_change_nothing():
    answers, rewards, nets, found = random_experience(0.3)
    longer = copy.copy(answers)
    longer = type(answers)(F.pad(answers.tokens, (0, 2), value=4), F.pad(answers.answered, (0, 2)))
    other = judged_answers(longer, rewards, **nets, beta=0.3, discount=1.0, trace=0.95)
    torch.testing.assert_close(other.advantages[:, :-2], found.advantages, rtol=1e-4, atol=1e-5)
    assert other.advantages[:, -2:].abs().max() == 0
    torch.testing.assert_close(other.divergences, found.divergences)


def test_divergences_are_those_of_whole_answers():
    """The sum of the tokens' divergences, weighed by how likely the answers are, is the divergence of answers."""
    policy, reference = (language_model(loud=True, vocabulary=3, seed=seed) for seed in (0, 1))
    answers = [(0,), *((a, b) for a in (1, 2) for b in range(3))]
    texts = put_together([[1, 2]] * len(answers), answers, pad=END)
    logits, others = policy(texts.inputs), reference(texts.inputs)
    p, q = ((token_log_probabilities(one, texts.targets) * texts.answered).sum(1) for one in (logits, others))
    whole = (p.exp() * (p - q)).sum()
    each = (divergences(logits, others) * texts.answered).sum(1)
    assert (p.exp() * each).sum().item() == pytest.approx(whole.item(), rel=1e-4)
    assert divergences(logits, logits).abs().max() == 0


def learner(reward, *, steps=200, plain=None, lr=0.01, **feedback):
    policy = language_model(loud=False, vocabulary=4, context=4, layers=1)
    with torch.no_grad():
        policy.token_embedding.weight.normal_(std=0.1, generator=torch.Generator().manual_seed(1))
    settings = {"answer_tokens": 2, "minibatches": 4, "trace": 1.0, **feedback}
    recipe = Recipe(
        name="texts",
        task="rlhf",
        model=ModelChoice(name="gpt2-nano"),
        data=DataChoice(name="requests"),
        feedback=Feedback(**settings),
        optimizer=Optimizer(name="adam", lr=lr, weight_decay=0.0, clip_norm=1.0),
        schedule=Schedule(name="linear", warmup_fraction=0.0, final_fraction=0.0),
        batch_size=256,
        steps=steps,
    )
    reference = copy.deepcopy(policy).requires_grad_(False)
    networks = Networks(policy, TokenValues(copy.deepcopy(policy), 16))
    return TextLearner(recipe, networks, reference, Prompts([[1, 3]], END, END), reward, plain), reference


def test_nothing_has_moved_at_the_first_minibatch():
    def reward(answers):
        return answers.lengths.float()

    learning, _ = learner(reward, epochs=3)
    torch.manual_seed(0)
    first = learning.advance(0)
    assert first["first_ratio"] == pytest.approx(1.0, abs=1e-6)
    assert first["divergence"] == pytest.approx(0.0, abs=1e-6)  # still the reference
    assert abs(first["ratio"] - 1) > 1e-5  # moved after it
    second = learning.advance(1)
    assert second["first_ratio"] == pytest.approx(1.0, abs=1e-6)
    assert second["divergence"] > 1e-6


def test_the_penalty_leads_to_the_known_optimum():
    """max E[r] - beta KL(pi, ref) is at pi ~ ref exp(r / beta), whose worth is beta log E_ref[exp(r / beta)]."""
    answers = [(0,), *((a, b) for a in (1, 2, 3) for b in range(4))]
    beta, worth = (
        0.5,
        {
            answer: float(torch.randn((), generator=torch.Generator().manual_seed(7 + i)))
            for i, answer in enumerate(answers)
        },
    )

    def reward(drawn):
        return torch.tensor([worth[tuple(answer)] for answer in drawn.lists()])

    learning, reference = learner(reward, penalty=beta, lr=0.02, steps=100)
    torch.manual_seed(0)
    for step in range(100):
        learning.advance(step)
    texts = put_together([[1, 3]] * len(answers), answers, pad=END)

    def of(model):
        with torch.no_grad():
            return (token_log_probabilities(model(texts.inputs), texts.targets) * texts.answered).sum(1)

    rewards, held, found = torch.tensor(list(worth.values())), of(reference), of(learning.networks.policy)
    best = (held + rewards / beta).log_softmax(0)
    optimum = beta * (held + rewards / beta).logsumexp(0)

    def value(log):
        return (log.exp() * (rewards - beta * (log - held))).sum()

    assert value(best).item() == pytest.approx(optimum.item(), abs=1e-5)
    assert value(held) < optimum - 0.1
    assert value(found) > optimum - 0.03 * (optimum - value(held))
    assert (found.exp() - best.exp()).abs().sum() / 2 < 0.04
    assert (held.exp() - best.exp()).abs().sum() / 2 > 0.15


def test_the_loss_on_plain_texts_is_added_with_its_weight():
    class Plain:
        def __len__(self):
            return 8

        def batch(self, indices):
            rows = torch.tensor([[1, 2, 3, 3]] * len(indices))
            return rows[:, :-1], rows[:, 1:]

    learning, _ = learner(lambda answers: answers.lengths.float(), plain=Plain(), pretraining=2.0)
    torch.manual_seed(0)
    experience = learning.experience(0)
    texts = Plain().batch(range(4))
    without, with_texts = learning.loss(experience), learning.loss(experience, texts)
    slow = -token_log_probabilities(learning.networks.policy(texts[0]), texts[1]).mean()
    assert with_texts["plain_loss"].item() == pytest.approx(slow.item(), rel=1e-5)
    assert with_texts["train_loss"].item() == pytest.approx(
        without["train_loss"].item() + 2 * slow.item(), rel=1e-5
    )
    for step in range(60):
        figures = learning.advance(step)
    assert figures["plain_loss"] < 0.5 * slow.item()


@pytest.mark.parametrize("n", range(1, 8))
@pytest.mark.parametrize("levels", [1, 2, 4, 1000])  # fewer levels, more ties
def test_best_of_n_is_the_mean_over_all_subsets(n, levels):
    proxies = torch.randint(levels, (7,), generator=torch.Generator().manual_seed(levels)).tolist()
    proxy = torch.tensor([[float(one) for one in proxies]])
    true = torch.tensor([[3.0, -1.0, 0.5, 4.0, 2.0, -2.0, 7.0]])
    slow = []
    for subset in itertools.combinations(range(7), n):
        top = max(proxies[i] for i in subset)
        ties = [float(true[0, i]) for i in subset if proxies[i] == top]
        slow.append(sum(ties) / len(ties))
    assert best_of(proxy, true, n).item() == pytest.approx(sum(slow) / len(slow), abs=1e-9)


def test_the_divergence_of_best_of_n_is_that_of_the_best_of_many_equal_ones():
    """Of M equally likely answers without ties, the best of n is the i-th with (i/M)^n - ((i-1)/M)^n."""
    num = 20_000
    for n in (1, 2, 4, 16):
        edges = (torch.arange(num + 1, dtype=torch.float64) / num) ** n
        share = edges.diff()
        share = share[share > 0]
        exact = (share * (share * num).log()).sum().item()
        assert best_of_divergence(n) == pytest.approx(exact, abs=2e-3)
    with pytest.raises(UsageError):
        best_of(torch.zeros(2, 3), torch.zeros(2, 3), 4)
