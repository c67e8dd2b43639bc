"""The Markov chain over tokens: the next token from the few before it, by counting.

B batch, T time, V vocabulary, n order, h the context: the last k tokens.

    p_k(v | h) = (c(h v) + T(h) p_{k-1}(v | h')) / (N(h) + T(h))       k = 1 .. n; h' is h without its oldest token
    p_0(v)     = (c(v) + T / V) / (N + T)

c counts what followed what in the training text, N(h) is the sum of c(h v), T(h) how many different tokens followed
h (Witten & Bell 1991, method C, interpolated): no setting to tune, and no token has probability 0. Before there
are n tokens the chain looks at those that there are. Logits are log p; nothing is learnt by gradients, and one pass
over the training text is all of it: counts of further passes weigh more against p_{k-1}.

Where V^k contexts would be too many, those that came are listed with a row each, ``contexts`` of them at most;
later ones, and those that never came, are looked up by their last k - 1 tokens.

Markov 1913, An example of statistical investigation of the text Eugene Onegin concerning the connection of samples
in chains (20,000 letters, as vowels and consonants); Shannon 1948 took it to letters and words.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from sevenfold.layers import OwnUpdate, require_tokens
from sevenfold.models._entry import Family, Landmark, fit_tokens
from sevenfold.spec import Spec

_NONE = torch.iinfo(torch.int64).max  # after every context


class MarkovChainSpec(Spec):
    """Settings of the Markov chain."""

    vocabulary: int = Field(ge=1, description="different tokens")
    order: int = Field(ge=1, le=6, description="tokens that the next one depends on (n)")
    contexts: int = Field(
        default=32_768, ge=1, description="contexts of each order that are kept, where V^k is more"
    )


class MarkovChain(OwnUpdate):
    """tokens [B, T] -> logits [B, T, V]; position t sees tokens t - n + 1 to t."""

    def __init__(self, spec: MarkovChainSpec) -> None:
        super().__init__()
        self.spec = spec
        size = spec.vocabulary
        # tables[k - 1][row of h] = log p_k( . | h); h is a number with digits of base V, the newest token lowest.
        rows = [size**k if k < 2 else min(size**k, spec.contexts) for k in range(spec.order + 1)]
        self.tables = nn.ParameterList([torch.zeros(rows[k], size) for k in range(1, spec.order + 1)])
        for k in range(spec.order + 1):
            self.register_buffer(f"counts_{k}", torch.zeros(rows[k], size))
            if rows[k] < size**k:
                self.register_buffer(f"listed_{k}", torch.full((rows[k],), _NONE))  # ascending; then no context

    def counts(self, k: int) -> Tensor:
        """How often each token followed each context of k tokens, [V^k or ``contexts``, V]."""
        return self.get_buffer(f"counts_{k}")

    def forward(self, tokens: Tensor, *, check_values: bool = False) -> Tensor:
        require_tokens("the contexts of the Markov chain", tokens, self.spec.vocabulary, values=check_values)
        order, time = self.spec.order, tokens.shape[1]
        looked_up = [self._looked_up(tokens[:, :k], k) for k in range(1, min(order, time + 1))]
        return torch.cat([*looked_up, self._looked_up(tokens, order)], dim=1)

    @torch.no_grad()
    def update(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Count what follows what in windows [B, T]; the mean cross-entropy of the batch before it was counted."""
        loss = F.cross_entropy(self(inputs).flatten(0, 1), targets.flatten())
        size = self.spec.vocabulary
        for k in range(self.spec.order + 1):
            contexts, followers = self._contexts(inputs, k).flatten(), targets[:, max(0, k - 1) :].flatten()
            self._list(k, contexts)
            rows, known = self._rows(k, contexts)
            followed = (rows * size + followers)[known]
            self.counts(k).add_(torch.bincount(followed, minlength=self.counts(k).numel()).view(-1, size))
        self._tabulate()
        return loss

    def _contexts(self, tokens: Tensor, k: int) -> Tensor:
        """The number of the k tokens up to each position from k - 1 on, [B, T - k + 1]; of none, zeros [B, T]."""
        time = tokens.shape[1]
        contexts = torch.zeros_like(tokens[:, max(0, k - 1) :])
        for back in range(k):
            contexts = contexts + tokens[:, k - 1 - back : time - back] * self.spec.vocabulary**back
        return contexts

    def _listed(self, k: int) -> Tensor | None:
        """The contexts of k tokens that have a row, ascending; None where each has the row of its number."""
        return None if self.counts(k).shape[0] == self.spec.vocabulary**k else self.get_buffer(f"listed_{k}")

    def _rows(self, k: int, contexts: Tensor) -> tuple[Tensor, Tensor]:
        """The row of each context, and whether it has one."""
        listed = self._listed(k)
        if listed is None:
            return contexts, torch.ones_like(contexts, dtype=torch.bool)
        rows = torch.searchsorted(listed, contexts).clamp(max=len(listed) - 1)
        return rows, listed[rows] == contexts

    def _list(self, k: int, contexts: Tensor) -> None:
        """Give rows to contexts that have none, as long as there are some left; lower numbers first."""
        listed = self._listed(k)
        if listed is None:
            return
        known = listed[listed != _NONE]
        new = torch.unique(contexts[~self._rows(k, contexts)[1]])[: len(listed) - len(known)]
        after = torch.cat([known, new]).sort().values
        counts = self.counts(k)[: len(known)].clone()
        self.counts(k).zero_()
        self.counts(k)[torch.searchsorted(after, known)] = counts
        listed[: len(after)] = after

    def _looked_up(self, tokens: Tensor, k: int) -> Tensor:
        """log p_k after each k tokens, [B, T - k + 1, V]."""
        return self._log_p(self._contexts(tokens, k), k)

    def _log_p(self, contexts: Tensor, k: int) -> Tensor:
        """log p_k of contexts of any shape [...], [..., V]; of one without a row p_{k-1} of its shorter one."""
        rows, known = self._rows(k, contexts)
        found = F.embedding(rows, self.tables[k - 1])
        if self._listed(k) is None:
            return found
        shorter = contexts % self.spec.vocabulary ** (k - 1)
        return torch.where(known[..., None], found, self._log_p(shorter, k - 1))

    def _tabulate(self) -> None:
        """tables from counts."""
        size = self.spec.vocabulary
        lower = torch.full_like(self.counts(0), 1 / size)
        for k in range(self.spec.order + 1):
            counts, listed = self.counts(k), self._listed(k)
            if k > 1:
                contexts = torch.arange(size**k, device=counts.device) if listed is None else listed
                lower = self._log_p(contexts % size ** (k - 1), k - 1).exp()
            different = (counts > 0).sum(1, keepdim=True)
            seen = counts.sum(1, keepdim=True) + different
            table = torch.where(seen > 0, (counts + different * lower) / seen.clamp(min=1), lower)
            if k:
                self.tables[k - 1].copy_(table.log())
            lower = table


MARKOV_CHAIN = Family(
    landmark=Landmark(
        name="markov-chain",
        title="Markov chain",
        family="ngram",
        year=1913,
        paper="Markov 1913, An Example of Statistical Investigation of the Text Eugene Onegin",
        constraint="data",
        summary="what follows what is counted in a text, and new text drawn from the counts",
        proof="counts and smoothed probabilities equal a loop over the text with fractions; order 1 on two "
        "symbols gives his two probabilities (tests/models/test_markov_chain.py)",
        preset="markov-chain-small",
    ),
    task="causal-lm",
    spec_type=MarkovChainSpec,
    module=MarkovChain,
    fit=fit_tokens,
    shape=lambda spec: (64,),
    # It learns by counting, which the optimizer's settings of a probe do not reach.
    stands_alone=False,
)


@MARKOV_CHAIN.preset("paper", parameters=4)
def markov_chain() -> MarkovChainSpec:
    """Markov's own: vowels and consonants, the next from the last; four probabilities, two of them free."""
    return MarkovChainSpec(vocabulary=2, order=1)


@MARKOV_CHAIN.preset("laptop")
def markov_chain_small() -> MarkovChainSpec:
    """The next character from the last two, 0.9M probabilities for 96 characters."""
    return MarkovChainSpec(vocabulary=96, order=2)
