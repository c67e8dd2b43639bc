"""Nearest codes, the straight-through gradient, and both ways in which codes learn."""

from __future__ import annotations

import itertools

import pytest
import torch

from sevenfold.errors import UsageError
from sevenfold.layers.quantizing import Codebook, MovingCodebook, codes_in_use, nearest_code, straight_through


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_the_nearest_code_is_that_of_a_search_over_all():
    inputs, codes = draw(3, 5, 4), draw(7, 4, seed=1)
    found = nearest_code(inputs, codes)
    for b, t in itertools.product(range(3), range(5)):
        distances = [float((inputs[b, t] - code).norm()) for code in codes]
        assert found[b, t] == distances.index(min(distances))


def test_the_gradient_passes_straight_through():
    """By inputs: the identity's Jacobian, wherever the codes lie; by codes: none."""
    codebook = Codebook(6, 3).double()
    inputs = draw(2, 3, 2, 2).requires_grad_()
    jacobian = torch.autograd.functional.jacobian(lambda x: codebook(x).codes.flatten(), inputs)
    assert torch.equal(jacobian.reshape(24, 24), torch.eye(24, dtype=torch.float64))
    codes = codebook(inputs).codes
    assert torch.allclose(codes, codebook.lookup(codebook.indices(inputs)), atol=1e-15)
    assert torch.autograd.grad(codes.sum(), codebook.weight, allow_unused=True) == (None,)


def test_a_function_of_the_codes_has_its_own_gradient_by_the_inputs():
    inputs, codes = draw(4).requires_grad_(), draw(4, seed=1)
    straight_through(codes, inputs).pow(3).sum().backward()
    assert torch.allclose(inputs.grad, 3 * codes**2, rtol=1e-12)


def test_losses_and_gradients_equal_diffusers():
    quantizer = pytest.importorskip("diffusers.models.autoencoders.vae").VectorQuantizer
    for legacy, beta in ((False, 0.25), (True, 0.4)):
        theirs = quantizer(9, 4, beta, legacy=legacy).double()
        ours = Codebook(9, 4).double()
        theirs.embedding.weight.data.copy_(draw(9, 4))
        ours.weight.data.copy_(draw(9, 4))
        gradients = []
        for run, weight in ((theirs, theirs.embedding.weight), (ours, ours.weight)):
            inputs = draw(2, 4, 3, 3, seed=2).requires_grad_()
            if run is theirs:
                codes, loss, (_, _, indices) = theirs(inputs)
            else:
                codes, indices, codebook, commitment = ours(inputs)
                loss = (commitment + beta * codebook if legacy else beta * commitment + codebook).mean()
            total = (codes * draw(2, 4, 3, 3, seed=3)).sum() + loss
            gradients.append((indices.flatten(), codes, loss, *torch.autograd.grad(total, (inputs, weight))))
        for got, expected in zip(*gradients, strict=True):
            assert torch.allclose(got, expected, rtol=1e-10, atol=1e-12)
    # Which of both losses is weighed matters: the two forms are not the same.
    inputs = draw(2, 4, 3, 3, seed=2).requires_grad_()
    _, _, codebook, commitment = ours(inputs)
    by_commitment = torch.autograd.grad(commitment.mean(), inputs, retain_graph=True)[0]
    assert by_commitment.abs().max() > 1e-3
    assert torch.autograd.grad(codebook.mean(), inputs, allow_unused=True) == (None,)


def moved_beside_the_oracle(**changes):
    """The largest difference of codes from vector_quantize_pytorch over four updates in float64."""
    oracle_kind = pytest.importorskip("vector_quantize_pytorch").VectorQuantize
    settings = {"decay": 0.8, "smoothing": 1e-5} | changes
    oracle = oracle_kind(dim=4, codebook_size=7, decay=0.8, eps=1e-5, commitment_weight=1.0).double().train()
    ours = MovingCodebook(7, 4, **settings).double().train()
    codes = draw(7, 4)
    book = oracle._codebook
    book.embed.data.copy_(codes[None])
    book.embed_avg.data.copy_(codes[None])
    book.cluster_size.data.fill_(1.0)
    ours.weight.copy_(codes)
    ours.sums.copy_(codes)
    worst = 0.0
    for step in range(4):
        inputs = 1.5 * draw(3, 4, 5, seed=10 + step)
        _, indices, commitment = oracle(inputs.movedim(1, -1))
        got = ours(inputs)
        ours.after_update()
        worst = max(worst, float((ours.weight - book.embed[0]).abs().max()))
        if not changes:
            assert torch.equal(got.indices, indices)
            assert torch.allclose(got.commitment_loss.mean(), commitment.double().squeeze(), rtol=1e-6)
    return worst


def test_moving_averages_equal_vector_quantize_pytorch():
    assert moved_beside_the_oracle() < 1e-6  # it computes in float32 whatever it is given


def test_moving_averages_equal_the_papers_rule_written_out():
    """Appendix A.1, code by code, in float64; no smoothing."""
    book = MovingCodebook(5, 3, decay=0.7, smoothing=0.0).double().train()
    codes = draw(5, 3)
    book.weight.copy_(codes)
    book.sums.copy_(codes)
    counts, sums, codes = [1.0] * 5, list(codes), list(codes)
    for step in range(3):
        inputs = draw(20, 3, seed=step + 1)
        book(inputs)
        book.after_update()
        chosen = [min(range(5), key=lambda k: float((x - codes[k]).norm())) for x in inputs]
        for k in range(5):
            mine = [x for x, choice in zip(inputs, chosen, strict=True) if choice == k]
            counts[k] = 0.7 * counts[k] + 0.3 * len(mine)
            sums[k] = 0.7 * sums[k] + 0.3 * sum(mine, torch.zeros(3, dtype=torch.float64))
        codes = [total / count for total, count in zip(sums, counts, strict=True)]
        assert torch.allclose(book.weight, torch.stack(codes), rtol=1e-12)


@pytest.mark.parametrize("changes", [{"decay": 0.81}, {"smoothing": 1e-3}])
def test_other_moving_averages_differ(changes):
    assert moved_beside_the_oracle(**changes) > 1e-5


def test_codes_become_the_means_of_what_chose_them():
    """Without decay and smoothing a step is one of k-means."""
    book = MovingCodebook(3, 2, decay=0.0, smoothing=0.0).double().train()
    book.weight.copy_(torch.tensor([[0.0, 0.0], [5.0, 5.0], [-5.0, 5.0]]))
    inputs = torch.tensor([[0.0, 1.0], [1.0, 0.0], [4.0, 4.0], [6.0, 4.0], [-4.0, 6.0]], dtype=torch.float64)
    book(inputs[:2])
    book(inputs[2:])
    book.after_update()
    assert book.weight.tolist() == [[0.5, 0.5], [5.0, 4.0], [-4.0, 6.0]]


def test_nothing_moves_outside_of_training_or_twice():
    book = MovingCodebook(4, 2).eval()
    before = book.weight.clone()
    book(torch.randn(8, 2))
    book.after_update()
    assert torch.equal(book.weight, before)
    book.train()(torch.randn(8, 2))
    book.after_update()
    once = book.weight.clone()
    assert not torch.equal(once, before)
    book.after_update()
    assert torch.equal(book.weight, once)


def test_unchosen_codes_are_revived_where_inputs_are():
    torch.manual_seed(0)
    inputs = torch.randn(64, 2) * 0.1 + 50  # far from all codes: one of them takes everything
    for revived_below, least in ((0.0, 1), (0.5, 8)):
        book = MovingCodebook(16, 2, decay=0.5, revived_below=revived_below).train()
        for _ in range(8):
            book(inputs)
            book.after_update()
        _, used = codes_in_use(book.indices(inputs), 16)
        assert (used == 1) if least == 1 else used >= least


def test_what_does_not_fit_is_told():
    with pytest.raises(UsageError, match=r"the codebook cannot take this input: got shape \[2, 5\]"):
        Codebook(4, 3)(torch.zeros(2, 5))
    with pytest.raises(UsageError, match="the codebook has no row for a token: got tokens from 0 to 4"):
        Codebook(4, 3).lookup(torch.tensor([[0, 4]]))
