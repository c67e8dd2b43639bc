"""The contract that every entry of the catalogue keeps, and that no landmark is left out of it."""

from __future__ import annotations

from pathlib import Path

import pytest
import safetensors.torch
import torch

import sevenfold.models
from sevenfold.errors import OutOfMemoryError, UnknownNameError, UsageError
from sevenfold.models import MODELS, alternatives_for
from sevenfold.spec import settings_of

NAMES = MODELS.names()
LAPTOP = [name for name in NAMES if MODELS[name].size == "laptop"]
# Sizes of one landmark share every line of code: what depends on code only is tested on its first paper size.
PAPER = {MODELS[name].landmark.name: name for name in reversed(NAMES) if MODELS[name].size == "paper"}
ONE_A_LANDMARK = [*LAPTOP, *PAPER.values()]

# Golden: published, or counted with an independent implementation. A new preset with a published count goes here.
PUBLISHED = {
    "bengio2003": 5_762_483,
    "gpt2": 124_439_808,
    "gpt2-medium": 354_823_168,
    "gpt2-large": 774_030_080,
    "gpt2-xl": 1_557_611_200,
    "gpt3-125m": 125_226_240,
    "gpt3-350m": 355_871_744,
    "gpt3-760m": 760_300_032,
    "gpt3-1.3b": 1_315_723_264,
    "gpt3-2.7b": 2_651_553_280,
    "gpt3-6.7b": 6_658_404_352,
    "gpt3-13b": 12_853_386_240,
    "gpt3-175b": 174_604_259_328,
    "lecun1989": 9_760,
    "mlp": 238_510,
}

# (shape of an example, outputs, task): what data sets look like here
DATA = [
    ((1, 8, 8), 10, "classification"),
    ((3, 13, 13), 2, "classification"),
    ((64,), 7, "classification"),
    ((2, 5, 9), 4, "classification"),
    ((48,), 130, "causal-lm"),
]


def seq_of(name):
    return 8 if MODELS[name].task == "causal-lm" else None


def loss_of(name, logits):
    targets = torch.zeros(logits.shape[:-1], dtype=torch.int64)
    return torch.nn.functional.cross_entropy(logits.flatten(0, -2), targets.flatten())


@pytest.mark.parametrize("name", NAMES)
def test_builds_on_meta_with_the_published_count(name):
    entry = MODELS[name]
    count = sum(weight.numel() for weight in entry.build_meta().parameters())
    assert entry.parameters == PUBLISHED.get(name)
    if entry.parameters is not None:
        assert count == entry.parameters
    elif entry.size == "paper":
        pytest.fail("a paper size needs a count to be held to")


@pytest.mark.parametrize("name", NAMES)
def test_forward_on_meta_gives_logits(name):
    entry = MODELS[name]
    (inputs,) = entry.example(batch=2, seq=seq_of(name))
    logits = entry.build_meta()(inputs)
    spec = entry.spec()
    assert inputs.device.type == logits.device.type == "meta"
    assert tuple(logits.shape) == ((2, 8, spec.vocabulary) if entry.task == "causal-lm" else (2, spec.classes))


@pytest.mark.parametrize("name", [*LAPTOP, "lecun1989", "mlp"])
def test_forward_and_backward_reach_every_parameter(name):
    torch.manual_seed(0)
    entry = MODELS[name]
    module = entry.build()
    (inputs,) = entry.example(batch=4, seq=seq_of(name), device="cpu")
    loss = loss_of(name, module(inputs))
    loss.backward()
    assert torch.isfinite(loss)
    for weight_name, weight in module.named_parameters():
        assert torch.isfinite(weight.grad).all(), weight_name
        assert weight.grad.any(), f"no gradient reaches {weight_name}"


@pytest.mark.parametrize("name", LAPTOP)
def test_weights_survive_safetensors(name):
    entry = MODELS[name]
    torch.manual_seed(1)
    first = entry.build()
    (inputs,) = entry.example(batch=3, seq=seq_of(name), device="cpu")
    first(inputs)  # moves running statistics, where there are any
    torch.manual_seed(2)
    second = entry.build()
    second.load_state_dict(safetensors.torch.load(safetensors.torch.save(first.state_dict())), strict=True)
    assert torch.equal(first.eval()(inputs), second.eval()(inputs))


@pytest.mark.parametrize("name", LAPTOP)
def test_initialization_is_the_seeds(name):
    entry = MODELS[name]
    weights = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        weights.append(torch.cat([w.flatten() for w in entry.build().parameters()]))
    assert torch.equal(weights[0], weights[1])
    if entry.landmark.name != "perceptron":  # which starts at zero
        assert not torch.equal(weights[0], weights[2])


@pytest.mark.parametrize("name", ONE_A_LANDMARK)
@pytest.mark.parametrize(("shape", "outputs", "task"), DATA)
def test_settings_for_a_data_set_give_a_model_that_takes_it(name, shape, outputs, task):
    entry = MODELS[name]
    if entry.task != task:
        return
    if entry.landmark.family == "vision" and (len(shape) != 3 or shape[1] != shape[2]):
        with pytest.raises(UsageError, match="expected square images"):
            entry.settings_for(shape, outputs)
        return
    settings = entry.settings_for(shape, outputs)
    module = entry.build_meta(settings)
    tokens = task == "causal-lm"
    inputs = torch.empty(2, *shape, device="meta", dtype=torch.int64 if tokens else torch.float32)
    assert tuple(module(inputs).shape) == ((2, *shape, outputs) if tokens else (2, outputs))
    (example,) = entry.example(settings, batch=2)
    assert tuple(module(example).shape)[-1] == outputs


@pytest.mark.parametrize("name", [name for name in ONE_A_LANDMARK if MODELS[name].dial is not None])
def test_the_dial_turns_in_its_multiples(name):
    entry = MODELS[name]
    multiple = entry.dial_multiple
    start = getattr(entry.spec(), entry.dial)
    assert start % multiple == 0
    counts = [
        sum(w.numel() for w in entry.build_meta({entry.dial: value}).parameters())
        for value in (
            multiple,
            max(multiple, start // 2 // multiple * multiple),
            start,
            start + multiple,
            2 * start,
        )
    ]
    assert counts == sorted(counts)
    assert counts[0] < counts[-1]
    if multiple > 1:
        with pytest.raises(UsageError, match="multiple of"):
            entry.spec({entry.dial: start + 1})


@pytest.mark.parametrize("name", LAPTOP)
def test_dropout_follows_train_and_eval(name):
    entry = MODELS[name]
    key = entry.dropout_key()
    if key is None:
        assert not any("dropout" in setting for setting, *_ in settings_of(entry.spec_type))
        return
    torch.manual_seed(0)
    module = entry.build({key: 0.5})
    (inputs,) = entry.example(batch=4, seq=seq_of(name), device="cpu")
    assert not torch.equal(module(inputs), module(inputs))
    module.eval()
    assert torch.equal(module(inputs), module(inputs))


@pytest.mark.parametrize("name", [name for name in LAPTOP if MODELS[name].task == "causal-lm"])
def test_no_logit_sees_the_future(name, loud):
    entry = MODELS[name]
    module = loud(entry.build({"width": entry.dial_multiple * 4}))
    (tokens,) = entry.example(seq=12, device="cpu")
    changed = tokens.clone()
    changed[:, 7] = (changed[:, 7] + 1) % 10
    moved = (module(tokens) - module(changed)).abs().amax(dim=(0, 2)) > 1e-9
    assert not moved[:7].any()
    assert moved[7:].any()


@pytest.mark.parametrize("name", NAMES)
def test_every_setting_and_landmark_is_described(name):
    entry = MODELS[name]
    for key, _, _, text in settings_of(entry.spec_type):
        assert len(text) > 5, f"{key} has no description"
    assert entry.landmark is not None
    assert str(entry.landmark.year) in entry.landmark.paper
    assert len(entry.landmark.summary) > 20
    assert len(entry.summary) > 10
    assert entry.landmark.family == Path(entry.module.__module__.replace(".", "/")).parent.name
    with pytest.raises(UnknownNameError):
        entry.spec({"no-such-setting": 1})


def test_examples_repeat_and_leave_torchs_random_numbers_alone():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    for name in LAPTOP:
        (a,), (b,) = (MODELS[name].example(batch=2, device="cpu") for _ in range(2))
        assert torch.equal(a, b)
    assert torch.equal(before, torch.get_rng_state())


def test_examples_of_another_size():
    gpt, net = MODELS["gpt2-nano"], MODELS["lecun1989"]
    assert gpt.example(batch=3, seq=5)[0].shape == (3, 5)
    assert gpt.example(batch=3)[0].shape == (3, 64)
    assert net.example({"image": 28}, batch=2, image=28)[0].shape == (2, 1, 28, 28)
    assert net.sized({}, image=28) == {"image": 28}
    assert gpt.sized({"width": 8}, seq=5) == {"width": 8}
    for wrong, settings in ((gpt, {"seq": 65}), (gpt, {"seq": 0}), (gpt, {"image": 8}), (gpt, {"batch": 0}),
                            (net, {"seq": 4}), (net, {"image": 28}), (MODELS["mlp"], {"image": 28})):  # fmt: skip
        with pytest.raises(UsageError):
            wrong.example(**settings)


def test_a_model_beyond_this_machines_memory_is_refused_before_it_is_built():
    with pytest.raises(OutOfMemoryError, match=r"got 4\d{5}\.\d GB of weights, expected at most"):
        MODELS["mlp-small"].build({"width": 10_000_000})


def test_alternatives_are_other_landmarks_that_fit():
    def found(task, shape, outputs, besides):
        return alternatives_for(task, shape, outputs, besides=besides)

    images = found("classification", (1, 8, 8), 10, "lecun1989-small")
    assert images == ["mlp-small", "residual-mlp-small", "perceptron-small"]
    assert found("classification", (1, 8, 8), 10, "mlp-small")[0] == "lecun1989-small"
    assert "lecun1989-small" not in found("classification", (30,), 2, "mlp-small")
    assert found("causal-lm", (64,), 96, "gpt2-nano") == ["bengio2003-small"]
    assert found("causal-lm", (64,), 96, "bengio2003-small") == ["gpt2-nano"]  # the smallest GPT-2, not every size


def test_every_file_is_an_entry_and_every_landmark_has_its_parity_test():
    folder = Path(sevenfold.models.__file__).parent
    files = {path.stem for path in folder.glob("*/*.py") if not path.stem.startswith("_")}
    assert {MODELS[name].module.__module__.rpartition(".")[2] for name in NAMES} == files
    assert {path.stem.removeprefix("test_") for path in Path(__file__).parent.glob("test_*.py")} >= files
    assert {MODELS[name].landmark.name.replace("-", "_") for name in NAMES} == files
    assert {name for name in NAMES if MODELS[name].parameters is not None} == set(PUBLISHED)
