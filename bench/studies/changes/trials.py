"""Trials: a detector looks at many series of a case, and what it reports is compared with it."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields

import numpy as np

from bench.studies.changes.cases import Case, Truth
from bench.studies.changes.noise import Measured, Noise

TOLERANCE = 2
"""Runs by which the reported place of a change may differ from the true one."""
FIRST_LOOK = 10
"""Number of runs at the first look at a watched series."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """What a row is about."""

    detector: str
    version: str
    noise: str
    sd: float = 0.0
    """Standard deviation of the noise, of a run's logarithm; 0 if it differs between series."""
    case: str
    percent: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Row(Labels):
    """The counts of a detector, a case and a noise; a row of the CSV file."""

    @property
    def labels(self) -> Labels:
        """What it is about."""
        return Labels(**{each.name: getattr(self, each.name) for each in fields(Labels)})

    series: int
    alarmed: int
    """Series in which a change is reported that is none, or is another."""
    true: int
    """Changes that the series have."""
    found: int
    """True changes that are reported, with the right direction, at most ``TOLERANCE`` runs away."""
    exact: int
    """Of those, changes whose place is exactly right."""
    reported: int
    """Changes that are reported, true or not."""
    seconds: float
    """Mean time for a series."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """How the reported changes of one series compare with the true ones."""

    true: int
    found: int
    exact: int
    reported: int


def score(truths: Sequence[Truth], reported: Iterable[Truth]) -> Score:
    """Match each reported change with the nearest true one that has none yet."""
    left, found, exact, count = list(truths), 0, 0, 0
    for report in reported:
        count += 1
        near = [
            truth
            for truth in left
            if truth.is_up == report.is_up and abs(truth.index - report.index) <= TOLERANCE
        ]
        if near:
            nearest = min(near, key=lambda truth: abs(truth.index - report.index))
            left.remove(nearest)
            found += 1
            exact += nearest.index == report.index
    return Score(true=len(truths), found=found, exact=exact, reported=count)


def simulated(
    case: Case, noise: Noise, measured: Measured, count: int, seed: int
) -> Iterator[list[float]]:
    """Yield ``count`` series of a case with noise."""
    random = np.random.default_rng(seed)
    for _ in range(count):
        logs = np.array(case.logs) + noise(random, measured, len(case.logs))
        yield np.exp(logs).tolist()


def in_order(measured: Measured, length: int) -> Iterator[list[float]]:
    """Yield parts of the measured rounds, in the order in which they were measured."""
    for pair in measured.rounds:
        for start in range(0, len(pair) - length + 1, length):
            yield np.exp(pair[start : start + length]).tolist()


def look(
    find: Callable[[Sequence[float]], list[Truth]], values: Sequence[float], *, is_watched: bool
) -> list[Truth]:
    """Return what a detector reports of a series; of a watched one, at the first look with any."""
    if not is_watched:
        return find(values)
    for count in range(FIRST_LOOK, len(values) + 1):
        if reported := find(values[:count]):
            return reported
    return []


def run(
    find: Callable[[Sequence[float]], list[Truth]],
    series: Iterable[tuple[Sequence[float], Sequence[Truth]]],
    *,
    is_watched: bool = False,
    labels: Labels,
) -> Row:
    """Let a detector look at each series, and return its counts."""
    scores = []
    began = time.perf_counter()
    for values, truths in series:
        scores.append(score(truths, look(find, values, is_watched=is_watched)))
    seconds = time.perf_counter() - began
    return Row(
        series=len(scores),
        alarmed=sum(each.reported > each.found for each in scores),
        true=sum(each.true for each in scores),
        found=sum(each.found for each in scores),
        exact=sum(each.exact for each in scores),
        reported=sum(each.reported for each in scores),
        seconds=round(seconds / max(len(scores), 1), 6),
        **asdict(labels),
    )
