"""Gated PixelCNN: the probability of a picture of symbols, one symbol after the other, in the order of reading.

B batch, K symbols, H rows, W columns, D width, k kernel, r = (k - 1) / 2, M maps of a context, Y classes.

    p(x) = prod_i p(x_i | x_1 .. x_(i-1))
    symbols [B, H, W] -embedding-> [B, D, H, W], the input of both stacks
    vertical stack    k x (r + 1) convolution over the r rows above and the own row (in the first layer only those
                      above), gated: what is above a pixel, on both sides
    horizontal stack  1 x (r + 1) convolution over the r pixels to the left and the own (first layer: left alone),
                      plus 1x1 of the vertical stack's maps before their gate, gated, 1x1; residual but in the first
    gate              tanh(a) s(b) of maps [B, 2 D, H, W] = (a, b)                     equation 2
    told              a class adds its own numbers to the maps of both stacks of every layer (equation 3), a context
                      [B, M, H, W] a 1x1 convolution (equation 5)
    attention         after every n-th layer, where asked for: causal self-attention over the horizontal stack and
                      the symbol before each pixel, as in PixelSNAIL, so that a pixel sees all before it however far
    logits            relu, 1x1, relu, 1x1 of the horizontal stack [B, K, H, W]; those of a pixel know nothing of it
                      nor of any pixel after it

van den Oord et al. 2016, Conditional Image Generation with PixelCNN Decoders, section 2 and figure 2. Attention:
Chen et al. 2017, PixelSNAIL; here queries, keys and values come of one sum, normalized, and rows and columns have
learned positions. Residual connections of the paper's figure; the first layer has the kernel of the
others (the paper does not say; the first PixelCNN had 7).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from sevenfold.errors import SpecError, UsageError
from sevenfold.layers.attention import CausalSelfAttention
from sevenfold.layers.checking import require_rows
from sevenfold.layers.generative import OnStep, untold
from sevenfold.layers.noise import Noise

__all__ = ["PixelCNN", "require_prior"]


class PixelCNN(nn.Module):
    """Symbols [B, H, W] int64 -> logits [B, K, H, W], each pixel's from those before it.

    >>> PixelCNN(symbols=5, side=4, width=8, layers=2)(torch.zeros(3, 4, 4, dtype=torch.int64)).shape
    torch.Size([3, 5, 4, 4])
    """

    def __init__(
        self,
        *,
        symbols: int,
        side: int,
        width: int,
        layers: int,
        kernel: int = 3,
        output: int | None = None,
        attention_every: int = 0,
        heads: int = 1,
        classes: int = 0,
        context: int = 0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        assert kernel % 2 == 1, "specs check this"
        self.symbols, self.side, self.classes, self.context = symbols, side, classes, context
        self.embedding = nn.Embedding(symbols, width)
        nn.init.normal_(self.embedding.weight, std=0.5)
        self.rows = nn.Parameter(0.1 * torch.randn(width, side, 1))
        self.columns = nn.Parameter(0.1 * torch.randn(width, 1, side))
        self.layers = nn.ModuleList(
            GatedLayer(width, kernel, first=n == 0, classes=classes, context=context, dropout=dropout)
            for n in range(layers)
        )
        self.attentions = nn.ModuleDict(
            {
                str(n): MapAttention(width, heads, dropout)
                for n in range(layers)
                if attention_every and (n + 1) % attention_every == 0
            }
        )
        output = output or width
        self.output = nn.Sequential(
            nn.ReLU(), nn.Conv2d(width, output, 1), nn.ReLU(), nn.Conv2d(output, symbols, 1)
        )

    def forward(self, symbols: Tensor, *, labels: Tensor | None = None, context: Tensor | None = None) -> Tensor:
        self._require(symbols, labels, context)
        embedded = vertical = horizontal = self.embedding(symbols).movedim(-1, 1)
        for number, layer in enumerate(self.layers):
            vertical, horizontal = layer(vertical, horizontal, labels, context)
            if number == 0:
                horizontal = horizontal + self.rows[:, : symbols.shape[1]] + self.columns
            if str(number) in self.attentions:
                horizontal = self.attentions[str(number)](horizontal, embedded)
        logits: Tensor = self.output(horizontal)
        return logits

    def log_likelihood(
        self, symbols: Tensor, *, labels: Tensor | None = None, context: Tensor | None = None
    ) -> Tensor:
        """log p(symbols) [B] in nats."""
        logits = self(symbols, labels=labels, context=context)
        return -functional.cross_entropy(logits, symbols, reduction="none").flatten(1).sum(1)

    def sample(
        self,
        noise: Noise,
        *,
        labels: Tensor | None = None,
        context: Tensor | None = None,
        temperature: float = 1.0,
        on_step: OnStep = untold,
    ) -> Tensor:
        """Symbols [B, H, W], drawn one after the other; below temperature 1 nearer to the likeliest, at 0 these."""
        if temperature < 0:
            raise UsageError("no such temperature", got=temperature, expected="0 or more")
        symbols = torch.zeros(len(noise), self.side, self.side, dtype=torch.int64, device=self.rows.device)
        for pixel in range(self.side**2):
            row, column = divmod(pixel, self.side)
            # Rows below are not looked at, so that they need not be computed.
            above = None if context is None else context[:, :, : row + 1]
            logits = self(symbols[:, : row + 1], labels=labels, context=above)[:, :, row, column]
            likeliest = functional.one_hot(logits.argmax(1), self.symbols).double()
            weights = (logits.double() / temperature).softmax(1) if temperature else likeliest
            symbols[:, row, column] = noise.choose(weights)
            on_step(pixel + 1, self.side**2)
        return symbols

    def _require(self, symbols: Tensor, labels: Tensor | None, context: Tensor | None) -> None:
        if symbols.dim() != 3 or symbols.shape[1] > self.side or symbols.shape[2] != self.side:
            raise UsageError(
                "PixelCNN cannot take this input",
                got=f"shape {list(symbols.shape)}",
                expected=f"symbols [batch, {self.side}, {self.side}], or the first of these rows",
            )
        require_rows("PixelCNN's embedding", symbols, self.symbols)
        if (labels is not None) != (self.classes > 0):
            raise UsageError(
                "PixelCNN is told a class for each picture, or never",
                got="no labels" if labels is None else "labels",
                expected=f"labels of {self.classes} classes" if self.classes else "none",
            )
        if labels is not None:
            require_rows("PixelCNN's classes", labels, self.classes)
        assert (context is not None) == (self.context > 0), "a model knows whether its prior has a context"


def require_prior(width: int, heads: int, kernel: int) -> None:
    """SpecError unless a model's prior can have these sizes."""
    if width % heads:
        raise SpecError("prior_width does not fit", got=width, expected=f"a multiple of prior_heads={heads}")
    if kernel % 2 == 0:
        raise SpecError("prior_kernel does not fit", got=kernel, expected="an odd number")


class GatedLayer(nn.Module):
    """One layer of both stacks: vertical and horizontal maps [B, D, H, W] -> the same."""

    def __init__(self, width: int, kernel: int, *, first: bool, classes: int, context: int, dropout: float) -> None:
        super().__init__()
        self.reach, self.first = kernel // 2, first
        own = 0 if first else 1
        self.down = nn.Conv2d(width, 2 * width, (self.reach + own, kernel))
        self.right = nn.Conv2d(width, 2 * width, (1, self.reach + own))
        self.across = nn.Conv2d(2 * width, 2 * width, 1)
        self.out = nn.Conv2d(width, width, 1)
        self.dropout = nn.Dropout(dropout)
        self.of_class = nn.Embedding(classes, 4 * width) if classes else None
        self.of_context = nn.Conv2d(context, 4 * width, 1) if context else None
        if self.of_class is not None:
            nn.init.normal_(self.of_class.weight, std=0.1)

    def forward(
        self, vertical: Tensor, horizontal: Tensor, labels: Tensor | None, context: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        rows, columns = vertical.shape[2:]
        # In the first layer the last row and the last column that come out have seen what they must not: cut off.
        down = self.down(functional.pad(vertical, (self.reach, self.reach, self.reach, 0)))[:, :, :rows]
        right = self.right(functional.pad(horizontal, (self.reach, 0, 0, 0)))[..., :columns] + self.across(down)
        if labels is not None and self.of_class is not None:
            told = self.of_class(labels)[:, :, None, None].chunk(2, dim=1)
            down, right = down + told[0], right + told[1]
        if context is not None and self.of_context is not None:
            told = self.of_context(context).chunk(2, dim=1)
            down, right = down + told[0], right + told[1]
        out = self.out(self.dropout(gated(right)))
        return gated(down), out if self.first else horizontal + out


class MapAttention(nn.Module):
    """Maps [B, D, H, W] plus causal self-attention over them in the order of reading.

    Maps of a pixel know what is near it on the way; what is attended to is these and the embedding of the symbol
    before it, so that together nothing before a pixel is left out.
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.before = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)
        self.attention = CausalSelfAttention(width=width, heads=heads, dropout=dropout)

    def forward(self, maps: Tensor, embedded: Tensor) -> Tensor:
        maps_btd, symbols_btd = (one.flatten(2).transpose(1, 2) for one in (maps, embedded))
        before_btd = functional.pad(symbols_btd, (0, 0, 1, 0))[:, :-1]
        mixed_btd: Tensor = self.attention(self.norm(maps_btd + self.before(before_btd)))
        return maps + mixed_btd.transpose(1, 2).view_as(maps)


def gated(maps: Tensor) -> Tensor:
    """tanh(a) s(b) of maps [B, 2 D, ...] = (a, b): [B, D, ...]. Source: equation 2."""
    first, second = maps.chunk(2, dim=1)
    return first.tanh() * second.sigmoid()
