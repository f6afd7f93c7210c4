import os
from dataclasses import replace

import pytest

from bench.cells.cell import Cell
from bench.engine.launch import Spawner
from bench.machine import environment
from bench.selfcheck import bias, worker
from tests.bench import runs

ROOT_OF_TWO = 2**0.5


def test_the_ratio_is_ours_over_the_timers() -> None:
    found = bias.summarize(runs.EAGER, [0.02, 0.08], [0.01, 0.08], 1e-7)
    assert found.ratio.estimate == pytest.approx(ROOT_OF_TWO)  # of 2 and 1, the geometric mean
    assert found.latency_s == pytest.approx(0.05)
    assert found.empty_step_s == 1e-7


def test_bounds_lie_a_factor_to_each_side() -> None:
    ratio = bias.summarize(runs.EAGER, [0.02, 0.08, 0.03], [0.01, 0.08, 0.02], 0.0).ratio
    assert ratio.low < ratio.estimate < ratio.high
    assert ratio.high / ratio.estimate == pytest.approx(ratio.estimate / ratio.low)


@pytest.mark.parametrize(
    ("ratio", "accepted"),
    [(1.0, True), (1.0099, True), (0.9901, True), (1.011, False), (0.98, False)],
)
def test_one_percent_is_accepted(ratio: float, accepted: bool) -> None:
    found = bias.summarize(runs.EAGER, [0.01 * ratio] * 2, [0.01] * 2, 0.0)
    assert found.is_accepted is accepted


@pytest.mark.parametrize(("spread", "accepted"), [(1.1, None), (1.0001, False)])
def test_what_noise_may_explain_is_not_judged(spread: float, accepted: bool | None) -> None:
    clock_s = [0.0102 * spread, 0.0102 / spread, 0.0102]
    assert bias.summarize(runs.EAGER, clock_s, [0.01] * 3, 0.0).is_accepted is accepted


def test_an_estimate_alone_is_no_agreement() -> None:
    clock_s = [0.01 * 1.05, 0.01 / 1.05, 0.01]
    assert bias.summarize(runs.EAGER, clock_s, [0.01] * 3, 0.0).is_accepted is None


@pytest.mark.parametrize(
    ("timer", "do_bench", "accepted"),
    [(1.015, 1.015, True), (1.0, 1.03, False), (1.03, 1.0, False), (0.985, 0.981, True)],
)
def test_on_cuda_both_must_agree_within_two_percent(
    timer: float, do_bench: float, accepted: bool
) -> None:
    beside = bias.on_device([0.008 * do_bench] * 2, [0.008] * 2, 0.011)
    cell = replace(runs.EAGER, device="cuda")
    found = bias.summarize(cell, [0.01 * timer] * 2, [0.01] * 2, 0.0, beside)
    assert found.is_accepted is accepted
    assert beside.span_s == pytest.approx(0.008 * do_bench)


def test_noise_beside_either_hides_whether_they_agree() -> None:
    noisy = bias.on_device([0.0103 * 1.1, 0.0103 / 1.1, 0.0103], [0.01] * 3, 0.011)
    found = bias.summarize(replace(runs.EAGER, device="cuda"), [0.01] * 3, [0.01] * 3, 0.0, noisy)
    assert found.is_accepted is None


def test_a_worker_puts_its_clock_beside_the_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bias, "PAIRS", 3)
    monkeypatch.setattr(bias, "BLOCK_S", 0.01)
    cells: list[Cell] = [
        replace(runs.EAGER, arch="tests.bench.tiny:net"),
        replace(runs.EAGER, arch="tests.bench.tiny:net", mode="channels_last"),
    ]
    launcher = Spawner(environment.for_workers(os.environ), module="bench.selfcheck.worker")
    found = list(bias.measure(cells, launcher, seed=0))
    assert [one.cell for one in found] == cells
    for one in found:
        assert one.ratio.sets == 3
        assert 0 < one.empty_step_s < one.latency_s


def test_the_first_of_a_timer_s_block_is_dropped_where_there_are_more() -> None:
    assert worker.steady([0.02, 0.01, 0.011]) == [0.01, 0.011]
    assert worker.steady([0.02]) == [0.02]


@pytest.mark.gpu
def test_on_a_gpu_a_worker_puts_its_events_beside_do_bench_s(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bias, "PAIRS_ON_CUDA", 4)
    cell = replace(runs.EAGER, device="cuda", arch="torchvision", batch_size=128)
    launcher = Spawner(environment.for_workers(os.environ), module="bench.selfcheck.worker")
    (found,) = bias.measure([cell], launcher, seed=0)
    assert found.on_device is not None
    assert 0 < found.on_device.span_s < found.on_device.latency_s
    assert found.is_accepted is not False
