import random
from collections.abc import Callable, Sequence
from typing import cast

import pytest
from pytest_benchmark.fixture import BenchmarkFixture
from pytest_benchmark.stats import Stats

from bench.suite.replay import ReplayClock, replay_clock

# Samples of many magnitudes, so that a running sum would round.
RANDOM = random.Random(0)
SAMPLES = [RANDOM.random() * 10.0 ** RANDOM.randrange(-7, 3) for _ in range(200)]


class StubBenchmark:
    """A fake of pytest-benchmark's pedantic mode."""

    def __init__(self, timer: Callable[[], float]) -> None:
        self._timer = timer
        self.timed_s: list[float] = []

    def pedantic(
        self,
        target: Callable[[], object],
        *,
        setup: Callable[[], object],
        rounds: int,
        iterations: int,
    ) -> None:
        assert iterations == 1
        for _ in range(rounds):
            setup()
            start = self._timer()
            target()
            self.timed_s.append(self._timer() - start)


def replayed(clock: ReplayClock, samples: Sequence[float]) -> list[float]:
    stub = StubBenchmark(clock)
    clock.play(cast("BenchmarkFixture", stub), samples)
    return stub.timed_s


def test_each_round_takes_exactly_its_sample() -> None:
    assert replayed(ReplayClock(), SAMPLES) == SAMPLES


def test_a_running_sum_of_these_samples_rounds() -> None:
    now, naive = 0.0, []
    for sample in SAMPLES:
        naive.append((now + sample) - now)
        now += sample
    assert naive != SAMPLES


def test_a_clock_replays_several_cells() -> None:
    clock = ReplayClock()
    assert replayed(clock, SAMPLES[:3]) == SAMPLES[:3]
    assert replayed(clock, SAMPLES[3:5]) == SAMPLES[3:5]


@pytest.mark.benchmark(timer=replay_clock)
def test_pytest_benchmark_records_the_exact_samples(benchmark: BenchmarkFixture) -> None:
    if benchmark.disabled:
        pytest.skip("pytest-benchmark is disabled")
    replay_clock.play(benchmark, SAMPLES)
    assert benchmark.stats is not None
    recorded = benchmark.stats.stats
    expected = Stats()
    for sample in SAMPLES:
        expected.update(sample)
    assert recorded.data == SAMPLES
    assert recorded.as_dict() == expected.as_dict()
