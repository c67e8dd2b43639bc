"""Convolutional halves of an autoencoder that halve and double the side of their maps, with residual blocks.

B batch, S side, W width, R width inside a residual block.

    Shrinking   [B, in, S, S] -4x4 convolutions of stride 2, relu between, residual blocks, relu-> side S / 2^n
    Growing     [B, in, S, S] -3x3, residual blocks, relu, 4x4 transposed convolutions of stride 2-> side 2^n S
    a block     x + 1x1(relu(3x3(relu(x))))

van den Oord et al. 2017, Neural Discrete Representation Learning, section 4.1. The paper does not say how codes
become W maps again; the 3x3 convolution is the authors' release's.
"""

from __future__ import annotations

from torch import Tensor, nn

__all__ = ["Growing", "ResidualBlocks", "Shrinking"]


class ResidualBlocks(nn.Module):
    """[B, W, S, S] -> the same, never negative: ``blocks`` residual blocks, then relu."""

    def __init__(self, width: int, inner: int, blocks: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.ReLU(), nn.Conv2d(width, inner, 3, padding=1), nn.ReLU(), nn.Conv2d(inner, width, 1))
            for _ in range(blocks)
        )

    def forward(self, maps: Tensor) -> Tensor:
        for block in self.blocks:
            maps = maps + block(maps)
        return maps.relu()


class Shrinking(nn.Sequential):
    """[B, inputs, S, S] -> [B, width, S / 2^halvings, S / 2^halvings]."""

    def __init__(self, inputs: int, width: int, inner: int, blocks: int, halvings: int) -> None:
        layers: list[nn.Module] = []
        for number in range(halvings):
            layers += [nn.Conv2d(width if number else inputs, width, 4, stride=2, padding=1), nn.ReLU()]
        super().__init__(*layers[:-1], ResidualBlocks(width, inner, blocks))


class Growing(nn.Sequential):
    """[B, inputs, S, S] -> [B, outputs, 2^doublings S, 2^doublings S]."""

    def __init__(self, inputs: int, width: int, inner: int, blocks: int, doublings: int, outputs: int) -> None:
        layers: list[nn.Module] = [nn.Conv2d(inputs, width, 3, padding=1), ResidualBlocks(width, inner, blocks)]
        for number in range(doublings):
            last = number == doublings - 1
            layers.append(nn.ConvTranspose2d(width, outputs if last else width, 4, stride=2, padding=1))
            layers += [] if last else [nn.ReLU()]
        super().__init__(*layers)
