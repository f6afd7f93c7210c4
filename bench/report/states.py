"""States: ratios that change with the state that the machine is in from one set to the next. Pure.

Drift cancels in a ratio where it slows both cells alike, and a slower clock or a busier memory bus
may slow one mode more than another.
"""

import math
from collections.abc import Iterator, Mapping, Sequence

from bench import stats
from bench.records.record import CellRecord, RunRecord
from bench.report.words import named
from bench.tables import milliseconds

LEAST_SETS = 5  # of fewer, a correlation is hardly ever shown
LEVEL = 0.05  # of a group in which no ratio changes so, one in twenty is told of


def sentences(run: RunRecord) -> Iterator[str]:
    """The ratios of each group that go with the machine's state, as far as that is shown.

    The state is what the control's latency tells: the reference's own is in each ratio, so that its
    noise would be taken for one.
    """
    for control in run.controls:
        reference = run.reference(control.cell.group)
        if reference is not None:
            measured = run.measured[control.cell.group]
            yield from _of_group(control, reference, measured)


def _of_group(
    control: CellRecord, reference: CellRecord, records: Sequence[CellRecord]
) -> Iterator[str]:
    state = stats.medians_by_set(stats.log_latencies(control))
    beside = stats.log_latencies(reference)
    ratios = {
        named(record): stats.between(stats.log_latencies(record), beside, beside)
        for record in records
        if record is not reference
    }
    told = {
        name: logs
        for name, logs in ratios.items()
        if stats.correlation_level(state, logs, least=LEAST_SETS) < LEVEL / len(ratios)
    }
    if not told:
        return
    ordered = sorted(state, key=state.__getitem__)
    quick, slow = ordered[: len(ordered) // 2], ordered[-(len(ordered) // 2) :]
    values = ", ".join(
        f"{name} {_mean(logs, slow):.2f} and {_mean(logs, quick):.2f}"
        for name, logs in told.items()
    )
    yield (
        f"{control.cell.group}: the machine was in states that do not slow all cells alike. In the "
        f"slower half of the sets the control took {milliseconds(_mean(state, slow))} ms, in the "
        f"quicker {milliseconds(_mean(state, quick))} ms, and these were so many times as fast as "
        f"{named(reference)}: {values}. Both are in the means and in their intervals."
    )


def _mean(logs: Mapping[int, float], sets: Sequence[int]) -> float:
    """The geometric mean over some sets."""
    found = [logs[index] for index in sets if index in logs]
    return math.exp(sum(found) / len(found))
