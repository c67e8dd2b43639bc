"""What a model says of an input that does not fit: one line with the layer, what it got and what it expected.

Shapes and dtypes are looked at always, which costs nothing on the way and works on the meta device. The values of
tokens are looked at where that is as good as free, on the CPU; on an accelerator it waits for the device, so that
there they are read on request only (``values=True``).
"""

from __future__ import annotations

import math

import torch

from sevenfold.errors import UsageError

__all__ = ["require_features", "require_images", "require_rows", "require_tokens"]


def require_features(layer: str, inputs: torch.Tensor, features: int) -> torch.Tensor:
    """Inputs of any shape [B, ...] flattened to [B, features]; UsageError where the count differs."""
    if inputs.dim() < 2 or math.prod(inputs.shape[1:]) != features:
        raise UsageError(
            f"{layer} cannot take this input",
            got=f"shape {_shown(inputs)}",
            expected=f"[batch, {features}], or a shape that flattens to it",
            hint=f"the model setting inputs={math.prod(inputs.shape[1:])}" if inputs.dim() > 1 else None,
        )
    return inputs.flatten(1)


def require_images(layer: str, inputs: torch.Tensor, channels: int, image: int | None = None) -> None:
    """UsageError unless inputs are [B, channels, image, image]; of any size where ``image`` is None."""
    sizes = tuple(inputs.shape[2:]) if image is None else (image, image)
    if inputs.dim() == 4 and not inputs.is_floating_point():
        raise UsageError(
            f"{layer} cannot take this input",
            got=f"{str(inputs.dtype).removeprefix('torch.')} of shape {_shown(inputs)}",
            expected="floating-point pixels",
            hint="pixels.float() / 255",
        )
    if inputs.dim() != 4 or tuple(inputs.shape[1:]) != (channels, *sizes):
        square = image is not None and inputs.dim() == 4 and inputs.shape[2] == inputs.shape[3]
        side = "height, width" if image is None else f"{image}, {image}"
        raise UsageError(
            f"{layer} cannot take this input",
            got=f"shape {_shown(inputs)}",
            expected=f"[batch, {channels}, {side}]",
            hint=f"the model settings image={inputs.shape[2]} channels={inputs.shape[1]}" if square else None,
        )


def require_tokens(
    layer: str, tokens: torch.Tensor, vocabulary: int, *, context: int | None = None, values: bool = False
) -> None:
    """UsageError unless tokens are integers [B, T], T <= context, 0 <= token < vocabulary.

    The last of these on the CPU, and with ``values`` on every device.
    """
    if tokens.dim() != 2 or tokens.dtype not in (torch.int64, torch.int32):
        raise UsageError(
            f"{layer} cannot take this input",
            got=f"{str(tokens.dtype).removeprefix('torch.')} of shape {_shown(tokens)}",
            expected="int64 tokens [batch, time]",
        )
    if context is not None and tokens.shape[1] > context:
        raise UsageError(
            f"{layer} has no position for every token",
            got=f"{tokens.shape[1]} tokens",
            expected=f"at most {context} (its context)",
            hint=f"the model setting context={tokens.shape[1]}, or shorter inputs",
        )
    require_rows(layer, tokens, vocabulary, values=values)


def require_rows(layer: str, tokens: torch.Tensor, rows: int, *, lowest: int = 0, values: bool = False) -> None:
    """UsageError unless tokens are integers, lowest <= token < rows: on the CPU, and with ``values`` everywhere.

    Any shape.
    """
    if tokens.is_floating_point() or tokens.dtype == torch.bool:
        raise UsageError(
            f"{layer} cannot take this input",
            got=f"{str(tokens.dtype).removeprefix('torch.')} of shape {_shown(tokens)}",
            expected="whole numbers, int64",
        )
    bounds = _bounds(tokens, values)
    if bounds is not None and (bounds[0] < lowest or bounds[1] >= rows):
        raise UsageError(
            f"{layer} has no row for a token",
            got=f"tokens from {bounds[0]} to {bounds[1]}",
            expected=f"{lowest} to {rows - 1} (vocabulary {rows})",
        )


def _bounds(tokens: torch.Tensor, wanted: bool) -> tuple[int, int] | None:
    """The smallest and the largest token; None where they were not asked for and are not at hand."""
    if tokens.numel() == 0 or torch.compiler.is_compiling():
        return None
    if type(tokens) is torch.Tensor and tokens.device.type == "cpu":
        try:
            values = tokens.numpy()  # by numpy, so that counting does not see it as the model's own arithmetic
        except RuntimeError:  # no values of its own: inside vmap, or another transformation
            return None
        return int(values.min()), int(values.max())
    if not wanted:
        return None
    low, high = torch.aminmax(tokens)
    return int(low), int(high)


def _shown(tensor: torch.Tensor) -> str:
    return "[" + ", ".join(str(size) for size in tensor.shape) + "]"
