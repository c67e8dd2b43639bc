"""The hidden Markov model over tokens: a chain of states that nobody sees, each of which emits a token.

B batch, L length of a sequence (T of a window, and the target of its last token), S states, V vocabulary.

    p(x, z) = pi(z_1) b(x_1 | z_1) prod_t a(z_t | z_{t-1}) b(x_t | z_t)

    filter    f_t = p(z_t | x_1 .. x_t), c_t = p(x_t | x_1 .. x_{t-1}):  c_t f_t = b(x_t) (A^T f_{t-1})
    smoother  g_t = p(z_t | x_1 .. x_L) = f_t r_t,  c_{t+1} r_t = A (b(x_{t+1}) r_{t+1}),  r_L = 1
    logits    log of B^T A^T f_t: the distribution of token t + 1

An update is Baum-Welch's: expected counts of starts, moves and emissions under the weights that there are, then
weights in proportion to them. With ``forgetting`` 0 each batch replaces what was before it: on one batch again and
again that is expectation maximization, whose every step raises the likelihood or leaves it. On a stream of batches
the expected counts are averaged instead, the k-th with weight k^-forgetting (stepwise EM: Cappé & Moulines 2009,
Liang & Klein 2009). The weights are logits, so that gradients could train them too.

Baum, Petrie, Soules & Weiss 1970, A Maximization Technique Occurring in the Statistical Analysis of Probabilistic
Functions of Markov Chains, Annals of Mathematical Statistics 41, 164-171; Viterbi 1967; scaling as in Rabiner 1989,
A Tutorial on Hidden Markov Models and Selected Applications in Speech Recognition, section V.A.
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn

from sevenfold.layers import OwnUpdate, require_tokens
from sevenfold.models._entry import Family, Landmark, fit_tokens
from sevenfold.spec import Spec


class HiddenMarkovSpec(Spec):
    """Settings of the hidden Markov model."""

    vocabulary: int = Field(ge=1, description="different tokens")
    states: int = Field(ge=1, description="hidden states (S)")
    added: float = Field(
        default=0.01, ge=0, description="pseudo-count added to every expected count; 0 is maximum likelihood"
    )
    forgetting: float = Field(
        default=0.5, ge=0, le=1, description="the k-th batch has weight k^-this; 0: Baum-Welch on each batch alone"
    )


class HiddenMarkov(OwnUpdate):
    """tokens [B, T] -> logits [B, T, V] of the next token."""

    num_updates: Tensor
    starts: Tensor
    moves: Tensor
    emissions: Tensor

    def __init__(self, spec: HiddenMarkovSpec) -> None:
        super().__init__()
        self.spec = spec
        size, states = spec.vocabulary, spec.states
        # Logarithms of rows drawn evenly from all distributions (Dirichlet of ones): equal states would stay equal.
        self.initial = nn.Parameter(torch.empty(states).exponential_().log())
        self.transition = nn.Parameter(torch.empty(states, states).exponential_().log())
        self.emission = nn.Parameter(torch.empty(states, size).exponential_().log())
        self.register_buffer("starts", torch.zeros(states))  # averaged expected counts a sequence
        self.register_buffer("moves", torch.zeros(states, states))
        self.register_buffer("emissions", torch.zeros(states, size))
        self.register_buffer("num_updates", torch.zeros((), dtype=torch.int64))

    def probabilities(self) -> tuple[Tensor, Tensor, Tensor]:
        """pi [S], A [S, S] (row: from) and b [S, V]; each row sums to 1."""
        return self.initial.softmax(-1), self.transition.softmax(-1), self.emission.softmax(-1)

    def forward(self, tokens: Tensor, *, check_values: bool = False) -> Tensor:
        require_tokens(
            "the emissions of the hidden Markov model", tokens, self.spec.vocabulary, values=check_values
        )
        initial_s, transition_ss, emission_sv = self.probabilities()
        next_bs = initial_s.expand(tokens.shape[0], -1)
        predicted = []
        for t in range(tokens.shape[1]):
            filtered_bs, _ = _filtered(next_bs, emission_sv.T[tokens[:, t]])
            next_bs = filtered_bs @ transition_ss
            predicted.append(next_bs)
        return (torch.stack(predicted, dim=1) @ emission_sv).log()

    @torch.no_grad()
    def log_likelihood(self, tokens: Tensor) -> Tensor:
        """log p(x_1 .. x_L) of each sequence [B, L], in nats, [B]."""
        _, scale_bl = self._filter(tokens)
        return scale_bl.log().sum(1)

    @torch.no_grad()
    def posterior(self, tokens: Tensor) -> Tensor:
        """p(z_t | x_1 .. x_L) of each position, [B, L, S]."""
        return self._expected(tokens)[0]

    @torch.no_grad()
    def viterbi(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """The likeliest path of states [B, L] of sequences [B, L], and log p(x, that path) [B].

        Viterbi 1967; ties go to the lowest state.
        """
        initial_s, transition_ss, emission_sv = (weights.log() for weights in self.probabilities())
        best_bs = initial_s + emission_sv.T[tokens[:, 0]]
        came_from = []
        for t in range(1, tokens.shape[1]):
            best_bs, from_bs = (best_bs[:, :, None] + transition_ss).max(1)
            came_from.append(from_bs)
            best_bs = best_bs + emission_sv.T[tokens[:, t]]
        log_probability, state_b = best_bs.max(1)
        path = [state_b]
        for from_bs in reversed(came_from):
            path.append(from_bs.gather(1, path[-1][:, None])[:, 0])
        return torch.stack(path[::-1], dim=1), log_probability

    @torch.no_grad()
    def update(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """One step on windows [B, T]; the mean cross-entropy of their targets before it."""
        tokens = torch.cat([inputs[:, :1], targets], dim=1)
        smoothed_bls, moves_ss, scale_bl = self._expected(tokens)
        emissions_vs = torch.zeros_like(self.emissions.T).index_add_(
            0, tokens.flatten(), smoothed_bls.flatten(0, 1)
        )
        self.num_updates += 1
        share = float(self.num_updates) ** -self.spec.forgetting
        counted = (smoothed_bls[:, 0].sum(0), moves_ss, emissions_vs.T)
        kept = (self.starts, self.moves, self.emissions)
        for average, counts, weights in zip(kept, counted, self.parameters(), strict=True):
            average.lerp_(counts / len(tokens), share)
            expected = average * len(tokens) + self.spec.added
            weights.copy_((expected / expected.sum(-1, keepdim=True)).log())
        return -scale_bl[:, 1:].log().mean()

    def _filter(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """f_t [B, L, S] and c_t [B, L]."""
        initial_s, transition_ss, emission_sv = self.probabilities()
        next_bs = initial_s.expand(tokens.shape[0], -1)
        filtered, scales = [], []
        for t in range(tokens.shape[1]):
            filtered_bs, scale_b = _filtered(next_bs, emission_sv.T[tokens[:, t]])
            next_bs = filtered_bs @ transition_ss
            filtered.append(filtered_bs)
            scales.append(scale_b)
        return torch.stack(filtered, dim=1), torch.stack(scales, dim=1)

    def _expected(self, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """g_t [B, L, S], expected moves summed over sequences and time [S, S], and c_t [B, L]."""
        _, transition_ss, emission_sv = self.probabilities()
        filtered_bls, scale_bl = self._filter(tokens)
        after_bs = torch.ones_like(filtered_bls[:, 0])
        moves_ss = torch.zeros_like(transition_ss)
        smoothed = [filtered_bls[:, -1]]
        for t in range(tokens.shape[1] - 1, 0, -1):
            carried_bs = emission_sv.T[tokens[:, t]] * after_bs / scale_bl[:, t, None]
            moves_ss += filtered_bls[:, t - 1].T @ carried_bs
            after_bs = carried_bs @ transition_ss.T
            smoothed.append(filtered_bls[:, t - 1] * after_bs)
        return torch.stack(smoothed[::-1], dim=1), moves_ss * transition_ss, scale_bl


def _filtered(before_bs: Tensor, emitted_bs: Tensor) -> tuple[Tensor, Tensor]:
    """p(z_t | .. x_t) [B, S] from p(z_t | .. x_{t-1}) and b(x_t | z_t), and p(x_t | .. x_{t-1}) [B]."""
    joint_bs = before_bs * emitted_bs
    scale_b = joint_bs.sum(1).clamp(min=torch.finfo(joint_bs.dtype).tiny)
    return joint_bs / scale_b[:, None], scale_b


HIDDEN_MARKOV = Family(
    landmark=Landmark(
        name="hidden-markov",
        title="Hidden Markov model",
        family="ngram",
        year=1970,
        paper="Baum, Petrie, Soules & Weiss 1970, A Maximization Technique",
        constraint="architecture",
        summary="a state that is never seen carries the past: S^2 + S V numbers instead of one for every context",
        proof="likelihood, posteriors, expected counts and Viterbi's path equal sums over every path; no step of "
        "Baum-Welch lowers the likelihood; a planted chain is found again (tests/models/test_hidden_markov.py)",
        preset="hidden-markov-small",
    ),
    task="causal-lm",
    spec_type=HiddenMarkovSpec,
    module=HiddenMarkov,
    fit=fit_tokens,
    shape=lambda spec: (64,),
    dial="states",
    # It learns by expectation maximization, which the optimizer's settings of a probe do not reach.
    stands_alone=False,
)


@HIDDEN_MARKOV.preset("laptop")
def hidden_markov_small() -> HiddenMarkovSpec:
    """128 states over 96 characters, 28,800 probabilities."""
    return HiddenMarkovSpec(vocabulary=96, states=128)
