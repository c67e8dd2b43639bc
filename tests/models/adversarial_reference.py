"""What the parity tests of adversarial networks share: both players loud, and slow layers that only these have."""

from __future__ import annotations

import torch
from slow_layers import convolve


def compared(loud, network, reference, *inputs):
    """The largest relative differences of outputs and of gradients, ``network`` made loud first."""
    network = loud(network)
    return against(network, reference, *inputs)


def against(network, reference, *inputs):
    """The same of a network whose weights are drawn already."""
    weights = dict(network.named_parameters())
    state = {**dict(network.named_buffers()), **weights}
    got, expected = network(*inputs), reference(state, *inputs)
    assert got.shape == expected.shape
    pull = torch.randn(got.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    leaves = list(weights.values())
    got_grads = torch.autograd.grad((got * pull).sum(), leaves)
    expected_grads = torch.autograd.grad((expected * pull).sum(), leaves, allow_unused=True)
    return relative(got, expected), max(
        relative(a, torch.zeros_like(a) if b is None else b) for a, b in zip(got_grads, expected_grads, strict=True)
    )


def relative(got, expected):
    """The largest difference, as a share of the largest value where that is above 1."""
    return float((got - expected).detach().abs().max()) / max(1.0, float(got.detach().abs().max()))


def draw(*shape, seed=3):
    """Normal numbers in float64."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def enlarge(x, weight, *, stride, padding, kernel_as_is=False):
    """A transposed convolution [in, out, K, K]: zeros between and round the pixels, the filter turned round."""
    batch, channels, height, width = x.shape
    kernel = weight.shape[-1]
    spread = x.new_zeros(batch, channels, (height - 1) * stride + 1, (width - 1) * stride + 1)
    for row in range(height):
        for column in range(width):
            spread[:, :, row * stride, column * stride] = x[:, :, row, column]
    turned = weight if kernel_as_is else weight.flip((2, 3))
    return convolve(spread, turned.transpose(0, 1), padding=kernel - 1 - padding)


def batch_norm(x, weight, bias, *, epsilon=1e-5):
    """A batch's own mean and biased variance, a channel at a time."""
    channels = []
    for index in range(x.shape[1]):
        own = x[:, index]
        mean = own.mean()
        variance = ((own - mean) ** 2).mean()
        channels.append((own - mean) / (variance + epsilon) ** 0.5 * weight[index] + bias[index])
    return torch.stack(channels, dim=1)


def maxout(x, weight, bias, pieces):
    """The largest of each unit's pieces, a unit at a time."""
    units = []
    for unit in range(len(bias) // pieces):
        rows = [weight[unit * pieces + piece] for piece in range(pieces)]
        sums = [x @ row + bias[unit * pieces + piece] for piece, row in enumerate(rows)]
        units.append(torch.stack(sums).max(dim=0).values)
    return torch.stack(units, dim=1)
