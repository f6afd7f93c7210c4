"""States: ratios that change with the state that the machine is in from one set to the next. Pure.

Drift cancels in a ratio where it slows both cells alike, and a slower clock or a busier memory bus
may slow one mode more than another.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean, median

from bench import means, stats
from bench.records.record import CellRecord, RunRecord
from bench.report.words import named
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
    latencies = {named(one): stats.medians_by_set(stats.log_latencies(one)) for one in records}
    beside = stats.log_latencies(reference)
    ratios = {
        named(record): stats.between(stats.log_latencies(record), beside, beside)
        for record in records
        if record is not reference
    }
    told = {}
    for name, logs in ratios.items():
        state = _state(latencies, without=(name, named(reference)))
        level = means.correlation_level(state, logs, least=LEAST_SETS)
        if level < LEVEL / len(ratios):
            told[name] = logs
    if not told:
        return
    state = _state(latencies, without=(*told, named(reference)))
    own = latencies[named(reference)]
    shared = [index for index in state if all(index in logs for logs in (own, *told.values()))]
    ordered = sorted(shared, key=state.__getitem__)
    half = len(ordered) // 2
    if not half:
        return
    slow, quick = ordered[-half:], ordered[:half]
    values = ", ".join(
        f"{name} {_mean(logs, slow):.2f} and {_mean(logs, quick):.2f}"
        for name, logs in told.items()
    )
    yield (
        f"{group}: the machine was in states that do not slow all cells alike. In the slower half "
        f"of the sets, by the other cells, {named(reference)} took "
        f"{milliseconds(_mean(own, slow))} ms, in the quicker {milliseconds(_mean(own, quick))}, "
        f"and these were so many times as fast as it: {values}. Both are in the means and in their "
        "intervals."
    )


def _state(
    latencies: Mapping[str, Mapping[int, float]], *, without: Sequence[str]
) -> Mapping[int, float]:
    """By the set, how slow the cells were that are in no ratio: the median, about each one's mean.

    A ratio's own cells say nothing of the machine: their processes' noise is in it.
    """
    found: dict[int, list[float]] = {}
    for name, logs in latencies.items():
        if name in without or not logs:
            continue
        middle = fmean(logs.values())
        for index, logarithm in logs.items():
            found.setdefault(index, []).append(logarithm - middle)
    return {index: median(values) for index, values in found.items()}


def _mean(logs: Mapping[int, float], sets: Sequence[int]) -> float:
    """The geometric mean over some sets."""
    return math.exp(fmean(logs[index] for index in sets))
