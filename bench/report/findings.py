"""The findings: what a run shows, in sentences made from its figures. Pure.

Nothing is called faster or slower whose 95 % interval contains 1.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from bench import stats
from bench.means import Interval
from bench.records.record import CellRecord, RunRecord
from bench.report import bottleneck, equivalence, ladder, largest, saturation
from bench.report.phrases import between, named, percent, some, times
from bench.report.run_cache import cached_per_run
from bench.report.summary import GROUPED_BY
from bench.tables import milliseconds
from googlenet.variants import VARIANTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What cells that can be compared show."""

    title: str
    """Their dtype, batch size, task and device."""
    sentences: tuple[str, ...]


@cached_per_run
def find(run: RunRecord) -> tuple[Findings, ...]:
    """What a reader should know first, group by group."""
    steps, squares = ladder.frame(run), ladder.interactions(run)
    found = []
    for group, records in run.measured.items():
        reference = run.reference(group)
        said = [
            *_fastest(records, reference),
            *_modes(records, reference),
            *_steps(_of_group(steps, records)),
            *_squares(_of_group(squares, records)),
            *equivalence.sentences(records, reference),
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


def _fastest(records: Sequence[CellRecord], reference: CellRecord | None) -> Iterator[str]:
    """Which cell has the lowest latency, and which others may."""
    if len(records) < 2:
        return
    first = min(records, key=lambda record: stats.latency(record).estimate)
    ratios = {
        named(record): stats.speedup(first, record, beside=reference)
        for record in records
        if record is not first
    }
    apart = [name for name, ratio in ratios.items() if not ratio.sets]
    close = [name for name, ratio in ratios.items() if ratio.sets and not ratio.low > 1]
    latency = stats.latency(first)
    sentence = f"{named(first)} has the lowest latency, {between(latency, milliseconds, ' ms')}"
    to = "" if reference is None else named(reference)
    if to in ratios and to not in apart:
        sentence += f", and is {times(ratios[to])} times as fast as {to}"
        if to in close:
            sentence += ", which is no difference shown"
    if apart:
        sentence += f"; {ladder.NOT_TOGETHER} with it: {some(apart)}"
    if len(apart) == len(ratios):
        yield f"{sentence}."
    elif not close:
        yield f"{sentence}; it is faster than every other cell{' that was' * bool(apart)}."
    elif len(close) == len(ratios):
        yield f"{sentence}; no other cell has been shown to be slower."
    else:
        yield f"{sentence}; not told apart from it: {some(close)}."


def _modes(records: Sequence[CellRecord], reference: CellRecord | None) -> Iterator[str]:
    """What each mode does to the reference's arch."""
    if reference is None:
        return
    for record in records:
        if record.cell.arch != reference.cell.arch or record is reference:
            continue
        ratio = stats.speedup(record, reference)
        if not ratio.sets:
            continue
        arch, mode, before = record.cell.arch, record.cell.mode, reference.cell.mode
        says = ladder.shown(ratio, above="faster", below="slower")
        if says == ladder.NOTHING_SHOWN:
            yield f"{mode} has not been shown to change {arch}: {times(ratio)} × {before}."
        else:
            yield f"{mode} makes {arch} {says}: {times(ratio)} times as fast as {before}."


def _steps(rows: pd.DataFrame) -> Iterator[str]:
    """What each factor does, in the modes in which it is shown to do anything."""
    same = {step.after for step in ladder.steps(VARIANTS) if step.is_same_network}
    for (before, after), of_step in rows.groupby(["before", "after"], sort=False):
        if after in same:  # a sentence of their own
            continue
        step = of_step.iloc[0]
        told: list[str] = []
        silent: dict[str, list[str]] = {ladder.NOTHING_SHOWN: [], ladder.NOT_TOGETHER: []}
        for row in of_step.to_dict("records"):
            if row["shown"] in silent:
                silent[row["shown"]].append(row["mode"])
            else:
                told.append(f"{percent(_interval(row, 'latency_ratio'))} in {row['mode']}")
        said = [*told, *(f"{why} in {', '.join(modes)}" for why, modes in silent.items() if modes)]
        factor = f"{step['factor'][0].upper()}{step['factor'][1:]}"
        yield f"{factor} ({before} → {after}{_counts(step)}): {'; '.join(said)}."


def _squares(rows: pd.DataFrame) -> Iterator[str]:
    """Whether factors add up."""
    keys = ["base", "first", "second", "both"]
    for (_, first, second, _), of_square in rows.groupby(keys, sort=False):
        told = [
            f"in {row['mode']} they {row['shown']}: {times(_interval(row, 'interaction'))} of "
            "what they cost one after the other"
            for row in of_square.to_dict("records")
            if row["shown"] not in {ladder.NOTHING_SHOWN, ladder.NOT_TOGETHER}
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
                f"sure is {widest['mode']}, {times(_interval(widest, 'interaction'))} where 1 is "
                "no interaction."
            )


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
