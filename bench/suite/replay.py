"""Handing finished samples to pytest-benchmark: a clock that advances by what was measured."""

from collections.abc import Sequence

from pytest_benchmark.fixture import BenchmarkFixture


class ReplayClock:
    """A timer for pytest-benchmark in whose time one call takes as long as the next sample."""

    def __init__(self) -> None:
        self._now = 0.0
        self._left: list[float] = []

    def __call__(self) -> float:
        """The time now, in seconds."""
        return self._now

    def play(self, benchmark: BenchmarkFixture, samples: Sequence[float]) -> None:
        """Have ``benchmark`` time one round for each sample."""
        self._left = list(reversed(samples))
        benchmark.pedantic(self._advance, setup=self._reset, rounds=len(samples), iterations=1)

    def _reset(self) -> None:
        self._now = 0.0  # so that a difference of two readings is a sample to the last bit

    def _advance(self) -> None:
        self._now += self._left.pop()


replay_clock = ReplayClock()
