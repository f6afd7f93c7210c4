import os
from dataclasses import replace

import pytest

from bench.cells.cell import Cell
from bench.launch.launchers import Spawner
from bench.machine import pinned
from bench.studies.selfcheck import bias, worker
from tests.bench import runs

SQRT_2 = 2**0.5


def test_the_ratio_is_the_suites_time_over_the_timers() -> None:
    result = bias.summarize(runs.EAGER, [0.02, 0.08], [0.01, 0.08], 1e-7)
    assert result.ratio.estimate == pytest.approx(SQRT_2)  # the geometric mean of 2 and 1
    assert result.latency_s == pytest.approx(0.05)
    assert result.empty_step_s == 1e-7


def test_the_interval_is_symmetric_in_the_logarithm() -> None:
    ratio = bias.summarize(runs.EAGER, [0.02, 0.08, 0.03], [0.01, 0.08, 0.02], 0.0).ratio
    assert ratio.low < ratio.estimate < ratio.high
    assert ratio.high / ratio.estimate == pytest.approx(ratio.estimate / ratio.low)


@pytest.mark.parametrize(
    ("ratio", "accepted"),
    [(1.0, True), (1.0099, True), (0.9901, True), (1.011, False), (0.98, False)],
)
def test_a_bias_of_one_percent_is_accepted(ratio: float, accepted: bool) -> None:
    result = bias.summarize(runs.EAGER, [0.01 * ratio] * 2, [0.01] * 2, 0.0)
    assert result.is_accepted is accepted


@pytest.mark.parametrize(("spread", "accepted"), [(1.1, None), (1.0001, False)])
def test_a_bias_within_noise_is_undecided(spread: float, accepted: bool | None) -> None:
    clock_s = [0.0102 * spread, 0.0102 / spread, 0.0102]
    assert bias.summarize(runs.EAGER, clock_s, [0.01] * 3, 0.0).is_accepted is accepted


def test_a_wide_interval_is_undecided_even_around_one() -> None:
    clock_s = [0.01 * 1.05, 0.01 / 1.05, 0.01]
    assert bias.summarize(runs.EAGER, clock_s, [0.01] * 3, 0.0).is_accepted is None


@pytest.mark.parametrize(
    ("timer", "do_bench", "accepted"),
    [(1.015, 1.015, True), (1.0, 1.03, False), (1.03, 1.0, False), (0.985, 0.981, True)],
)
def test_on_cuda_both_ratios_must_be_within_two_percent(
    timer: float, do_bench: float, accepted: bool
) -> None:
    device = bias.on_device([0.008 * do_bench] * 2, [0.008] * 2, 0.011)
    cell = replace(runs.EAGER, device="cuda")
    result = bias.summarize(cell, [0.01 * timer] * 2, [0.01] * 2, 0.0, device)
    assert result.is_accepted is accepted
    assert device.span_s == pytest.approx(0.008 * do_bench)


def test_noise_in_either_ratio_is_undecided() -> None:
    noisy = bias.on_device([0.0103 * 1.1, 0.0103 / 1.1, 0.0103], [0.01] * 3, 0.011)
    result = bias.summarize(replace(runs.EAGER, device="cuda"), [0.01] * 3, [0.01] * 3, 0.0, noisy)
    assert result.is_accepted is None


@pytest.mark.workers
def test_a_worker_compares_its_clock_with_the_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bias, "PAIRS", 3)
    monkeypatch.setattr(bias, "BLOCK_S", 0.01)
    cells: list[Cell] = [
        replace(runs.EAGER, arch="tests.bench.tiny:net"),
        replace(runs.EAGER, arch="tests.bench.tiny:net", mode="channels_last"),
    ]
    launcher = Spawner(pinned.for_workers(os.environ), module="bench.studies.selfcheck.worker")
    results = list(bias.measure(cells, launcher, seed=0))
    assert [result.cell for result in results] == cells
    for result in results:
        assert result.ratio.sets == 3
        assert 0 < result.empty_step_s < result.latency_s


def test_the_first_sample_of_a_block_is_dropped_unless_it_is_the_only_one() -> None:
    assert worker.steady([0.02, 0.01, 0.011]) == [0.01, 0.011]
    assert worker.steady([0.02]) == [0.02]


@pytest.mark.gpu
def test_on_a_gpu_a_worker_compares_its_events_with_do_bench(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bias, "PAIRS_ON_CUDA", 4)
    cell = replace(runs.EAGER, device="cuda", arch="torchvision", batch_size=128)
    launcher = Spawner(pinned.for_workers(os.environ), module="bench.studies.selfcheck.worker")
    (result,) = bias.measure([cell], launcher, seed=0)
    assert result.on_device is not None
    assert 0 < result.on_device.span_s < result.on_device.latency_s
    assert result.is_accepted is not False
