"""Ratios that correlate with the machine's drift from set to set. Pure.

Drift cancels in a ratio if it slows both cells alike. A slower clock or a busier memory bus may
slow one mode more than another, and then the ratio changes with the machine's state.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean

import pandas as pd

from bench import means, stats
from bench.columns import milliseconds
from bench.records.record import CellRecord, RunRecord

MIN_SETS = 5  # with fewer sets a correlation is rarely significant
LEVEL = 0.05  # significance level per group: one unaffected group in twenty is a false alarm


def sentences(run: RunRecord) -> Iterator[str]:
    """Name the ratios of each group that correlate significantly with the machine's state."""
    for group, records in run.measured.items():
        reference = run.reference(group)
        if reference is not None:
            yield from _of_group(group, reference, records)


def _of_group(group: str, reference: CellRecord, records: Sequence[CellRecord]) -> Iterator[str]:
    reference_name = reference.cell.name
    latencies = pd.DataFrame(
        {record.cell.name: stats.set_log_latencies(record) for record in records}
    )
    if len(latencies) < MIN_SETS:
        return
    slowness = latencies - latencies.mean()  # deviation of each cell from its own mean
    ratios = {
        record.cell.name: stats.set_log_ratios(record, reference)
        for record in records
        if record is not reference
    }
    correlated = {
        name: logs
        for name, logs in ratios.items()
        if means.correlation_level(_state(slowness, [name, reference_name]), logs, least=MIN_SETS)
        < LEVEL / len(ratios)
    }
    state = _state(slowness, [*correlated, reference_name])
    reference_logs = latencies[reference_name].dropna()
    shared = [
        index
        for index in state
        if all(index in logs for logs in (reference_logs, *correlated.values()))
    ]
    ordered = sorted(shared, key=state.__getitem__)
    half = len(ordered) // 2
    if not correlated or not half:
        return
    slow, fast = ordered[-half:], ordered[:half]
    values = ", ".join(
        f"{name} {_mean(logs, slow):.2f} and {_mean(logs, fast):.2f}"
        for name, logs in correlated.items()
    )
    yield (
        f"{group}: the machine's drift did not slow all cells alike. The latency of "
        f"{reference_name} was {milliseconds(_mean(reference_logs, slow))} ms in the slower half "
        f"of the sets (judged by the other cells) and {milliseconds(_mean(reference_logs, fast))} "
        f"ms in the faster half. Speedup over {reference_name} in the slower and the faster half: "
        f"{values}. The means and their intervals include both halves."
    )


def _state(slowness: pd.DataFrame, without: list[str]) -> Mapping[int, float]:
    """Return the machine's slowness per set: the median over the cells not in ``without``.

    The cells of the ratio itself are excluded, because the ratio contains their processes' noise.
    """
    middle = slowness.drop(columns=without).median(axis=1).dropna()
    return dict(zip(map(int, middle.index), middle, strict=True))


def _mean(logs: "Mapping[int, float] | pd.Series[float]", sets: Sequence[int]) -> float:
    """Return the geometric mean over ``sets``, as a plain number."""
    return math.exp(fmean(logs[index] for index in sets))
