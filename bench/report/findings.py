"""The findings: what a run shows, in sentences made from its figures. Pure.

Nothing is called faster or slower whose 95 % interval contains 1.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from bench import stats
from bench.records.record import CellRecord, RunRecord
from bench.report import bottleneck, ladder, largest, saturation
from bench.report.summary import GROUPED_BY
from bench.stats import Interval
from bench.tables import milliseconds
from bench.units import in_mib
from googlenet.variants import VARIANTS

# What may tell two networks apart that compute the same, by what each worker's setup says.
_FACTS = {
    "graphs": "graphs",
    "graph_breaks": "graph breaks",
    "weights_bytes": "bytes of weights",
    "peak_memory_bytes": "peak bytes",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What cells that can be compared show."""

    title: str
    """Their dtype, batch size, task and device."""
    sentences: tuple[str, ...]


def of(run: RunRecord) -> tuple[Findings, ...]:
    """What a reader should know first, group by group."""
    groups: dict[str, list[CellRecord]] = {}
    for record in run.cells:
        if record.has_figures:
            groups.setdefault(record.cell.group, []).append(record)
    steps, squares = ladder.frame(run), ladder.interactions(run)
    references = run.references()
    found = []
    for group, records in groups.items():
        reference = next((r for r in records if r.cell == references.get(group)), None)
        said = [
            *_fastest(records, reference),
            *_modes(records, reference),
            *_steps(_of_group(steps, records)),
            *_squares(_of_group(squares, records)),
            *_same_networks(records),
            *bottleneck.sentences(records),
        ]
        if said:
            found.append(Findings(title=title(records[0]), sentences=tuple(said)))
    found += [Findings(title=name, sentences=said) for name, said in saturation.findings(run)]
    found += [Findings(title=name, sentences=said) for name, said in largest.findings(run)]
    return tuple(found)


def title(record: CellRecord) -> str:
    """A group as a person reads it."""
    cell = record.cell
    return f"{cell.dtype}, batch {cell.batch_size}, {cell.task}, {cell.device}"


def percent(ratio: Interval, what: str = "latency") -> str:
    """A change of so many percent, with its interval: less or more of something."""
    lower = ratio.estimate < 1
    ends = (ratio.low, ratio.high) if not lower else (ratio.high, ratio.low)
    sign = -1 if lower else 1
    low, high = (f"{sign * (end - 1) * 100:.1f}" for end in ends)
    return (
        f"{abs(ratio.estimate - 1) * 100:.1f} % ({low}–{high}) {'less' if lower else 'more'} {what}"
    )


def _fastest(records: Sequence[CellRecord], reference: CellRecord | None) -> Iterator[str]:
    """Which cell has the lowest latency, and which others may."""
    if len(records) < 2:
        return
    first = min(records, key=lambda record: stats.latency(record).estimate)
    others = [record for record in records if record is not first]
    close = [record for record in others if not stats.speedup(first, record).low > 1]
    latency = stats.latency(first)
    sentence = f"{_name(first)} has the lowest latency, {_between(latency, milliseconds)} ms"
    if reference is not None and reference is not first:
        ratio = stats.speedup(first, reference)
        sentence += f", and is {_times(ratio)} times as fast as {_name(reference)}"
        if not ratio.low > 1:
            sentence += ", which is no difference shown"
    if not close:
        yield f"{sentence}; it is faster than every other cell."
    elif len(close) == len(others):
        yield f"{sentence}; no other cell has been shown to be slower."
    else:
        names = ", ".join(_name(record) for record in close[:4])
        more = f" and {len(close) - 4} more" if len(close) > 4 else ""
        yield f"{sentence}; not told apart from it: {names}{more}."


def _modes(records: Sequence[CellRecord], reference: CellRecord | None) -> Iterator[str]:
    """What each mode does to the reference's arch."""
    if reference is None:
        return
    for record in records:
        if record.cell.arch != reference.cell.arch or record is reference:
            continue
        ratio = stats.speedup(record, reference)
        arch, mode, before = record.cell.arch, record.cell.mode, reference.cell.mode
        says = ladder.shown(ratio, above="faster", below="slower")
        if says == ladder.NOTHING_SHOWN:
            yield f"{mode} has not been shown to change {arch}: {_times(ratio)} × {before}."
        else:
            yield f"{mode} makes {arch} {says}: {_times(ratio)} times as fast as {before}."


def _steps(rows: pd.DataFrame) -> Iterator[str]:
    """What each factor does, in the modes in which it is shown to do anything."""
    same = {step.after for step in ladder.steps(VARIANTS) if step.is_same_network}
    for (before, after), of_step in rows.groupby(["before", "after"], sort=False):
        if after in same:  # a sentence of their own
            continue
        step = of_step.iloc[0]
        told, silent = [], []
        for row in of_step.to_dict("records"):
            if row["shown"] == ladder.NOTHING_SHOWN:
                silent.append(row["mode"])
            else:
                told.append(f"{percent(_interval(row, 'latency_ratio'))} in {row['mode']}")
        said = ["; ".join(told)] if told else []
        if silent:
            said.append(f"{ladder.NOTHING_SHOWN} in {', '.join(silent)}")
        factor = f"{step['factor'][0].upper()}{step['factor'][1:]}"
        yield f"{factor} ({before} → {after}{_counts(step)}): {'; '.join(said)}."


def _squares(rows: pd.DataFrame) -> Iterator[str]:
    """Whether factors add up."""
    keys = ["base", "first", "second", "both"]
    for (_, first, second, _), of_square in rows.groupby(keys, sort=False):
        told = [
            f"in {row['mode']} they {row['shown']}: {_times(_interval(row, 'interaction'))} of "
            "what they cost one after the other"
            for row in of_square.to_dict("records")
            if row["shown"] != ladder.NOTHING_SHOWN
        ]
        both = f"The factors of {first} and {second}"
        silent = of_square[of_square["shown"] == ladder.NOTHING_SHOWN]
        if told:
            yield f"{both} interact: {'; '.join(told)}."
        if not silent.empty and silent["interaction_low"].notna().all():
            reach = silent["interaction_high"] / silent["interaction_low"]
            widest = silent.to_dict("records")[int(reach.to_numpy().argmax())]
            yield (
                f"{both} have not been shown to interact in {', '.join(silent['mode'])}; the least "
                f"sure is {widest['mode']}, {_times(_interval(widest, 'interaction'))} where 1 is "
                "no interaction."
            )


def _same_networks(records: Sequence[CellRecord]) -> Iterator[str]:
    """The check on ourselves: two people's code of one network."""
    by_cell = {(record.cell.arch, record.cell.mode): record for record in records}
    modes = dict.fromkeys(record.cell.mode for record in records)
    for step in ladder.steps({record.cell.arch for record in records}):
        pairs = [(by_cell.get((step.before, m)), by_cell.get((step.after, m)), m) for m in modes]
        told = [_same(ours, theirs, mode) for ours, theirs, mode in pairs if ours and theirs]
        if step.is_same_network and told:
            yield (
                f"{step.before} and {step.after} are the same network in two people's code, so "
                f"their ratio should be 1: {'; '.join(told)}."
            )


def _same(ours: CellRecord, theirs: CellRecord, mode: str) -> str:
    ratio = stats.speedup(theirs, ours)
    if ladder.shown(ratio, above="faster", below="slower") == ladder.NOTHING_SHOWN:
        return f"{_times(ratio)} in {mode}"
    return f"{_times(ratio)} in {mode}, which is a difference: {_why(ours, theirs)}"


def _why(ours: CellRecord, theirs: CellRecord) -> str:
    """What else the two differ in that was counted: where an explanation has to be looked for."""
    differing = []
    for name, what in _FACTS.items():
        if name == "peak_memory_bytes" and ours.cell.device == "cpu":
            continue  # of the resident set, which is never twice the same
        found = [
            max((setup[name] for setup in record.setups if setup.get(name) is not None), default=0)
            for record in (ours, theirs)
        ]
        if found[0] != found[1]:
            unit = [in_mib(value) if "bytes" in name else value for value in found]
            differing.append(f"{what} ({unit[0]} and {unit[1]})")
    counts = [
        (record.cost.get("params"), record.cost.get("macs_per_image")) for record in (ours, theirs)
    ]
    same = "parameters and MACs are the same" if counts[0] == counts[1] else "the counts differ"
    if not differing:
        return f"{same}, and so is all else that was counted: nothing here explains it"
    return f"{same}, but not {', '.join(differing)}"


def _counts(step: "pd.Series[Any]") -> str:
    params, macs = step["params_delta"], step["macs_per_image_delta"]
    told = []
    if pd.notna(params) and params:
        told.append(f"{params:+,.0f} parameters")
    if pd.notna(macs) and macs:
        told.append(f"{macs / 1e6:+,.1f} million MACs")
    return "; " + ", ".join(told) if told else ""


def _of_group(rows: pd.DataFrame, records: Sequence[CellRecord]) -> pd.DataFrame:
    wanted = {name: getattr(records[0].cell, name) for name in GROUPED_BY}
    if rows.empty:
        return rows
    return rows[(rows[list(wanted)] == pd.Series(wanted)).all(axis=1)]


def _interval(row: Any, name: str) -> Interval:
    return Interval(
        estimate=row[name], low=row[f"{name}_low"], high=row[f"{name}_high"], sets=row["sets"]
    )


def _times(ratio: Interval) -> str:
    return _between(ratio, "{:.2f}".format)


def _between(found: Interval, write: Callable[[float], str]) -> str:
    """An estimate with its interval, where it has one."""
    if math.isnan(found.low) or math.isnan(found.high):
        return f"{write(found.estimate)} (of {found.sets} set{'s' * (found.sets != 1)})"
    return f"{write(found.estimate)} ({write(found.low)}–{write(found.high)})"


def _name(record: CellRecord) -> str:
    return f"{record.cell.arch} in {record.cell.mode}"
