"""The findings of a run: sentences made from its figures. Pure.

A cell is called faster or slower only if the 95 % interval of the ratio does not contain 1.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from bench import stats
from bench.columns import milliseconds, signed
from bench.means import Interval
from bench.records.record import CellRecord, RunRecord
from bench.records.run_cache import cached_per_run
from bench.report import (
    bottleneck,
    equivalence,
    fastest,
    ladder,
    ladder_table,
    largest,
    saturation,
    summary,
)
from bench.report.phrases import (
    interval_text,
    percent_change,
    ratio_text,
    shortened_list,
)
from googlenet.variants import VARIANTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """The findings about one group of comparable cells."""

    title: str
    """Dtype, batch size, task and device of the group."""
    sentences: tuple[str, ...]
    not_shown: tuple[str, ...] = ()
    """Sentences on comparisons in which no difference has been shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Finding:
    """A sentence, and whether it says that something has been shown."""

    text: str
    is_shown: bool = True


@cached_per_run
def find(run: RunRecord) -> tuple[Findings, ...]:
    """Return the findings of each group, then those across batch sizes."""
    steps, squares = ladder_table.frame(run), ladder_table.interactions(run)
    result = []
    for group, records in run.measured.items():
        reference = run.reference(group)
        found = [
            *_shown(_fastest(records, reference)),
            *_modes(records, reference),
            *_steps(_of_group(steps, records)),
            *_squares(_of_group(squares, records)),
            *_shown(equivalence.sentences(records, reference)),
            *_shown(bottleneck.sentences(records)),
        ]
        if found:
            shown, not_shown = (
                tuple(each.text for each in found if each.is_shown is is_shown)
                for is_shown in (True, False)
            )
            name = title(records[0])
            result.append(Findings(title=name, sentences=shown, not_shown=not_shown))
    result += [Findings(title=name, sentences=texts) for name, texts in saturation.findings(run)]
    result += [Findings(title=name, sentences=texts) for name, texts in largest.findings(run)]
    return tuple(result)


def title(record: CellRecord) -> str:
    """Return the title of a cell's group."""
    cell = record.cell
    return summary.title(
        "" if cell.across_dtypes else cell.dtype, cell.batch_size, cell.task, cell.device
    )


def _shown(sentences: Iterable[str]) -> Iterator[_Finding]:
    return (_Finding(text=sentence) for sentence in sentences)


def _fastest(records: Sequence[CellRecord], reference: CellRecord | None) -> Iterator[str]:
    """Name the cell with the lowest latency and those that may be as fast."""
    if len(records) < 2:
        return
    best = fastest.find(records, reference)
    close, not_compared, ratio = best.close, best.not_compared, best.over_reference
    sentence = (
        f"{best.record.cell.name} has the lowest latency, "
        f"{interval_text(best.latency, milliseconds, ' ms')}"
    )
    if ratio is not None:
        sentence += f", and is {ratio_text(ratio)} times as fast as {best.reference}"
        if best.reference in close:
            sentence += " (not a significant difference)"
    if not_compared:
        sentence += f"; {ladder_table.NOT_TOGETHER} with it: {shortened_list(not_compared)}"
    if len(not_compared) == len(best.ratios):
        yield f"{sentence}."
    elif not close:
        yield f"{sentence}; it is faster than every other cell{' that was' * bool(not_compared)}."
    elif len(close) == len(best.ratios):
        yield f"{sentence}; no other cell has been shown to be slower."
    else:
        yield f"{sentence}; no significant difference from {shortened_list(close)}."


def _modes(records: Sequence[CellRecord], reference: CellRecord | None) -> Iterator[_Finding]:
    """State the effect of each mode on the reference's arch."""
    if reference is None:
        return
    for record in records:
        if record.cell.arch != reference.cell.arch or record is reference:
            continue
        ratio = stats.speedup(record, reference)
        if not ratio.sets:
            continue
        arch, mode, before = record.cell.arch, record.cell.label, reference.cell.label
        difference = ladder_table.effect_shown(ratio, above="faster", below="slower")
        if difference == ladder_table.NOTHING_SHOWN:
            effect = f"has not been shown to change the speed of {arch}"
        else:
            effect = f"makes {arch} {difference}"
        yield _Finding(
            text=f"{mode} {effect}: {ratio_text(ratio)} times as fast as {before}.",
            is_shown=difference != ladder_table.NOTHING_SHOWN,
        )


def _steps(rows: pd.DataFrame) -> Iterator[_Finding]:
    """State the effect of each factor, mode by mode."""
    same = {step.after for step in ladder.steps(VARIANTS) if step.is_same_network}
    for (before, after), of_step in rows.groupby(["before", "after"], sort=False):
        if after in same:  # ``equivalence`` has a sentence for it
            continue
        step = of_step.iloc[0]
        effects: list[str] = []
        no_effect: dict[str, list[str]] = {
            ladder_table.NOTHING_SHOWN: [],
            ladder_table.NOT_TOGETHER: [],
        }
        for row in of_step.to_dict("records"):
            if row["shown"] in no_effect:
                no_effect[row["shown"]].append(row["mode"])
            else:
                effects.append(
                    f"{percent_change(_interval(row, 'latency_ratio'))} in {row['mode']}"
                )
        parts = [
            *effects,
            *(f"{why} in {', '.join(modes)}" for why, modes in no_effect.items() if modes),
        ]
        factor = f"{step['factor'][0].upper()}{step['factor'][1:]}"
        yield _Finding(
            text=f"{factor} ({before} → {after}{_counts(step)}): {'; '.join(parts)}.",
            is_shown=bool(effects or no_effect[ladder_table.NOT_TOGETHER]),
        )


def _squares(rows: pd.DataFrame) -> Iterator[_Finding]:
    """State whether factors interact."""
    keys = ["base", "first", "second", "both"]
    for (_, first, second, _), of_square in rows.groupby(keys, sort=False):
        effects = [
            f"in {row['mode']} they {row['shown']}: "
            f"{ratio_text(_interval(row, 'interaction'))} times the product of their separate costs"
            for row in of_square.to_dict("records")
            if row["shown"] not in {ladder_table.NOTHING_SHOWN, ladder_table.NOT_TOGETHER}
        ]
        both = f"The factors of {first} and {second}"
        no_effect = of_square[of_square["shown"] == ladder_table.NOTHING_SHOWN]
        if effects:
            yield _Finding(text=f"{both} interact: {'; '.join(effects)}.")
        if not no_effect.empty and no_effect["interaction_low"].notna().all():
            width = no_effect["interaction_high"] / no_effect["interaction_low"]
            widest = no_effect.to_dict("records")[int(width.to_numpy().argmax())]
            yield _Finding(
                text=f"{both} have not been shown to interact in {', '.join(no_effect['mode'])}; "
                f"the widest interval is that of {widest['mode']}: "
                f"{ratio_text(_interval(widest, 'interaction'))}, where 1 means no interaction.",
                is_shown=False,
            )


def _counts(step: "pd.Series[Any]") -> str:
    params, macs = step["params_delta"], step["macs_per_image_delta"]
    changes = []
    if pd.notna(params) and params:
        changes.append(f"{signed(1, 0)(params)} parameters")
    if pd.notna(macs) and macs:
        changes.append(f"{signed(1e-6, 1)(macs)} million MACs")
    return "; " + ", ".join(changes) if changes else ""


def _of_group(rows: pd.DataFrame, records: Sequence[CellRecord]) -> pd.DataFrame:
    group = {name: getattr(records[0].cell, name) for name in summary.GROUPED_BY}
    if rows.empty:
        return rows
    return rows[(rows[list(group)] == pd.Series(group)).all(axis=1)]


def _interval(row: Any, name: str) -> Interval:
    return Interval(
        estimate=row[name], low=row[f"{name}_low"], high=row[f"{name}_high"], sets=row["sets"]
    )
