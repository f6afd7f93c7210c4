"""States: ratios that change with the state that the machine is in from one set to the next. Pure.

Drift cancels in a ratio where it slows both cells alike, and a slower clock or a busier memory bus
may slow one mode more than another.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean

import pandas as pd

from bench import means, stats
from bench.records.record import CellRecord, RunRecord
from bench.report.phrases import named
from bench.tables import milliseconds

LEAST_SETS = 5  # of fewer, a correlation is hardly ever shown
LEVEL = 0.05  # of groups in which no ratio changes so, one in twenty is told of


def sentences(run: RunRecord) -> Iterator[str]:
    """The ratios of each group that go with the machine's state, as far as that is shown."""
    for group, records in run.measured.items():
        reference = run.reference(group)
        if reference is not None:
            yield from _of_group(group, reference, records)


def _of_group(group: str, reference: CellRecord, records: Sequence[CellRecord]) -> Iterator[str]:
    to = named(reference)
    latencies = pd.DataFrame(
        {named(one): stats.medians_by_set(stats.log_latencies(one)) for one in records}
    )
    if len(latencies) < LEAST_SETS:
        return
    slowness = latencies - latencies.mean()  # of each cell about its own mean
    ratios = {
        named(record): stats.between(
            stats.log_latencies(record), stats.log_latencies(reference), {}
        )
        for record in records
        if record is not reference
    }
    told = {
        name: logs
        for name, logs in ratios.items()
        if means.correlation_level(_state(slowness, [name, to]), logs, least=LEAST_SETS)
        < LEVEL / len(ratios)
    }
    state = _state(slowness, [*told, to])
    own = latencies[to].dropna()
    shared = [index for index in state if all(index in logs for logs in (own, *told.values()))]
    ordered = sorted(shared, key=state.__getitem__)
    half = len(ordered) // 2
    if not told or not half:
        return
    slow, quick = ordered[-half:], ordered[:half]
    values = ", ".join(
        f"{name} {_mean(logs, slow):.2f} and {_mean(logs, quick):.2f}"
        for name, logs in told.items()
    )
    yield (
        f"{group}: the machine was in states that do not slow all cells alike. In the slower half "
        f"of the sets, by the other cells, {to} took {milliseconds(_mean(own, slow))} ms, in the "
        f"quicker {milliseconds(_mean(own, quick))}, and these were so many times as fast as it: "
        f"{values}. Both are in the means and in their intervals."
    )


def _state(slowness: pd.DataFrame, without: list[str]) -> Mapping[int, float]:
    """By the set, how slow the cells were that are in no ratio: the median of them.

    A ratio's own cells say nothing of the machine: their processes' noise is in it.
    """
    middle = slowness.drop(columns=without).median(axis=1).dropna()
    return dict(zip(map(int, middle.index), middle, strict=True))


def _mean(logs: "Mapping[int, float] | pd.Series[float]", sets: Sequence[int]) -> float:
    """The geometric mean over some sets."""
    return math.exp(fmean(logs[index] for index in sets))
