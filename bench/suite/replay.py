"""A timer that passes finished samples to pytest-benchmark: it advances by the measured times."""

from collections.abc import Sequence

from pytest_benchmark.fixture import BenchmarkFixture


class ReplayClock:
    """A timer for pytest-benchmark, on which each call takes as long as the next sample."""

    def __init__(self) -> None:
        self._now = 0.0
        self._left: list[float] = []

    def __call__(self) -> float:
        """Return the current time of this clock, in seconds."""
        return self._now

    def play(self, benchmark: BenchmarkFixture, samples: Sequence[float]) -> None:
        """Make ``benchmark`` time one round for each sample, in seconds."""
        self._left = list(reversed(samples))
        benchmark.pedantic(self._advance, setup=self._reset, rounds=len(samples), iterations=1)

    def _reset(self) -> None:
        self._now = 0.0  # so that the difference of two readings is exactly a sample

    def _advance(self) -> None:
        self._now += self._left.pop()


replay_clock = ReplayClock()
