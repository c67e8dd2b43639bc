"""The contract that every entry of the catalogue keeps, and that no landmark is left out of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import safetensors.torch
import torch

import sevenfold.models
from sevenfold.counting import trace
from sevenfold.errors import OutOfMemoryError, UnknownNameError, UsageError
from sevenfold.layers import Played
from sevenfold.models import MODELS, alternatives_for
from sevenfold.models.control._policies import ActorCritic
from sevenfold.runs.recipe import Objective
from sevenfold.spec import settings_of
from sevenfold.training.objectives import loss_function

NAMES = MODELS.names()
LAPTOP = [name for name in NAMES if MODELS[name].size == "laptop"]
# Sizes of one landmark share every line of code: what depends on code only is tested on its first paper size.
PAPER = {MODELS[name].landmark.name: name for name in reversed(NAMES) if MODELS[name].size == "paper"}
ONE_A_LANDMARK = [*LAPTOP, *PAPER.values()]

# Golden: published, or counted with an independent implementation. A landmark has its own file there.
GOLDEN = {
    name: golden
    for path in sorted((Path(__file__).parent / "golden").glob("*.json"))
    for name, golden in json.loads(path.read_text()).items()
}

# (shape of an example, outputs, task): what data sets look like here
DATA = [
    ((1, 8, 8), 10, "classification"),
    ((3, 13, 13), 2, "classification"),
    ((64,), 7, "classification"),
    ((2, 5, 9), 4, "classification"),
    ((48,), 130, "causal-lm"),
]


JUDGES = [
    name for name in NAMES if isinstance(MODELS[name].module, type) and issubclass(MODELS[name].module, ActorCritic)
]  # whose values are no part of its outputs
TOKENS = ("causal-lm", "masked-lm", "seq2seq", "reward")


def seq_of(name):
    """A short sequence, for models that read tokens only."""
    entry = MODELS[name]
    return 8 if entry.task in TOKENS else None


def outputs_of(entry, *, batch):
    """What a task's outputs look like, None for an axis that the model decides on."""
    spec = entry.spec()
    return {
        "classification": lambda: (batch, spec.classes),
        "regression": lambda: (batch, spec.outputs),
        "segmentation": lambda: (batch, spec.classes, None, None),
        "causal-lm": lambda: (batch, 8, spec.vocabulary),
        "masked-lm": lambda: (batch, 8, spec.vocabulary),
        "seq2seq": lambda: (batch, 8, spec.vocabulary),
        "word-vectors": lambda: (batch, None),
        "image-text": lambda: (batch, batch),
        "generation": lambda: (batch,),
        "reward": lambda: (batch,),
        "contrastive": lambda: (batch,),
        "control": lambda: (batch, spec.actions),
    }[entry.task]()


def loss_of(name, outputs):
    """The task's own loss, against targets of its shape."""
    task = MODELS[name].task
    if task == "regression":
        targets = torch.ones_like(outputs)
    elif task == "segmentation":
        targets = torch.zeros(outputs.shape[0], *outputs.shape[2:], dtype=torch.int64)
    elif task == "word-vectors":
        targets = torch.zeros(outputs.shape)
        targets[:, 0] = 1
    elif task == "control":
        return outputs.square().mean()
    elif task in ("generation", "contrastive"):
        targets = torch.zeros(outputs.shape, dtype=torch.int64)
    elif task == "image-text":
        targets = torch.arange(outputs.shape[0])
    elif task == "reward":
        outputs, targets = outputs[None], torch.arange(outputs.shape[0])[None]
    else:
        targets = torch.zeros(outputs.shape[:-1], dtype=torch.int64)
    return loss_function(task, Objective())(outputs, targets)


@pytest.mark.parametrize("name", NAMES)
def test_builds_on_meta_with_the_published_count(name):
    entry = MODELS[name]
    count = sum(weight.numel() for weight in entry.build_meta().parameters())
    assert entry.parameters == (GOLDEN[name]["parameters"] if name in GOLDEN else None)
    if entry.parameters is not None:
        assert count == entry.parameters
    elif entry.size == "paper":
        pytest.fail("a paper size needs a count to be held to")


@pytest.mark.parametrize("name", NAMES)
def test_forward_on_meta_gives_outputs_of_the_tasks_shape(name):
    entry = MODELS[name]
    inputs = entry.example(batch=2, seq=seq_of(name))
    outputs = entry.build_meta()(*inputs)
    assert all(one.device.type == "meta" for one in inputs)
    assert outputs.device.type == "meta"
    expected = outputs_of(entry, batch=2)
    assert len(outputs.shape) == len(expected)
    assert all(want in (None, got) for got, want in zip(outputs.shape, expected, strict=True))


@pytest.mark.parametrize("name", [name for name in NAMES if GOLDEN.get(name, {}).get("macs") is not None])
def test_macs_are_the_published_ones(name):
    entry = MODELS[name]
    graph = trace(entry.build_meta().eval(), entry.example(), backward=False)
    assert graph.macs == GOLDEN[name]["macs"]


@pytest.mark.parametrize("name", [*LAPTOP, "lecun1989", "mlp"])
def test_forward_and_backward_reach_every_parameter(name):
    torch.manual_seed(0)
    entry = MODELS[name]
    module = entry.build()
    inputs = entry.example(batch=4, seq=seq_of(name), device="cpu")
    if entry.task == "generation":
        inputs = (inputs[0].clamp(0, 1), *inputs[1:])
        with torch.no_grad():
            for weight in module.parameters():  # a last layer that starts at zero passes no gradient on
                weight.add_(0.05 * torch.randn_like(weight))
    if isinstance(module, Played):
        for player in module.players():
            found = torch.autograd.grad(player.loss(*inputs), player.parameters, allow_unused=True)
            for weight, gradient in zip(player.parameters, found, strict=True):
                weight.grad = gradient
    else:
        outputs = torch.cat([one.flatten() for one in module.judge(*inputs)]) if name in JUDGES else module(*inputs)
        loss = loss_of(name, outputs)
        loss.backward()
        assert torch.isfinite(loss)
    for weight_name, weight in module.named_parameters():
        if entry.landmark.name == "lora" and ".up." not in weight_name:
            continue  # frozen, or multiplied by an update that starts at zero
        if entry.landmark.name == "word2vec" and weight_name == "input.weight":
            continue  # multiplied by output vectors that start at zero
        if entry.landmark.name == "dalle" and weight_name == "transformer.padding.weight":
            continue  # no caption of the example ends before its last token
        if entry.landmark.name == "dalle2" and weight_name in ("prior.mean", "prior.deviation"):
            continue  # of no player: they describe CLIP
        if entry.landmark.name == "wgan-gp" and weight_name == "critic.output.bias":
            continue  # the loss is a difference of scores
        if entry.task == "reward" and weight_name == "final_norm.bias":
            continue  # moves all rewards by the same, and the loss is of their differences
        assert torch.isfinite(weight.grad).all(), weight_name
        assert weight.grad.any(), f"no gradient reaches {weight_name}"


@pytest.mark.parametrize("name", LAPTOP)
def test_weights_survive_safetensors(name):
    entry = MODELS[name]
    torch.manual_seed(1)
    first = entry.build()
    inputs = entry.example(batch=3, seq=seq_of(name), device="cpu")
    first(*inputs)  # moves running statistics, where there are any
    torch.manual_seed(2)
    second = entry.build()
    second.load_state_dict(safetensors.torch.load(safetensors.torch.save(first.state_dict())), strict=True)
    outputs = []
    for module in (first, second):
        torch.manual_seed(3)  # some draw random numbers for their loss
        outputs.append(module.eval()(*inputs))
    assert torch.equal(*outputs)


@pytest.mark.parametrize("name", LAPTOP)
def test_initialization_is_the_seeds(name):
    entry = MODELS[name]
    weights = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        weights.append(torch.cat([w.flatten() for w in entry.build().parameters()]))
    assert torch.equal(weights[0], weights[1])
    if entry.landmark.name not in ("perceptron", "linear-regression", "markov-chain"):  # which start at zero
        assert not torch.equal(weights[0], weights[2])


@pytest.mark.parametrize("name", ONE_A_LANDMARK)
@pytest.mark.parametrize(("shape", "outputs", "task"), DATA)
def test_settings_for_a_data_set_give_a_model_that_takes_it(name, shape, outputs, task):
    entry = MODELS[name]
    if entry.task != task:
        return
    if entry.landmark.family == "vision" and task == "classification" and (len(shape) != 3 or shape[1] != shape[2]):
        with pytest.raises(UsageError, match="expected square images"):
            entry.settings_for(shape, outputs)
        return
    refused = ""
    try:
        settings = entry.settings_for(shape, outputs)
    except UsageError as error:
        refused = str(error)
    if refused:  # deep networks for photographs: nothing would be left of so few pixels
        assert entry.size == "paper"
        assert "the image does not fit" in refused
        return
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
    inputs = entry.example(batch=4, seq=seq_of(name), device="cpu")
    assert not torch.equal(module(*inputs), module(*inputs))
    module.eval()
    if entry.task not in ("generation", "contrastive"):  # whose loss is random in itself
        assert torch.equal(module(*inputs), module(*inputs))


@pytest.mark.parametrize("name", [name for name in LAPTOP if MODELS[name].task == "causal-lm"])
def test_no_logit_sees_the_future(name, loud):
    entry = MODELS[name]
    module = loud(entry.build({} if entry.dial is None else {entry.dial: entry.dial_multiple * 4}))
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
    assert len(entry.landmark.proof) > 20, "a landmark says what it is held to"
    assert len(entry.summary) > 10
    assert entry.landmark.family == Path(entry.module.__module__.replace(".", "/")).parent.name
    with pytest.raises(UnknownNameError):
        entry.spec({"no-such-setting": 1})


def test_examples_repeat_and_leave_torchs_random_numbers_alone():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    for name in LAPTOP:
        a, b = (MODELS[name].example(batch=2, device="cpu") for _ in range(2))
        assert all(torch.equal(one, two) for one, two in zip(a, b, strict=True))
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
    assert {"mlp-small", "residual-mlp-small", "perceptron-small", "resnet8"} <= set(images)
    assert [MODELS[name].dial is None for name in images] == sorted(MODELS[name].dial is None for name in images)
    assert "lecun1989-small" in found("classification", (1, 8, 8), 10, "mlp-small")
    assert "lecun1989-small" not in found("classification", (30,), 2, "mlp-small")
    texts = found("causal-lm", (64,), 96, "bengio2003-small")
    assert {"gpt2-nano", "llama-nano"} <= set(texts)
    assert "gpt2-10m" not in texts  # the smallest GPT-2, not every size
    assert "lora-gpt2-nano" not in texts  # adapters on random weights
    assert "bengio2003-small" in found("causal-lm", (64,), 96, "gpt2-nano")


def test_every_file_is_an_entry_and_every_landmark_has_its_parity_test():
    folder = Path(sevenfold.models.__file__).parent
    files = {path.stem for path in folder.glob("*/*.py") if not path.stem.startswith("_")}
    assert {MODELS[name].module.__module__.rpartition(".")[2] for name in NAMES} == files
    assert {path.stem.removeprefix("test_") for path in Path(__file__).parent.glob("test_*.py")} >= files
    assert {MODELS[name].landmark.name.replace("-", "_") for name in NAMES} == files
    assert {name for name in NAMES if MODELS[name].parameters is not None} == set(GOLDEN)
