"""Rates of the gate's verdicts, over collected sets and over end-to-end gates.

Pure functions. Collected sets are divided into disjoint groups, each as long as a gate would have
measured, and the gate's decision code judges each group. The gate's levels depend on its number of
cells, so each group is judged as one of ``CELLS`` cells.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from statistics import stdev
from typing import NamedTuple

from scipy.stats import binomtest

from bench import means
from bench.gate import group_sequential
from bench.gate.group_sequential import History, Settings
from bench.gate.verdict import Judgement, Verdict
from bench.studies.power.cases import PROTOCOL, Case
from bench.studies.power.sets import SetRow

CELLS = 6  # of a gate of the quick profile
_CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """A count out of a total, with its 95 % interval by Clopper and Pearson (1934)."""

    count: int
    total: int

    @property
    def bounds(self) -> tuple[float, float]:
        """The interval of the rate; from 0 to 1 if the total is 0."""
        if not self.total:
            return 0.0, 1.0
        interval = binomtest(self.count, self.total).proportion_ci(_CONFIDENCE, method="exact")
        return float(interval.low), float(interval.high)


class Series(NamedTuple):
    """Sets that share a load and a protocol, and can be pooled."""

    load: str
    protocol: str

    @property
    def is_outdated(self) -> bool:
        """Whether the gate uses another protocol now."""
        return self.protocol != PROTOCOL


@dataclass(frozen=True, slots=True, kw_only=True)
class Power:
    """The gate's verdicts on one case, from its sets."""

    case: Case
    series: Series
    history: History
    judgements: tuple[Judgement, ...]
    """One for each simulated gate; each gate judges a group of sets, and groups are disjoint."""

    @property
    def effect(self) -> means.Interval:
        """Latency with the injection over latency without it, over all sets."""
        return means.exponential(means.interval(self._finite))

    @property
    def sd(self) -> float:
        """Standard deviation of a set's log-ratio."""
        return stdev(self._finite) if len(self._finite) > 1 else math.nan

    @property
    def voided(self) -> int:
        """Number of sets without a log-ratio, because foreign load voided too many rounds."""
        return len(self.history.medians) - len(self._finite)

    def rate(self, verdict: Verdict) -> Rate:
        """Return how often the gate gave this verdict."""
        count = sum(judgement.overall is verdict for judgement in self.judgements)
        return Rate(count=count, total=len(self.judgements))

    def coverage(self, sets: int) -> Rate:
        """Return how often a report's 95 % interval over so many sets contains a ratio of 1.

        The groups of sets are disjoint. In A/A sets, 95 in 100 intervals should contain it.
        """
        values = self._finite
        groups = [values[i : i + sets] for i in range(0, len(values) - sets + 1, sets)]
        intervals = map(means.interval, groups)
        return Rate(count=sum(each.low <= 0 <= each.high for each in intervals), total=len(groups))

    @property
    def _finite(self) -> list[float]:
        return [value for value in self.history.medians if math.isfinite(value)]


def powers(rows: Iterable[SetRow], settings: Settings) -> tuple[Power, ...]:
    """Judge each case of each series.

    The present protocol comes before earlier ones, and a quiet machine before a loaded one. In a
    series A/A comes first, then cases by mode, kind and size.
    """
    groups: dict[tuple[Series, Case], list[SetRow]] = {}
    for row in rows:
        series = Series(load=row.load, protocol=row.protocol)
        groups.setdefault((series, row.case), []).append(row)
    histories = {
        key: History([row.log_ratio for row in rows], [row.tail_log_ratio for row in rows])
        for key, rows in groups.items()
    }
    return tuple(
        Power(
            case=case,
            series=series,
            history=history,
            judgements=tuple(gates(history, settings)),
        )
        for (series, case), history in sorted(histories.items(), key=lambda item: _order(*item[0]))
    )


def _order(series: Series, case: Case) -> tuple[object, ...]:
    return series.is_outdated, series.load != "quiet", series, not case.is_same, case


def gates(history: History, settings: Settings) -> Iterator[Judgement]:
    """Yield the judgement of each gate on consecutive sets; a gate takes as many as it needs.

    The last sets are not judged if they are too few for a verdict.
    """
    start = 0
    for end in range(1, len(history.medians) + 1):
        part = History(history.medians[start:end], history.tails[start:end])
        judgement = _judge(part, settings)
        if judgement.verdict is not None:
            yield judgement
            start = end


def _judge(history: History, settings: Settings) -> Judgement:
    """Judge the history as one of the ``CELLS`` cells of a gate."""
    others = {str(other): History((), ()) for other in range(CELLS - 1)}
    is_over = group_sequential.is_hopeless(history.medians, len(history.medians))
    return group_sequential.judge({"cell": history, **others}, settings, is_over=is_over)["cell"]
