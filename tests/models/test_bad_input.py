"""Every landmark, given what it cannot take: one clear line with the layer, what it got and what it expected."""

from __future__ import annotations

import functools

import pytest
import torch

from sevenfold.actions._timeline import timeline
from sevenfold.errors import UsageError
from sevenfold.layers import require_tokens
from sevenfold.models import MODELS

ANY_SIZE = {"resnet", "resnet-cifar", "wide-resnet"}  # they average over whatever is left of the picture


@functools.cache
def smallest():
    """One preset a landmark, the one with the fewest parameters."""
    return [line.presets[0].name for line in timeline()]


def wrong_inputs(name):
    """(what is wrong, inputs), one tensor of the example changed at a time."""
    entry = MODELS[name]
    example = entry.example(batch=2, device="cpu")
    declared = entry.inputs(entry.spec())
    for place, (tensor, one) in enumerate(zip(example, declared, strict=True)):

        def put(changed, place=place):
            return (*example[:place], changed, *example[place + 1 :])

        if one.vocabulary is not None:
            for told, value in (("token beyond the vocabulary", one.vocabulary), ("negative token", -1)):
                changed = tensor.clone()
                changed.view(-1)[-1] = value
                yield told, put(changed)
            yield "floats for tokens", put(tensor.float())
            if one.context is not None and tensor.dim() == 2:
                yield "a sequence beyond the context", put(tensor.new_zeros(2, one.context + 1))
        elif tensor.dim() == 4:
            if entry.landmark.family != "control":  # frames of a game are bytes
                yield "bytes for pixels", put(tensor.byte())
            yield "another number of channels", put(torch.cat((tensor, tensor[:, :1]), dim=1))
            yield "one image without a batch", put(tensor[0])
            if MODELS[name].landmark.name not in ANY_SIZE:
                yield "another size", put(torch.nn.functional.pad(tensor, (0, 3, 0, 3)))
        else:
            yield "another number of features", put(torch.cat((tensor, tensor[:, :1]), dim=1))


CASES = [(name, told, inputs) for name in smallest() for told, inputs in wrong_inputs(name)]


@pytest.mark.parametrize(("name", "told", "inputs"), CASES, ids=[f"{name}: {told}" for name, told, _ in CASES])
def test_what_does_not_fit_is_one_line_with_the_layer(name, told, inputs):
    torch.manual_seed(0)
    module = MODELS[name].build().eval()
    with pytest.raises(UsageError) as caught:
        module(*inputs)
    error = caught.value
    assert error.got is not None, told
    assert error.expected is not None, told
    assert len(str(error).splitlines()) == 1
    layer, said, _ = error.message.partition(" cannot take th")
    if not said:
        layer, said, _ = error.message.partition(" has no ")
    assert said, error.message
    assert len(layer) > 1


def test_values_of_tokens_are_not_looked_at_where_that_would_wait_or_trace():
    beyond = torch.tensor([[7]])
    with pytest.raises(
        UsageError, match="the table has no row for a token: got tokens from 7 to 7, expected 0 to 4"
    ):
        require_tokens("the table", beyond, 5)
    require_tokens("the table", torch.empty(2, 0, dtype=torch.int64), 5)
    require_tokens("the table", beyond.to("meta"), 5)
    torch.vmap(lambda token: require_tokens("the table", token, 5) or token)(
        torch.zeros(3, 2, 2, dtype=torch.int64)
    )


def test_counting_does_not_see_the_look_at_tokens():
    from sevenfold.counting import trace

    entry = MODELS["gpt2-nano"]
    on_cpu = trace(entry.build(), entry.example(device="cpu"), backward=False, device="cpu")
    on_meta = trace(entry.build_meta(), entry.example(), backward=False)
    assert [op.name for op in on_cpu.operators] == [op.name for op in on_meta.operators]


@pytest.mark.parametrize("name", [name for name in smallest() if MODELS[name].landmark.name in ANY_SIZE])
def test_networks_that_average_at_the_end_take_any_size(name):
    entry = MODELS[name]
    (pixels,) = entry.example(batch=2, device="cpu")
    larger = torch.nn.functional.pad(pixels, (0, 3, 0, 3))
    module = entry.build().eval()
    assert module(larger).shape == module(pixels).shape
