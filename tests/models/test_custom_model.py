"""A person's own model in the catalogue: settings from the signature, and what a wrong one is told."""

from __future__ import annotations

import functools

import pytest
import torch
from torch import nn

from sevenfold.errors import SpecError, UnknownNameError, UsageError
from sevenfold.models import MODELS, alternatives_for, register_custom

DIGEST = "0123456789abcdef" * 4


class MyNet(nn.Module):
    """A net of mine."""

    def __init__(self, width: int = 16, classes: int = 10, dropout: float = 0, in_features: int = 64) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Flatten(), nn.Linear(in_features, width), nn.ReLU(), nn.Dropout(dropout), nn.Linear(width, classes)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x)


def registered(builder, **options):
    return register_custom(builder, **{"task": "classification", "digest": DIGEST, **options})


def test_settings_are_the_signature():
    entry = registered(MyNet)
    assert MODELS["custom/0123456789ab"] is entry
    assert (entry.size, entry.dial, entry.dial_multiple, entry.landmark) == ("custom", "width", 1, None)
    assert entry.dropout_key() == "dropout"
    assert entry.summary == "A net of mine."
    assert entry.spec().to_dict() == {"width": 16, "classes": 10, "dropout": 0, "in_features": 64}
    assert entry.settings_for((3, 4, 4), 5) == {"classes": 5, "in_features": 48}
    module = entry.build({"width": 7, "dropout": 0.5, **entry.settings_for((3, 4, 4), 5)})
    assert module(torch.zeros(2, 3, 4, 4)).shape == (2, 5)
    assert module.net[3].p == 0.5
    assert next(entry.build_meta({"width": "9"}).parameters()).shape == (9, 64)


def test_the_issues_lambda_works():
    entry = registered(lambda width: MyNet(width=width))
    assert entry.dial == "width"
    assert entry.spec().to_dict() == {"width": 32}
    assert entry.settings_for((1, 8, 8), 10) == {}
    assert entry.build({"width": 3})(torch.zeros(2, 64)).shape == (2, 10)


def test_without_a_dial_there_is_none():
    entry = registered(lambda units=4: MyNet(units))
    assert entry.dial is None
    assert entry.dropout_key() is None
    assert registered(lambda units=4: MyNet(units), dial="units").dial == "units"
    assert registered(lambda width=4: MyNet(width), dial=None).dial is None


def test_unknown_and_unfit_settings_are_told_with_the_nearest_name():
    entry = registered(MyNet)
    with pytest.raises(UnknownNameError, match=r"got 'widht'.*try width"):
        entry.spec({"widht": 3})
    with pytest.raises(SpecError, match="width does not fit"):
        entry.spec({"width": 3.5})
    with pytest.raises(SpecError, match="width does not fit"):
        entry.spec({"width": "wide"})


def test_a_parameter_without_default_is_asked_for_unless_the_data_fills_it():
    entry = registered(lambda classes, depth: MyNet(classes=classes))
    with pytest.raises(SpecError, match="depth"):
        entry.spec({"classes": 3})
    assert entry.spec({"classes": 3, "depth": 2}).to_dict() == {"classes": 3, "depth": 2}


def test_channels_is_a_width_and_not_taken_for_the_images():
    entry = registered(lambda channels=32, in_channels=1, image_size=8: nn.Conv2d(in_channels, channels, 1))
    assert entry.settings_for((3, 16, 16), 5) == {"in_channels": 3, "image_size": 16}


def test_language_models_get_vocabulary_and_context():
    entry = registered(
        lambda vocab_size=10, block_size=4, n_embd=8: nn.Embedding(vocab_size, n_embd),
        task="causal-lm",
        dial="n_embd",
    )
    assert entry.settings_for((64,), 96) == {"vocab_size": 96, "block_size": 64}
    assert entry.dial == "n_embd"


def test_example_needs_an_input_shape():
    with pytest.raises(UsageError, match="does not say what it takes"):
        registered(MyNet).example()
    entry = registered(MyNet, input_shape=(1, 8, 8))
    assert entry.example(batch=3)[0].shape == (3, 1, 8, 8)
    entry = registered(lambda vocabulary=5: nn.Embedding(vocabulary, 5), task="causal-lm", input_shape=(7,))
    (tokens,) = entry.example(batch=3, device="cpu")
    assert tokens.shape == (3, 7)
    assert int(tokens.max()) < 5


def test_alternatives_are_the_given_ones_only():
    registered(MyNet)
    assert alternatives_for("classification", (1, 8, 8), 10, besides="custom/0123456789ab") == []
    registered(MyNet, alternatives=("lecun1989-small", "gpt2-nano", "mlp-small"))
    assert alternatives_for("classification", (1, 8, 8), 10, besides="custom/0123456789ab") == [
        "lecun1989-small", "mlp-small",
    ]  # fmt: skip
    assert "custom/0123456789ab" not in alternatives_for("classification", (1, 8, 8), 10, besides="mlp-small")
    with pytest.raises(UnknownNameError, match="try mlp-small"):
        registered(MyNet, alternatives=("mlp-smal",))


def test_a_failing_function_is_told_with_its_error():
    def broken(width=4):
        raise RuntimeError("no such layer")

    with pytest.raises(UsageError, match="function failed: got RuntimeError: no such layer") as caught:
        registered(broken).build()
    assert isinstance(caught.value.__cause__, RuntimeError)
    with pytest.raises(UsageError, match="returned something else: got a int"):
        registered(lambda width=4: width).build()


def test_a_function_is_called_once_a_build_and_need_not_work_on_meta():
    sums = []

    def counts_itself(width=4):
        module = MyNet(width)
        sums.append(module.net[1].weight.sum().item())  # impossible on the meta device
        return module

    registered(counts_itself).build()
    assert len(sums) == 1


def test_lazy_layers_are_told():
    with pytest.raises(UsageError, match=r"without a shape.*in_features"):
        registered(lambda width=4: nn.LazyLinear(width)).build()


@pytest.mark.parametrize(
    ("builder", "message"),
    [
        (MyNet(), "given as a function"),
        (3, "given as a function"),
        (lambda width, /: MyNet(width), "positional-only parameter: got width"),
        (lambda width=(1, 2): MyNet(), "default of width cannot be a setting: got a tuple"),
        (lambda _width=3: MyNet(), "reserved name: got _width"),
        (lambda copy=3: MyNet(), "reserved name: got copy"),
    ],
)
def test_what_cannot_be_registered(builder, message):
    with pytest.raises(UsageError, match=message):
        registered(builder)


def test_partials_and_callables_with_open_arguments():
    entry = registered(functools.partial(MyNet, classes=3))
    assert entry.build({"width": 5})(torch.zeros(1, 64)).shape == (1, 3)
    entry = registered(lambda *args, width=4, **more: MyNet(width))
    assert list(entry.spec_type.model_fields) == ["width"]


def test_model_dim_is_a_fine_name():
    entry = registered(lambda model_dim=8: MyNet(model_dim), dial="model_dim")
    assert entry.build({"model_dim": 5})(torch.zeros(1, 64)).shape == (1, 10)
