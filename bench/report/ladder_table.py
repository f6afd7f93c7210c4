"""The tables of the ladder: a row for each step, and for each pair of factors.

Every ratio is computed within rounds, and then over sets.
"""

import math
from collections.abc import Iterator, Mapping

import pandas as pd

from bench import stats
from bench.cells.cell import Cell
from bench.columns import Column, bounded, scaled, signed
from bench.means import Interval
from bench.records.record import CellRecord, RunRecord
from bench.records.run_cache import cached_per_run
from bench.report.ladder import LadderStep, Square, squares, steps
from bench.report.summary import GROUPED_BY
from googlenet.variants import VARIANTS

NOTHING_SHOWN = "no difference shown"
NOT_TOGETHER = "not measured together"
SAME_NETWORK = "same network"
GROUP_COLUMNS = (
    Column(name="dtype", heading="dtype", is_text=True),
    Column(name="batch_size", heading="batch", is_text=True),
    Column(name="task", heading="task", is_text=True),
    Column(name="device", heading="device", is_text=True),
)
STEP_COLUMNS = (
    Column(name="mode", heading="mode", is_text=True),
    Column(name="before", heading="from", is_text=True),
    Column(name="after", heading="to", is_text=True),
    Column(name="factor", heading="factor", is_text=True, wraps=True),
    Column(name="params_delta", heading="Δ params", write=signed(1, 0), rank=5),
    Column(name="macs_per_image_delta", heading="Δ MMACs", write=signed(1e-6, 1), rank=5),
    Column(
        name="latency_ratio", heading="latency ×", write=scaled(1, 3), bounded=True, neutral=1.0
    ),
    Column(
        name="latency_delta_s",
        heading="Δ ms",
        write=signed(1e3, 1),
        bounded=True,
        neutral=0.0,
        rank=3,
    ),
    Column(
        name="throughput_ratio",
        heading="images/s ×",
        write=scaled(1, 3),
        bounded=True,
        neutral=1.0,
        rank=4,
    ),
    Column(name="shown", heading="shown", is_text=True),
)
INTERACTION_COLUMNS = (
    *GROUP_COLUMNS,
    Column(name="mode", heading="mode", is_text=True),
    Column(name="first", heading="first factor", is_text=True),
    Column(name="second", heading="second factor", is_text=True),
    Column(name="first_ratio", heading="latency × of first", write=scaled(1, 3), rank=3),
    Column(name="second_ratio", heading="of second", write=scaled(1, 3), rank=3),
    Column(name="both_ratio", heading="of both", write=scaled(1, 3), rank=4),
    Column(
        name="interaction",
        heading="both / product",
        write=scaled(1, 3),
        bounded=True,
        neutral=1.0,
    ),
    Column(name="shown", heading="shown", is_text=True),
)
_STEP_FIELDS = (
    *GROUPED_BY,
    *("mode", "before", "after", "factor", "params_delta", "macs_per_image_delta"),
    *("latency_ratio", "latency_ratio_low", "latency_ratio_high"),
    *("throughput_ratio", "throughput_ratio_low", "throughput_ratio_high"),
    *("latency_delta_s", "latency_delta_s_low", "latency_delta_s_high"),
    *("sets", "shown"),
)
_INTERACTION_FIELDS = (
    *GROUPED_BY,
    *("mode", "base", "first", "second", "both"),
    *("first_ratio", "second_ratio", "both_ratio"),
    *("interaction", "interaction_low", "interaction_high", "sets", "shown"),
)


@cached_per_run
def frame(run: RunRecord) -> pd.DataFrame:
    """Return a row for each step in each mode of each group; ratios are after / before."""
    rows = [
        _row(step, of_mode, reference)
        for of_mode, reference in _modes(run)
        for step in steps(of_mode)
    ]
    return pd.DataFrame(rows, columns=list(_STEP_FIELDS))


@cached_per_run
def interactions(run: RunRecord) -> pd.DataFrame:
    """Return a row for each square in each mode of each group.

    The interaction is the ratio of both factors together, divided by the product of the ratios of
    each alone. It is 1 if the factors are independent: their log ratios add up.
    """
    rows = [
        _interaction(square, of_mode, reference)
        for of_mode, reference in _modes(run)
        for square in squares(of_mode)
    ]
    return pd.DataFrame(rows, columns=list(_INTERACTION_FIELDS))


def for_readers(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows of ``frame`` for readers: steps between equal networks show no factor's effect.

    Such a step changes only the code, so ``shown`` says ``SAME_NETWORK`` if the two were compared.
    """
    equal = {step.after for step in steps(VARIANTS) if step.is_same_network}
    is_equal = rows["after"].isin(equal) & (rows["shown"] != NOT_TOGETHER)
    return rows.assign(shown=rows["shown"].mask(is_equal, SAME_NETWORK))


def effect_shown(ratio: Interval, *, above: str, below: str) -> str:
    """Return the effect that the interval of a ratio shows: ``above`` 1, ``below`` 1 or none.

    The interval shows nothing if it contains 1 or has no bounds.
    """
    if not ratio.sets:
        return NOT_TOGETHER
    if ratio.low > 1:
        return above
    return below if ratio.high < 1 else NOTHING_SHOWN


def _modes(run: RunRecord) -> Iterator[tuple[Mapping[str, CellRecord], CellRecord | None]]:
    """Yield, for each mode of each group, its archs with figures and the group's reference."""
    for group, measured in run.measured.items():
        for mode in dict.fromkeys(record.cell.mode for record in measured):
            of_mode = {record.cell.arch: record for record in measured if record.cell.mode == mode}
            yield of_mode, run.reference(group)


def _row(
    step: LadderStep, records: Mapping[str, CellRecord], reference: CellRecord | None
) -> dict[str, object]:
    before, after = records[step.before], records[step.after]
    # The speedup of before over after is the ratio of the latencies, after / before.
    latency = stats.speedup(before, after, reference=reference)
    before_s = stats.latency(before).estimate
    return {
        **_group(after.cell),
        "mode": after.cell.mode,
        "before": step.before,
        "after": step.after,
        "factor": step.factor,
        "params_delta": _delta(before, after, "params"),
        "macs_per_image_delta": _delta(before, after, "macs_per_image"),
        **bounded("latency_ratio", latency),
        **bounded("throughput_ratio", _throughput(before, after, reference) or _inverse(latency)),
        "latency_delta_s": before_s * (latency.estimate - 1),
        "latency_delta_s_low": before_s * (latency.low - 1),
        "latency_delta_s_high": before_s * (latency.high - 1),
        "sets": latency.sets,
        "shown": effect_shown(latency, above="slower", below="faster"),
    }


def _throughput(
    before: CellRecord, after: CellRecord, reference: CellRecord | None
) -> Interval | None:
    """Return the ratio of the throughputs in back-to-back blocks; None if there are no blocks."""
    if not (before.has_blocks and after.has_blocks):
        return None
    of_before, of_after = stats.log_throughputs(before), stats.log_throughputs(after)
    reference_logs = {} if reference is None else stats.log_throughputs(reference)
    return stats.over(stats.log_speedups(of_before, of_after, reference_logs))


def _interaction(
    square: Square, records: Mapping[str, CellRecord], reference: CellRecord | None
) -> dict[str, object]:
    logs = {name: stats.log_latencies(records[name]) for name in _names(square)}
    reference_logs = {} if reference is None else stats.log_latencies(reference)
    first, second, both = (
        stats.log_speedups(logs[square.base], logs[name], reference_logs)
        for name in (square.first, square.second, square.both)
    )
    shared = [index for index in both if index in first and index in second]
    interaction = stats.over(
        {index: both[index] - first[index] - second[index] for index in shared}
    )
    return {
        **_group(records[square.both].cell),
        "mode": records[square.both].cell.mode,
        "base": square.base,
        "first": square.first,
        "second": square.second,
        "both": square.both,
        "first_ratio": stats.over(first).estimate,
        "second_ratio": stats.over(second).estimate,
        "both_ratio": stats.over(both).estimate,
        **bounded("interaction", interaction),
        "sets": interaction.sets,
        "shown": effect_shown(interaction, above="cost more together", below="cost less together"),
    }


def _names(square: Square) -> tuple[str, ...]:
    return (square.base, square.first, square.second, square.both)


def _group(cell: Cell) -> dict[str, object]:
    return {name: getattr(cell, name) for name in GROUPED_BY}


def _inverse(ratio: Interval) -> Interval:
    return Interval(
        estimate=1 / ratio.estimate,
        low=1 / ratio.high,
        high=1 / ratio.low,
        sets=ratio.sets,
        trimmed=ratio.trimmed,
    )


def _delta(before: CellRecord, after: CellRecord, name: str) -> float:
    old, new = (getattr(record.cost, name) for record in (before, after))
    return math.nan if old is None or new is None else float(new - old)
