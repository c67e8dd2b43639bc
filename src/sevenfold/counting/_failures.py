"""What a failed trace says, and what a finished one has to add: one line each."""

from __future__ import annotations

from sevenfold.counting._attention import AttentionCounter
from sevenfold.counting._recorder import Recorder
from sevenfold.errors import UsageError

# How torch says, in its various places, that a value was asked of a tensor that has none.
_NEEDS_VALUES = (
    "cannot be called on meta tensors",
    "out of meta tensor; no data",
    "meta device type tensor to numpy",
    "raises unimplemented by default",
    "data-dependent",
    "data dependent",
    "DataDependent",
    "DynamicOutputShape",
    "_local_scalar_dense",
    "aten.nonzero",
    "no fake impl or Meta",
)


def failure_of(error: Exception, name: str, path: str) -> UsageError:
    """One line for an exception out of the module, with the place in the module where it came from."""
    text = " ".join(str(error).split())
    text = f"{type(error).__name__}: {text[:240]}{'...' if len(text) > 240 else ''}"
    where = f" (in {path})" if path else ""
    if any(sign in text for sign in _NEEDS_VALUES):
        return UsageError(
            f"{name} needs the values of its tensors, and a count has only their shapes",
            got=text + where,
            expected="operators whose shapes do not depend on values",
            hint="masks and indices of fixed shape as inputs, or real tensors: device='cpu', --real",
        )
    return UsageError(f"{name} failed on this input", got=text + where, expected="inputs that the module accepts")


def notes_of(
    recorder: Recorder, attention: AttentionCounter, *, causal: bool, backward: bool, autocast: str | None
) -> tuple[str, ...]:
    """What a reader of the graph must know."""
    notes = []
    unknown = sorted({operator.name for operator in recorder.operators if operator.kind == "unknown"})
    if unknown:
        notes.append(f"operators whose arithmetic is not known, counted by their bytes only: {', '.join(unknown)}")
    if recorder.unread_parameters():
        notes.append(f"{recorder.unread_parameters()} parameters are read by no operator")
    if backward and not any(operator.phase == "backward" for operator in recorder.operators):
        notes.append("nothing that the module returns depends on a parameter or input that requires gradients")
    calls = attention.calls
    if sum(calls.values()):
        notes.append("attention is counted as a fused kernel: scores stay out of memory and are not kept")
    if attention.dropout:
        notes.append("attention with dropout: torch has no fused kernel for that on the CPU, where scores are kept")
    if causal and calls["masked"]:
        notes.append(f"{calls['masked']} attention calls with a square mask are taken to be causal")
    if causal and calls["full"]:
        notes.append(f"{calls['full']} attention calls have no mask and are counted in full")
    if causal and not calls["causal"] + calls["masked"]:
        notes.append("causal changes nothing: no call of scaled_dot_product_attention is causal or has a mask")
    if autocast is not None:
        notes.append(f"casts to {autocast} as torch.autocast makes them on the CPU")
    return tuple(notes)
