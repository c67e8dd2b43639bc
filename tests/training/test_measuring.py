"""Measuring: clocks read fairly, steps taken as the trainer takes them, and predictions that hold (slow)."""

from __future__ import annotations

import time

import pytest
import torch

from sevenfold.hardware import CHIPS
from sevenfold.hardware.calibration import Sample
from sevenfold.recipes import RECIPES
from sevenfold.training.machine import Chains, Updates, cache_bytes
from sevenfold.training.measuring import LoopOverhead, RecipeStep, _undisturbed, measure_step
from sevenfold.training.microbenchmarks import operators
from sevenfold.training.timing import Timed, fair_conditions, time_rounds


def test_a_reading_repeats_what_is_short_and_leaves_what_is_long() -> None:
    short, long = Timed(lambda: None), Timed(lambda: time.sleep(2e-3))
    time_rounds([short], [long], time.perf_counter, at_least=3, at_most_s=0.0)
    assert 3 <= short.repeats <= 50
    assert long.repeats == 1
    assert len(short.readings) == 3
    assert len(long.readings) >= 3
    assert long.seconds >= 2e-3
    assert short.seconds < 1e-4


def test_long_functions_take_at_most_half_of_the_time() -> None:
    often, rare = Timed(lambda: time.sleep(2e-3)), Timed(lambda: time.sleep(0.05))
    time_rounds([often], [rare], time.perf_counter, at_least=3, at_most_s=0.3)
    assert sum(rare.readings) < 0.75 * (sum(rare.readings) + sum(often.readings))
    assert len(often.readings) > 10


def test_conditions_are_those_of_a_run_and_are_put_back() -> None:
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    with fair_conditions(2):
        assert torch.get_num_threads() == 2
        assert torch.are_deterministic_algorithms_enabled()
    assert (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()) == before


def test_a_reading_above_a_larger_size_was_disturbed() -> None:
    samples = [Sample(sizes=[s], seconds=t) for s, t in [(10.0, 5e-6), (100.0, 9e-3), (1000.0, 7e-6), (1e4, 1e-4)]]
    assert [sample.seconds for sample in _undisturbed(samples)] == [5e-6, 7e-6, 7e-6, 1e-4]


def test_every_benchmark_runs_and_names_its_axes() -> None:
    with fair_conditions(1):
        benchmarks = list(operators(lanes=16, quick=True))
        families = {benchmark.family for benchmark in benchmarks}
        assert {"matmul", "matmul_bias", "conv_grad_weight", "attention_causal_backward", "scatter"} <= families
        for benchmark in benchmarks:
            assert len(benchmark.sizes) == len(benchmark.axes)
        first_of_each = {benchmark.family: benchmark for benchmark in reversed(benchmarks)}
        for benchmark in first_of_each.values():
            benchmark.run()


def test_the_step_of_a_recipe_is_the_trainers_own() -> None:
    recipe = RECIPES["digits-mlp"].recipe()
    step = RecipeStep(recipe)
    before = [parameter.detach().clone() for parameter in step.workload.model.parameters()]
    for _ in range(3):
        step()
    moved = [not torch.equal(a, b) for a, b in zip(before, step.workload.model.parameters(), strict=True)]
    assert all(moved)
    graph = step.graph()
    assert {op.phase for op in graph.operators} == {"forward", "backward", "optimizer"}


def test_measured_steps_have_an_ordered_range() -> None:
    took = measure_step(RECIPES["digits-mlp"].recipe(), seconds=0.1)
    assert took.steps >= 5
    assert 0 < took.low_s <= took.median_s <= took.high_s
    assert took.cpu_median_s > 0


def test_the_loop_and_the_chains_run() -> None:
    with fair_conditions(1):
        loop = LoopOverhead(1, time.thread_time)
        for _ in range(5):
            loop.timed.run()
        assert 0 < loop.seconds < 0.01
        chains = Chains(time.thread_time)
        updates = Updates("sgd")
        for timed in [*chains.timed, *updates.timed]:
            timed.prepare(time.thread_time)
            timed.read(time.thread_time)
    cost = updates.cost()
    assert cost.fixed_s >= 0
    assert cost.tensor_s >= 0
    assert all(value >= 0 for value in cost.s_per_element)


def test_caches_grow_outwards() -> None:
    sizes = [size for _, size in sorted(cache_bytes().items())]
    assert sizes == sorted(sizes)


@pytest.mark.slow
def test_predicted_steps_lie_within_a_quarter_of_the_measured_ones() -> None:
    from sevenfold.actions.calibrate import calibrate

    result = calibrate()
    assert CHIPS["this-machine"] == result.chip
    for check in result.checks:
        assert abs(check.error) < 0.25, f"{check.recipe}: {check.predicted_s} s, measured {check.measured_s} s"
