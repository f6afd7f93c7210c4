"""What the profilers of all libraries share: the number of iterations, and the sums by operator."""

import time
from collections import Counter
from collections.abc import Callable

from bench.records.reported import Operator, OperatorProfile

WARM_UP, ITERATIONS = 2, 5  # the first iterations under a profiler are slower
MAX_KINDS = 30  # more would make the run file large; the rest takes little time
REST = "(all other kinds)"


class Totals:
    """The calls and the seconds of each kind of operator in all profiled iterations."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.time_s: dict[str, float] = {}

    def add(self, kind: str, time_s: float, calls: int = 1) -> None:
        """Add calls of a kind, which took ``time_s`` seconds together."""
        self.calls[kind] += calls
        self.time_s[kind] = self.time_s.get(kind, 0.0) + time_s

    @property
    def sum_s(self) -> float:
        """The seconds of all kinds."""
        return sum(self.time_s.values())


def timed(step: Callable[[], object], iterations: int = 1) -> float:
    """Return the seconds of iterations without waits in between."""
    start = time.perf_counter()
    for _ in range(iterations):
        step()
    return time.perf_counter() - start


def to_profile(profiler: str, totals: Totals, wall_s: float) -> OperatorProfile:
    """Return the profile of ``ITERATIONS`` iterations, which took ``wall_s`` seconds together."""
    slowest = sorted(totals.time_s, key=lambda kind: -totals.time_s[kind])
    operators = [_operator(totals, (kind,), kind) for kind in slowest[:MAX_KINDS]]
    if rest := tuple(slowest[MAX_KINDS:]):
        operators.append(_operator(totals, rest, REST))
    return OperatorProfile(
        profiler=profiler, iteration_s=wall_s / ITERATIONS, operators=tuple(operators)
    )


def _operator(totals: Totals, kinds: tuple[str, ...], name: str) -> Operator:
    return Operator(
        kind=name,
        calls=sum(totals.calls[kind] for kind in kinds) / ITERATIONS,
        time_s=sum(totals.time_s[kind] for kind in kinds) / ITERATIONS,
    )
