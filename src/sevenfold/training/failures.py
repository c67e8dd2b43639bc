"""What torch and the system raise when they cannot go on, as one clear line."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

from sevenfold.errors import OutOfMemoryError, RunError
from sevenfold.runs.recipe import Recipe

_NO_MEMORY = ("not enough memory", "can't allocate memory", "cannot allocate memory", "out of memory")


@contextlib.contextmanager
def clear_failures(recipe: Recipe) -> Iterator[None]:
    """Raise OutOfMemoryError and RunError in place of what torch raises for them."""
    try:
        yield
    except Exception as error:
        clear = translated(error, recipe)
        if clear is error:
            raise
        raise clear from error


def translated(error: Exception, recipe: Recipe) -> Exception:
    """The clear error for one of torch's, or the error itself."""
    if _is_out_of_memory(error):
        return OutOfMemoryError(
            "no memory left for a training step",
            got=f"batch_size={recipe.batch_size}, accumulate={recipe.accumulate} ({_first_line(error)})",
            hint=f"--set accumulate={2 * recipe.accumulate}, or a smaller batch_size or model",
        )
    if recipe.compile and type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
        return RunError(
            "torch.compile cannot compile this model here",
            got=_first_line(error),
            expected="a C++ compiler" if "CxxCompiler" in str(error) else "a model that it takes",
            hint="--set compile=false",
        )
    return error


def _is_out_of_memory(error: Exception) -> bool:
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error).lower() for text in _NO_MEMORY)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:160]
