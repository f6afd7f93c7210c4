"""Rates: how often a gate says what, of sets that were collected and of gates that were held.

Pure. Of sets the decision code of the gate is run again on groups of them that share none, each as
long as a gate would have gone on; of how many cells a gate has, its levels depend.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from statistics import stdev
from typing import NamedTuple

from scipy.stats import binomtest

from bench import means
from bench.gate import judge
from bench.gate.judge import History, Settings
from bench.gate.verdict import Judgement, Verdict
from bench.power.cases import PROTOCOL, Case
from bench.power.sets import SetRow

CELLS = 6  # of a quick gate
_CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """So many of so many, with the interval by Clopper and Pearson (1934) at 95 %."""

    count: int
    of: int

    @property
    def bounds(self) -> tuple[float, float]:
        """The interval of the rate; all from 0 to 1 where nothing was counted."""
        if not self.of:
            return 0.0, 1.0
        found = binomtest(self.count, self.of).proportion_ci(_CONFIDENCE, method="exact")
        return float(found.low), float(found.high)


class Series(NamedTuple):
    """Sets under one load and of one protocol, which add up."""

    load: str
    protocol: str

    @property
    def is_before(self) -> bool:
        """Whether the gate measures its sets in another way by now."""
        return self.protocol != PROTOCOL


@dataclass(frozen=True, slots=True, kw_only=True)
class Power:
    """What the gate says of a case, by the sets of it."""

    case: Case
    series: Series
    history: History
    judgements: tuple[Judgement, ...]
    """Of gates held on groups of the sets that share none."""

    @property
    def effect(self) -> means.Interval:
        """Latency with the injection over latency without, over all sets."""
        return means.exponential(means.interval(self._finite))

    @property
    def sd(self) -> float:
        """Standard deviation of a set's log-ratio."""
        return stdev(self._finite) if len(self._finite) > 1 else math.nan

    @property
    def voided(self) -> int:
        """Sets without a number, for want of rounds that foreign load did not void."""
        return len(self.history.medians) - len(self._finite)

    def rate(self, verdict: Verdict) -> Rate:
        """How often the gate said this."""
        said = sum(found.overall is verdict for found in self.judgements)
        return Rate(count=said, of=len(self.judgements))

    @property
    def _finite(self) -> list[float]:
        return [value for value in self.history.medians if math.isfinite(value)]


def powers(rows: Iterable[SetRow], settings: Settings) -> tuple[Power, ...]:
    """Each case of each series, judged; in a series A/A first, then by mode, kind and size.

    The gate's own protocol comes before what it was, and a quiet machine before a loaded one.
    """
    found: dict[tuple[Series, Case], list[SetRow]] = {}
    for row in rows:
        series = Series(load=row.load, protocol=row.protocol)
        found.setdefault((series, row.case), []).append(row)
    histories = {
        about: History([row.log_ratio for row in rows], [row.tail_log_ratio for row in rows])
        for about, rows in found.items()
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
    return series.is_before, series.load != "quiet", series, not case.is_same, case


def gates(history: History, settings: Settings) -> Iterator[Judgement]:
    """Gates on groups of sets, in the order measured, each ending where the gate would have.

    What is left at the end, too short for a verdict, is not judged.
    """
    start = 0
    for end in range(1, len(history.medians) + 1):
        part = History(history.medians[start:end], history.tails[start:end])
        found = _judged(part, settings)
        if found.verdict is not None:
            yield found
            start = end


def _judged(history: History, settings: Settings) -> Judgement:
    """What a gate says of one of its cells after these sets."""
    others = {str(other): History((), ()) for other in range(CELLS - 1)}
    is_over = judge.is_hopeless(history.medians, len(history.medians))
    return judge.judge({"cell": history, **others}, settings, is_over=is_over)["cell"]
