"""DALL-E: its autoencoder and transformer against functional references on loud weights, with mutations.

The references are written here, from the paper and the shapes of the release: plain convolutions, and attention one
position after the other.
"""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from scipy.integrate import quad

from sevenfold.errors import SpecError, UsageError
from sevenfold.layers import Noise, Sampling
from sevenfold.models import MODELS
from sevenfold.models.generative._discrete_vae import Annealing, logit_laplace_nll, mapped, unmapped
from sevenfold.models.generative.dalle import DALLE, form_of, seen_codes

TINY = {
    "image": 8, "channels": 2, "codes": 7, "hidden": 8, "first": 6, "groups": 3, "blocks": 2, "vocabulary": 9,
    "context": 5, "width": 12, "layers": 3, "heads": 3, "kernel": 3, "likelihood": "logit-laplace",
    "kl_weight": 6.6, "temperature": 1 / 16, "temperature_updates": 150_000,
}  # fmt: skip


@pytest.fixture
def model(loud) -> DALLE:
    torch.manual_seed(0)
    # Convolutions sum over many inputs: a quarter of the loud deviation keeps ln b where exp is finite.
    made = loud(MODELS["dalle-small"].build(TINY))
    with torch.no_grad():
        for part in (made.autoencoder.encoder, made.autoencoder.decoder):
            for weight in part.parameters():
                weight.mul_(0.25)
    return made


@pytest.fixture
def pair() -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(4)
    tokens = torch.tensor([[1, 2, 8, 0, 0], [3, 4, 5, 6, 7], [1, 0, 1, 0, 0]])
    return torch.rand(3, 2, 8, 8, generator=draw, dtype=torch.float64), tokens


# The autoencoder.


def convolved(weights, name, x):
    weight, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
    return F.conv2d(x, weight, bias, padding=weight.shape[-1] // 2)


def blocks_of(weights, name, x, *, groups, blocks, change):
    place = 0
    for group in range(groups):
        for _ in range(blocks):
            block = f"{name}.groups.{place}"
            inner = x
            for index in range(4):
                inner = convolved(weights, f"{block}.convolutions.{index}", inner.clamp(min=0))
            skip = convolved(weights, f"{block}.shortcut", x) if f"{block}.shortcut.weight" in weights else x
            x = skip + inner / (groups * blocks) ** 2
            place += 1
        if group < groups - 1:
            x = change(x)
            place += 1
    return x


def halved(x):
    return torch.stack([x[..., i::2, j::2] for i in (0, 1) for j in (0, 1)]).amax(0)


def doubled(x):
    return x.repeat_interleave(2, dim=-1).repeat_interleave(2, dim=-2)


def autoencoder_loss(weights, pixels, *, kl_weight=6.6):
    """The loss in evaluation: the likeliest codes."""
    x = 0.8 * pixels + 0.1
    hidden = blocks_of(
        weights, "encoder", convolved(weights, "encoder.input", x), groups=3, blocks=2, change=halved
    )
    logits = convolved(weights, "encoder.output", hidden.relu())
    q = logits.softmax(1)
    z = torch.zeros_like(logits).scatter(1, logits.argmax(1, keepdim=True), 1.0)
    hidden = blocks_of(
        weights, "decoder", convolved(weights, "decoder.input", z), groups=3, blocks=2, change=doubled
    )
    mean, log_b = convolved(weights, "decoder.output", hidden.relu()).chunk(2, dim=1)
    b = log_b.exp()
    density = torch.exp(-(torch.log(x / (1 - x)) - mean).abs() / b) / (2 * b * x * (1 - x))
    kl = (q * (q * q.shape[1]).log()).sum((1, 2, 3))
    return (-density.log().sum((1, 2, 3)) + kl_weight * kl) / pixels[0].numel()


def test_the_autoencoder_equals_the_reference(model, pair, difference):
    outputs, gradients = difference(model.autoencoder, autoencoder_loss, pair[0])
    assert outputs < 1e-10
    assert gradients < 1e-10


def change_gain(model):
    model.autoencoder.encoder.groups[0].gain = 1.0


def average_pooling(model):
    model.autoencoder.encoder.groups[2] = torch.nn.AvgPool2d(2)


def bilinear(model):
    model.autoencoder.decoder.groups[2] = torch.nn.Upsample(scale_factor=2, mode="bilinear")


def no_bias_of_first(model):
    torch.nn.init.zeros_(model.autoencoder.encoder.input.bias)


def another_weight_of_kl(model):
    model.autoencoder.kl_weight.last = 6.0


def other_pixels(model):
    model.autoencoder.nll = lambda pixels, z: (
        logit_laplace_nll(pixels.clamp(0.01, 0.99), *model.autoencoder.statistics(z)).flatten(1).sum(1)
    )


@pytest.mark.parametrize(
    "mutation",
    [change_gain, average_pooling, bilinear, no_bias_of_first, another_weight_of_kl, other_pixels],
)
def test_a_mutated_autoencoder_differs(model, pair, mutation):
    weights = {name: weight.clone() for name, weight in model.autoencoder.named_parameters()}
    expected = autoencoder_loss(weights, pair[0])
    torch.testing.assert_close(model.autoencoder(pair[0]), expected, rtol=1e-10, atol=1e-10)
    mutation(model)
    assert float((model.autoencoder(pair[0]) - expected).detach().abs().max()) > 1e-5


def test_the_published_counts():
    big = MODELS["dalle-12b"].build_meta()
    counts = [sum(weight.numel() for weight in part.parameters()) for part in
              (big.autoencoder.encoder, big.autoencoder.decoder)]  # fmt: skip
    assert counts == [53_786_240, 43_829_766]
    width, layers, text, vocabulary, codes = 62 * 64, 64, 256, 16_384, 8192
    block = 12 * width**2 + 13 * width  # q, k, v, projection, 4 x feed-forward, biases, two norms
    embeddings = (1 + vocabulary + 2 * text + codes + 32 + 32) * width
    heads = (vocabulary + codes) * (width + 1)
    assert sum(w.numel() for w in big.transformer.parameters()) == layers * block + embeddings + heads + 2 * width
    assert big.autoencoder.encode(torch.empty(1, 3, 256, 256, device="meta")).shape == (1, 32, 32)


@pytest.mark.parametrize(("mean", "log_scale"), [(0.0, 0.0), (1.5, -1.0), (-2.0, 0.4)])
def test_logit_laplace_is_a_density(mean, log_scale):
    def density(x):
        parts = (torch.tensor(value, dtype=torch.float64) for value in (x, mean, log_scale))
        return float(torch.exp(-logit_laplace_nll(*parts)))

    peak = 1 / (1 + math.exp(-mean))
    assert quad(density, 0, 1, points=[peak], limit=400)[0] == pytest.approx(1, abs=1e-6)
    # Half of it lies below sigmoid(mu), which is what a reconstruction shows.
    assert quad(density, 0, peak, limit=400)[0] == pytest.approx(0.5, abs=1e-6)


def test_pixels_are_mapped_and_back():
    pixels = torch.linspace(0, 1, 256, dtype=torch.float64)
    assert (unmapped(mapped(pixels)) - pixels).abs().max() < 1e-12
    assert mapped(torch.tensor([-3.0, 7.0])).tolist() == pytest.approx([0.1, 0.9])


def test_the_divergence_is_torch_distributions(model):
    logits = torch.randn(2, 7, 3, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = torch.distributions.Categorical(logits=logits.movedim(1, -1))
    uniform = torch.distributions.Categorical(logits=torch.zeros(7, dtype=torch.float64))
    expected = torch.distributions.kl_divergence(found, uniform).sum((1, 2))
    torch.testing.assert_close(model.autoencoder.kl(logits), expected, rtol=1e-12, atol=1e-12)


def test_annealing_is_a_cosine_that_stays():
    annealing = Annealing(1.0, 1 / 16, updates=10, follows=None)
    values = []
    for _ in range(14):
        values.append(float(annealing.value))
        annealing.after_update()
    expected = [1 / 16 + (1 - 1 / 16) * (1 + math.cos(math.pi * min(1, n / 10))) / 2 for n in range(14)]
    assert values == pytest.approx(expected, abs=1e-6)


def test_the_relaxation_becomes_one_hot_as_the_temperature_falls(model, pair):
    """The relaxed loss in training goes to that of codes drawn from q."""
    autoencoder = model.autoencoder.train()
    seen = []
    autoencoder.statistics = lambda z, own=autoencoder.statistics: seen.append(z) or own(z)
    for count, _ in ((0, "soft"), (150_000, "hard")):
        autoencoder.temperature.count.fill_(count)
        autoencoder(pair[0])
    soft, hard = (float(z.detach().amax(1).mean()) for z in seen)
    assert soft < hard
    assert all(torch.allclose(z.sum(1), torch.ones(()).double()) for z in seen)
    assert hard > 0.9


# The transformer.


def attention_row(q, k, v, seen):
    """One position at a time, over the positions that it may see."""
    out = []
    for position in range(q.shape[0]):
        where = seen[position]
        scores = torch.stack([q[position] @ k[other] for other in where]) / math.sqrt(q.shape[1])
        shares = scores.softmax(0)
        out.append(sum(share * v[other] for share, other in zip(shares, where, strict=True)))
    return torch.stack(out)


def positions_seen(form, position):
    """By the rules of figure 11, for 5 text tokens (and the start) and a grid of 2 x 2."""
    text, side = 5, 2
    if position <= text:
        return list(range(position + 1))
    own = position - text - 1
    codes = {
        "row": [other for other in range(own + 1) if own - other <= side],
        "column": [other for other in range(own + 1) if other % side == own % side],
        "conv": [o for o in range(own + 1) if own - o in (0, 1, side - 1, side, side + 1)],
    }[form]
    return [*range(text + 1), *(text + 1 + code for code in codes)]


def written(weights, tokens, codes):
    """Loss [B] of the transformer, one example at a time."""
    losses = []
    for text, picture in zip(tokens, codes, strict=True):
        ended = torch.tensor([not text[place:].any() for place in range(5)])
        words = (
            torch.where(ended[:, None], weights["padding.weight"], weights["text_embedding.weight"][text])
            + weights["text_position.weight"]
        )
        place = torch.arange(3)
        cells = weights["code_embedding.weight"][picture[:-1]]
        cells = cells + weights["row.weight"][place // 2] + weights["column.weight"][place % 2]
        x = torch.cat([weights["start"][None], words, cells])
        for layer, form in enumerate(("row", "column", "conv")):
            at = {name.removeprefix(f"blocks.{layer}."): w for name, w in weights.items()}
            normed = F.layer_norm(x, (12,), at["attention_norm.weight"], at["attention_norm.bias"])
            q, k, v = (
                (normed @ at[f"attention.{name}.weight"].T + at[f"attention.{name}.bias"]).reshape(-1, 3, 4)
                for name in ("query", "key", "value")
            )
            seen = [positions_seen(form, position) for position in range(len(x))]
            mixed = torch.cat([attention_row(q[:, h], k[:, h], v[:, h], seen) for h in range(3)], dim=1)
            x = x + mixed @ at["attention.projection.weight"].T + at["attention.projection.bias"]
            normed = F.layer_norm(x, (12,), at["feedforward_norm.weight"], at["feedforward_norm.bias"])
            inner = normed @ at["feedforward.expand.weight"].T + at["feedforward.expand.bias"]
            inner = 0.5 * inner * (1 + torch.tanh(math.sqrt(2 / math.pi) * (inner + 0.044715 * inner**3)))
            x = x + inner @ at["feedforward.projection.weight"].T + at["feedforward.projection.bias"]
        x = F.layer_norm(x, (12,), weights["final_norm.weight"], weights["final_norm.bias"])
        said = (x[:5] @ weights["text_head.weight"].T + weights["text_head.bias"]).log_softmax(-1)
        drawn = (x[5:] @ weights["code_head.weight"].T + weights["code_head.bias"]).log_softmax(-1)
        of_text = -said[torch.arange(5), text].mean()
        losses.append(of_text / 8 - 7 / 8 * drawn[torch.arange(4), picture].mean())
    return torch.stack(losses)


class Written:
    """The transformer's loss as a function of captions and codes."""

    def __init__(self, model):
        self.model = model
        self.named_parameters = model.transformer.named_parameters

    def __call__(self, tokens, codes):
        self.model.autoencoder.encode = lambda images: codes.unflatten(1, (2, 2))
        return self.model.transformer_loss(torch.zeros(3, 2, 8, 8), tokens)


@pytest.fixture
def stream(pair):
    return pair[1], torch.tensor([[0, 6, 3, 3], [1, 2, 5, 0], [4, 4, 4, 4]])


def test_the_transformer_equals_the_reference(loud, stream, pair_difference):
    model = loud(MODELS["dalle-small"].build(TINY | {"image": 8, "groups": 3}))
    outputs, gradients = pair_difference(Written(model), written, stream)
    assert outputs < 1e-10
    assert gradients < 1e-10


def forms_exchanged(model):
    first, second = model.transformer.blocks[0], model.transformer.blocks[1]
    first.seen, second.seen = second.seen, first.seen


def all_codes_seen(model):
    for block in model.transformer.blocks:
        block.seen = torch.ones_like(block.seen).tril()


def padding_is_a_word(model):
    with torch.no_grad():
        model.transformer.padding.weight.copy_(model.transformer.text_embedding.weight[:1].expand(5, -1))


def rows_are_columns(model):
    transformer = model.transformer
    transformer.row, transformer.column = transformer.column, transformer.row


def no_start(model):
    torch.nn.init.zeros_(model.transformer.start)


@pytest.mark.parametrize(
    "mutation", [forms_exchanged, all_codes_seen, padding_is_a_word, rows_are_columns, no_start]
)
def test_a_mutated_transformer_differs(loud, stream, mutation):
    model = loud(MODELS["dalle-small"].build(TINY))
    before = Written(model)(*stream)
    mutation(model)
    assert float((Written(model)(*stream) - before).detach().abs().max()) > 1e-5


def test_the_patterns_of_figure_11():
    """On the figure's grid of 4 x 4: the extent of rows, strided columns, a 3 x 3 kernel that wraps around."""
    row, column, conv = (seen_codes(form, 4, 3) for form in ("row", "column", "conv"))
    assert [int(n) for n in row.sum(1)] == [1, 2, 3, 4, *[5] * 12]
    assert row[9].nonzero().flatten().tolist() == [5, 6, 7, 8, 9]
    assert column[14].nonzero().flatten().tolist() == [2, 6, 10, 14]
    assert conv[8].nonzero().flatten().tolist() == [3, 4, 5, 7, 8]  # 3 and 7 across the side
    for seen in (row, column, conv):
        assert seen.diagonal().all()
        assert not seen.triu(1).any()
    assert int(seen_codes("conv", 32, 11)[700].sum()) == (11 * 11 - 1) // 2 + 1
    assert [form_of(layer, 64) for layer in (1, 2, 3, 4, 6, 62, 63, 64)] == [
        "row", "column", "row", "row", "column", "column", "row", "conv",
    ]  # fmt: skip


def test_no_logit_sees_what_follows(loud, stream):
    model = loud(MODELS["dalle-small"].build(TINY))
    tokens, codes = stream
    said, drawn = model.transformer(tokens, codes)
    changed = codes.clone()
    changed[:, 1] = (changed[:, 1] + 1) % 7
    said_again, drawn_again = model.transformer(tokens, changed)
    moved = (drawn - drawn_again).abs().amax(dim=(0, 2)) > 1e-9
    assert torch.equal(said, said_again)
    assert moved.tolist() == [False, False, True, True]
    changed = tokens.clone()
    changed[:, 2] = 3
    said_again, drawn_again = model.transformer(changed, codes)
    assert ((said - said_again).abs().amax(dim=(0, 2)) > 1e-9).tolist() == [False] * 3 + [True] * 2
    assert ((drawn - drawn_again).abs().amax(dim=(0, 2)) > 1e-9).all()


# Sampling.


def test_cached_sampling_is_the_whole_forward(loud, stream):
    """Greedy codes, written with a cache, are the arg max of the whole forward at every place."""
    model = loud(MODELS["dalle-small"].build(TINY)).eval()
    tokens, _ = stream
    drawn = []
    model.autoencoder.decode = lambda codes: drawn.append(codes) or codes
    model.sample(3, noise=Noise([1, 2, 3]), condition=tokens, sampling=Sampling(temperature=0.0))
    codes = drawn[0].flatten(1)
    assert torch.equal(model.transformer(tokens, codes)[1].argmax(-1), codes)


def test_codes_are_drawn_by_their_probabilities(loud):
    """The first code of many samples of one caption, against the model's own probabilities."""
    model = loud(MODELS["dalle-small"].build(TINY)).float().eval()
    with torch.no_grad():
        model.transformer.code_head.weight.mul_(0.1)
    tokens = torch.tensor([[1, 2, 3, 0, 0]]).expand(2000, -1)
    drawn = []
    model.autoencoder.decode = lambda codes: drawn.append(codes) or codes
    model.sample(2000, noise=Noise(range(2000)), condition=tokens, sampling=Sampling(temperature=1.3))
    logits = model.transformer(tokens[:1], torch.zeros(1, 4, dtype=torch.int64))[1][0, 0]
    expected = (logits / 1.3).softmax(-1).detach()
    counts = torch.bincount(drawn[0].flatten(1)[:, 0], minlength=7)
    chi_square = float(((counts - 2000 * expected) ** 2 / (2000 * expected)).sum())
    assert chi_square < 22.5  # 6 degrees of freedom, one in a thousand


def test_a_sample_depends_on_its_seed_and_caption_alone():
    torch.manual_seed(0)
    model = MODELS["dalle-small"].build().eval()
    tokens = MODELS["dalle-small"].example(batch=4, device="cpu")[1]
    told = []
    images = model.sample(4, noise=Noise([5, 6, 7, 8]), condition=tokens, on_step=lambda *of: told.append(of))
    alone = model.sample(1, noise=Noise([7]), condition=tokens[2:3])
    torch.testing.assert_close(images[2:3], alone, rtol=1e-5, atol=1e-6)
    assert images.shape == (4, 3, 16, 16)
    assert (images.min() >= 0) & (images.max() <= 1)
    assert told == [(done, 64) for done in range(1, 65)]


def test_inpainting_keeps_what_is_kept():
    torch.manual_seed(0)
    model = MODELS["dalle-small"].build().eval()
    images, tokens = MODELS["dalle-small"].example(batch=2, device="cpu")
    images = images.clamp(0, 1)
    kept = torch.ones(2, 1, 16, 16, dtype=torch.bool)
    kept[:, :, 9:, 5:] = False
    drawn = model.inpaint(images, kept, noise=Noise([1, 2]), condition=tokens)
    assert torch.equal(drawn[kept.expand(-1, 3, -1, -1)], images[kept.expand(-1, 3, -1, -1)])
    assert not torch.equal(drawn, images)
    everything = torch.ones(2, 1, 16, 16, dtype=torch.bool)
    assert torch.equal(model.inpaint(images, everything, noise=Noise([1, 2]), condition=tokens), images)


def test_the_stages_share_nothing():
    model = MODELS["dalle-small"].build()
    first, second = model.players()
    assert first.ends == second.begins == model.spec.first_stage
    sizes = [sum(weight.numel() for weight in player.parameters) for player in (first, second)]
    assert sum(sizes) == sum(weight.numel() for weight in model.parameters())
    images, tokens = MODELS["dalle-small"].example(batch=3, device="cpu")
    loss = second.loss(images, tokens)
    assert all(g is None for g in torch.autograd.grad(loss, first.parameters, allow_unused=True))


def test_what_does_not_fit_is_told():
    model = MODELS["dalle-small"].build().eval()
    tokens = torch.ones(2, 11, dtype=torch.int64)
    with pytest.raises(UsageError, match="DALL-E draws what captions say: got no captions"):
        model.sample(2, noise=Noise([1, 2]))
    with pytest.raises(UsageError, match="sampling from DALL-E has no guidance"):
        model.sample(2, noise=Noise([1, 2]), condition=tokens, sampling=Sampling(guidance=3.0))
    with pytest.raises(UsageError, match="DALL-E's text has one length: got 10 tokens, expected 11"):
        model(torch.zeros(2, 3, 16, 16), tokens[:, :10])
    for setting in ({"width": 66}, {"image": 17}, {"kernel": 4}):
        with pytest.raises(SpecError, match="does not fit"):
            MODELS["dalle-small"].spec(setting)
