import random
from collections.abc import Callable, Sequence
from typing import cast

import pytest
from pytest_benchmark.fixture import BenchmarkFixture
from pytest_benchmark.stats import Stats

from bench.suite.replay import ReplayClock, replay_clock

# Of many magnitudes, so that a running sum of them would round.
RANDOM = random.Random(0)
SAMPLES = [RANDOM.random() * 10.0 ** RANDOM.randrange(-7, 3) for _ in range(200)]


class StubBenchmark:
    """pytest-benchmark's pedantic mode, as far as a timer can tell."""

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


def played(clock: ReplayClock, samples: Sequence[float]) -> list[float]:
    stub = StubBenchmark(clock)
    clock.play(cast("BenchmarkFixture", stub), samples)
    return stub.timed_s


def test_a_round_takes_exactly_as_long_as_its_sample() -> None:
    assert played(ReplayClock(), SAMPLES) == SAMPLES


def test_a_running_sum_would_have_rounded() -> None:
    now, naive = 0.0, []
    for sample in SAMPLES:
        naive.append((now + sample) - now)
        now += sample
    assert naive != SAMPLES


def test_a_clock_plays_one_cell_after_the_other() -> None:
    clock = ReplayClock()
    assert played(clock, SAMPLES[:3]) == SAMPLES[:3]
    assert played(clock, SAMPLES[3:5]) == SAMPLES[3:5]


@pytest.mark.benchmark(timer=replay_clock)
def test_pytest_benchmark_takes_the_samples_as_they_are(benchmark: BenchmarkFixture) -> None:
    if benchmark.disabled:
        pytest.skip("pytest-benchmark is switched off")
    replay_clock.play(benchmark, SAMPLES)
    assert benchmark.stats is not None
    found = benchmark.stats.stats
    expected = Stats()
    for sample in SAMPLES:
        expected.update(sample)
    assert found.data == SAMPLES
    assert found.as_dict() == expected.as_dict()
