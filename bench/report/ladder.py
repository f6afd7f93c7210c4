"""The ladder: what each factor between two networks costs or saves, one at a time.

Two networks of the registry are neighbours where they differ in one factor; a step goes from one to
the other, in the same mode, and its ratio is taken as every ratio: within rounds, over sets.
"""

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, fields
from itertools import product

import pandas as pd

from bench import stats
from bench.cells.cell import Cell
from bench.means import Interval
from bench.records.record import CellRecord, RunRecord
from bench.report.run_cache import cached_per_run
from bench.report.summary import GROUPED_BY
from bench.tables import Column, bounded, scaled
from googlenet.config import GoogLeNetConfig
from googlenet.variants import VARIANTS

NOTHING_SHOWN = "no difference shown"
NOT_TOGETHER = "not measured together"
# Act in training only: they are no part of what a forward pass computes.
_DROPOUTS = frozenset({"dropout", "aux_dropout"})
WHERE_COLUMNS = (
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
    Column(name="params_delta", heading="Δ params", write="{:+,.0f}".format, rank=5),
    Column(
        name="macs_per_image_delta", heading="Δ MMACs", write=lambda n: f"{n / 1e6:+,.1f}", rank=5
    ),
    Column(name="latency_ratio", heading="latency ×", write=scaled(1, 3), bounded=True),
    Column(
        name="latency_delta_s",
        heading="Δ ms",
        write=lambda s: f"{s * 1e3:+.1f}",
        bounded=True,
        rank=3,
    ),
    Column(name="throughput_ratio", heading="images/s ×", write=scaled(1, 3), bounded=True, rank=4),
    Column(name="shown", heading="shown", is_text=True),
)
INTERACTION_COLUMNS = (
    *WHERE_COLUMNS,
    Column(name="mode", heading="mode", is_text=True),
    Column(name="first", heading="one", is_text=True),
    Column(name="second", heading="other", is_text=True),
    Column(name="first_ratio", heading="latency × of one", write=scaled(1, 3), rank=3),
    Column(name="second_ratio", heading="of the other", write=scaled(1, 3), rank=3),
    Column(name="both_ratio", heading="of both", write=scaled(1, 3), rank=3),
    Column(name="interaction", heading="both / product", write=scaled(1, 3), bounded=True),
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


@dataclass(frozen=True, slots=True, kw_only=True)
class LadderStep:
    """Two neighbours of the registry."""

    before: str
    after: str
    factor: str
    is_same_network: bool
    """Whether only the code differs, and not what it computes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Square:
    """Two factors alone and together: four networks."""

    base: str
    first: str
    second: str
    both: str


def steps(archs: Collection[str]) -> tuple[LadderStep, ...]:
    """Every pair of neighbours among these archs, in the order of the registry."""
    return tuple(
        LadderStep(
            before=variant.neighbour,
            after=variant.name,
            factor=variant.factor,
            is_same_network=variant.config is None,
        )
        for variant in VARIANTS.values()
        if variant.neighbour is not None and {variant.neighbour, variant.name} <= set(archs)
    )


def path(archs: Collection[str]) -> tuple[LadderStep, ...]:
    """The longest way from a network down to its neighbours' neighbours: the ladder itself."""
    found = {step.after: step for step in steps(archs)}
    ways = [tuple(_way_to(name, found)) for name in found]
    return max(ways, key=len, default=())


def squares(archs: Collection[str]) -> tuple[Square, ...]:
    """Every two factors that were measured alone and together, of networks in the same code."""
    known = {name: VARIANTS[name].config for name in archs if name in VARIANTS}
    configs = {name: config for name, config in known.items() if config is not None}
    found = {}
    for base, first, second in product(configs, repeat=3):
        one, other = (_differs(configs[base], configs[name]) for name in (first, second))
        if not one or not other or one.keys() & other.keys() or first > second:
            continue
        together = {**one, **other}
        for both, config in configs.items():
            if _differs(configs[base], config) == together and _is_start(base, configs):
                found[first, second] = Square(base=base, first=first, second=second, both=both)
    return tuple(found.values())


@cached_per_run
def frame(run: RunRecord) -> pd.DataFrame:
    """A row for each step in each mode of each group; ratios are of what comes after to before."""
    rows = [
        _row(step, of_mode, beside) for of_mode, beside in _modes(run) for step in steps(of_mode)
    ]
    return pd.DataFrame(rows, columns=list(_STEP_FIELDS))


@cached_per_run
def interactions(run: RunRecord) -> pd.DataFrame:
    """A row for each square in each mode of each group.

    The interaction is the ratio of both factors together to the product of each alone: 1 where
    they add up, as logarithms do.
    """
    rows = [
        _interaction(square, of_mode, beside)
        for of_mode, beside in _modes(run)
        for square in squares(of_mode)
    ]
    return pd.DataFrame(rows, columns=list(_INTERACTION_FIELDS))


def shown(found: Interval, *, above: str, below: str) -> str:
    """What an interval of a ratio shows: nothing where it contains 1, or has no bounds."""
    if not found.sets:
        return NOT_TOGETHER
    if found.low > 1:
        return above
    return below if found.high < 1 else NOTHING_SHOWN


def _modes(run: RunRecord) -> Iterator[tuple[Mapping[str, CellRecord], CellRecord | None]]:
    """The archs with figures of each mode of each group, and the group's reference."""
    for group, measured in run.measured.items():
        for mode in dict.fromkeys(record.cell.mode for record in measured):
            of_mode = {one.cell.arch: one for one in measured if one.cell.mode == mode}
            yield of_mode, run.reference(group)


def _row(
    step: LadderStep, records: Mapping[str, CellRecord], beside: CellRecord | None
) -> dict[str, object]:
    before, after = records[step.before], records[step.after]
    # Of latencies: how many times as fast what comes before is.
    latency = stats.speedup(before, after, beside=beside)
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
        **bounded("throughput_ratio", _throughput(before, after, beside) or _inverse(latency)),
        "latency_delta_s": before_s * (latency.estimate - 1),
        "latency_delta_s_low": before_s * (latency.low - 1),
        "latency_delta_s_high": before_s * (latency.high - 1),
        "sets": latency.sets,
        "shown": shown(latency, above="slower", below="faster"),
    }


def _throughput(
    before: CellRecord, after: CellRecord, beside: CellRecord | None
) -> Interval | None:
    """The ratio of back-to-back blocks' throughputs, where there are any."""
    if not (before.has_blocks and after.has_blocks):
        return None
    of_before, of_after = stats.log_throughputs(before), stats.log_throughputs(after)
    through = {} if beside is None else stats.log_throughputs(beside)
    return stats.over(stats.between(of_before, of_after, through))


def _interaction(
    square: Square, records: Mapping[str, CellRecord], beside: CellRecord | None
) -> dict[str, object]:
    logs = {name: stats.log_latencies(records[name]) for name in _names(square)}
    through = {} if beside is None else stats.log_latencies(beside)
    first, second, both = (
        stats.between(logs[square.base], logs[name], through)
        for name in (square.first, square.second, square.both)
    )
    shared = [index for index in both if index in first and index in second]
    found = stats.over({index: both[index] - first[index] - second[index] for index in shared})
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
        **bounded("interaction", found),
        "sets": found.sets,
        "shown": shown(found, above="cost more together", below="cost less together"),
    }


def _names(square: Square) -> tuple[str, ...]:
    return (square.base, square.first, square.second, square.both)


def _group(cell: Cell) -> dict[str, object]:
    return {name: getattr(cell, name) for name in GROUPED_BY}


def _inverse(found: Interval) -> Interval:
    return Interval(
        estimate=1 / found.estimate,
        low=1 / found.high,
        high=1 / found.low,
        sets=found.sets,
        trimmed=found.trimmed,
    )


def _delta(before: CellRecord, after: CellRecord, name: str) -> float:
    one, other = (record.cost.get(name) for record in (before, after))
    return math.nan if one is None or other is None else float(other - one)


def _way_to(name: str, found: Mapping[str, LadderStep]) -> Iterator[LadderStep]:
    if name in found:
        yield from _way_to(found[name].before, found)
        yield found[name]


def _differs(one: GoogLeNetConfig, other: GoogLeNetConfig) -> dict[str, object]:
    """The fields of ``other`` that are not as ``one`` has them."""
    names = (field.name for field in fields(one) if field.name not in _DROPOUTS)
    return {name: getattr(other, name) for name in names if _unlike(one, other, name)}


def _unlike(one: GoogLeNetConfig, other: GoogLeNetConfig, name: str) -> bool:
    return bool(getattr(one, name) != getattr(other, name))


def _is_start(base: str, configs: Mapping[str, GoogLeNetConfig]) -> bool:
    """Whether a network is where others start from: each square has four corners, and one base."""
    return VARIANTS[base].neighbour not in configs
