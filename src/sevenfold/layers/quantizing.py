"""Vector quantization: each vector becomes the nearest of K learned codes, and gradients pass straight through.

B batch, D width of a code, K codes, ... places (height and width of feature maps, or none).

    q(x)    = e_k,  k = argmin_j ||x - e_j||                                              (2017: equations 1, 2)
    d/dx    of whatever is computed from q(x) is its derivative by q(x), unchanged
    codes   learn by  ||sg[x] - e_k||^2  (`Codebook`), or as moving averages of what they stand for
            (`MovingCodebook`):  N_k <- g N_k + (1 - g) n_k,  m_k <- g m_k + (1 - g) sum x,  e_k = m_k / N_k
            with n_k, sum x over the batch's vectors whose nearest code is k                (2017: appendix A.1)
    inputs  are held to their codes by  ||x - sg[e_k]||^2, which the paper weighs with 0.25  (2017: equation 3)

The counts N_k are smoothed, N_k <- (N_k + eps) / (n + K eps) n with n = sum N_k, as the authors' release does it,
so that a code that nothing chooses never divides by zero; the paper's plain rule is eps = 0.

van den Oord, Vinyals & Kavukcuoglu 2017, Neural Discrete Representation Learning.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from sevenfold.errors import UsageError
from sevenfold.layers.checking import require_rows
from sevenfold.layers.players import AfterUpdate

__all__ = ["Codebook", "MovingCodebook", "Quantized", "codes_in_use", "nearest_code", "straight_through"]


class Quantized(NamedTuple):
    """What quantizing gives; both losses are means over an example's places and the D numbers of a code.

    ``codebook_loss`` moves codes alone, ``commitment_loss`` inputs alone.
    """

    codes: Tensor  # [B, D, ...] in value the nearest codes; their gradient is the inputs'
    indices: Tensor  # [B, ...] int64
    codebook_loss: Tensor  # [B]  ||sg[x] - e||^2; 0 where codes are moving averages
    commitment_loss: Tensor  # [B]  ||x - sg[e]||^2


def nearest_code(inputs: Tensor, codes: Tensor) -> Tensor:
    """The index [...] of the code [K, D] nearest to each vector [..., D]; the first of equals. No gradient.

    >>> nearest_code(torch.tensor([[0.9, 0.0], [0.0, 3.0]]), torch.tensor([[0.0, 0.0], [1.0, 0.0]])).tolist()
    [1, 0]
    """
    with torch.no_grad():
        rows = inputs.reshape(-1, codes.shape[1])
        # ||x - e||^2 without ||x||^2, which is the same for every code.
        distances = codes.square().sum(1) - 2 * rows @ codes.T
        return distances.argmin(1).reshape(inputs.shape[:-1])


def straight_through(quantized: Tensor, inputs: Tensor) -> Tensor:
    """``quantized`` in value, ``inputs`` in gradient: the derivative by the result is that by the inputs.

    >>> x = torch.tensor([0.3], requires_grad=True)
    >>> (5 * straight_through(x.round(), x)).backward(); x.grad.item()
    5.0
    """
    return inputs + (quantized - inputs).detach()


def codes_in_use(indices: Tensor, num_codes: int) -> tuple[float, int]:
    """The perplexity of the indices' distribution, and how many of the K codes occur at all.

    >>> codes_in_use(torch.tensor([0, 0, 3, 3]), 8)
    (2.0, 2)
    """
    counts = torch.bincount(indices.flatten(), minlength=num_codes)
    shares = counts[counts > 0].double() / max(1, indices.numel())
    return round(float(torch.exp(-(shares * shares.log()).sum())), 12), int((counts > 0).sum())


class _Codes(nn.Module):
    """What both codebooks do with their codes [K, D]; they differ in how these learn."""

    weight: Tensor

    def __init__(self, num_codes: int, width: int) -> None:
        super().__init__()
        self.num_codes, self.width = num_codes, width

    def lookup(self, indices: Tensor) -> Tensor:
        """Codes [B, D, ...] of indices [B, ...]."""
        require_rows("the codebook", indices, self.num_codes)
        return functional.embedding(indices, self.weight).movedim(-1, 1)

    def indices(self, inputs: Tensor) -> Tensor:
        """The indices [B, ...] of the nearest codes of inputs [B, D, ...]."""
        if inputs.dim() < 2 or inputs.shape[1] != self.width:
            raise UsageError(
                "the codebook cannot take this input",
                got=f"shape {list(inputs.shape)}",
                expected=f"[batch, {self.width}, ...]",
            )
        return nearest_code(inputs.movedim(1, -1), self.weight)

    def _quantized(self, inputs: Tensor) -> Quantized:
        indices = self.indices(inputs)
        codes = self.lookup(indices)
        return Quantized(
            straight_through(codes.detach(), inputs),
            indices,
            (inputs.detach() - codes).square().flatten(1).mean(1),
            (inputs - codes.detach()).square().flatten(1).mean(1),
        )


class Codebook(_Codes):
    """K codes of D numbers that learn by the gradient of their codebook loss: [B, D, ...] -> `Quantized`.

    Drawn uniformly from -1/K to 1/K.
    """

    def __init__(self, num_codes: int, width: int) -> None:
        super().__init__(num_codes, width)
        self.weight = nn.Parameter(torch.empty(num_codes, width).uniform_(-1 / num_codes, 1 / num_codes))

    def forward(self, inputs: Tensor) -> Quantized:
        return self._quantized(inputs)


class MovingCodebook(_Codes, AfterUpdate):
    """K codes of D numbers that are moving averages of the inputs that chose them: [B, D, ...] -> `Quantized`.

    Drawn from N(0, 1). In training every call is remembered, and ``after_update`` moves the codes by all calls
    since the last time; outside of training nothing moves. ``revived_below``: codes whose moving count N_k sinks
    below it are put where randomly drawn inputs are (0: never, as in the paper).
    """

    counts: Tensor
    sums: Tensor

    def __init__(
        self,
        num_codes: int,
        width: int,
        *,
        decay: float = 0.99,
        smoothing: float = 1e-5,
        revived_below: float = 0.0,
    ) -> None:
        super().__init__(num_codes, width)
        self.decay, self.smoothing, self.revived_below = decay, smoothing, revived_below
        codes = torch.randn(num_codes, width)
        self.register_buffer("weight", codes)
        self.register_buffer("counts", torch.ones(num_codes))
        self.register_buffer("sums", codes.clone())
        self._seen: list[tuple[Tensor, Tensor]] = []

    def forward(self, inputs: Tensor) -> Quantized:
        quantized = self._quantized(inputs)
        if self.training:
            rows = inputs.detach().movedim(1, -1).reshape(-1, self.width)
            self._seen.append((rows, quantized.indices.flatten()))
        return quantized._replace(codebook_loss=torch.zeros_like(quantized.codebook_loss))

    @torch.no_grad()
    def after_update(self) -> None:
        """Move the codes towards what chose them since the last time."""
        if not self._seen:
            return
        rows = torch.cat([rows for rows, _ in self._seen]).to(self.sums.dtype)
        indices = torch.cat([indices for _, indices in self._seen])
        self._seen.clear()
        chosen = functional.one_hot(indices, self.num_codes).to(rows.dtype)
        self.counts.lerp_(chosen.sum(0), 1 - self.decay)
        self.sums.lerp_(chosen.T @ rows, 1 - self.decay)
        if self.revived_below > 0:
            self._revive(rows)
        total = self.counts.sum()
        smoothed = (self.counts + self.smoothing) / (total + self.num_codes * self.smoothing) * total
        self.weight.copy_(self.sums / smoothed[:, None])

    def _revive(self, rows: Tensor) -> None:
        """Codes that hardly anything chooses go where inputs are, with the least count that keeps them there."""
        dead = (self.counts < self.revived_below).nonzero().flatten()
        drawn = torch.randint(rows.shape[0], (self.num_codes,), device="cpu")[: len(dead)].to(rows.device)
        self.counts[dead] = self.revived_below
        self.sums[dead] = rows[drawn] * self.revived_below
