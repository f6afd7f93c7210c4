"""Accuracy and speed, or another cost: the networks and modes that are worth choosing between."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from bench.cells.plan import FRONT as USUAL
from bench.columns import Column
from bench.means import Interval
from bench.metrics.metric import Axis, Metric
from bench.records.record import RunRecord
from bench.report import front, ladder_table, summary
from bench.report.blocks import Block, Folded, Heading, Prose, Sentences, Table
from bench.report.front import Comparison
from bench.report.phrases import interval_text, shortened_list
from bench.report.section import DataTable, Section, Source
from bench.units import counted

_TEXT = """\
The accuracy is published, not measured: it is that of the fp32 weights in their library's own
evaluation, so it does not show what a dtype or a mode changes. It is compared as published, without
an interval. Networks without a published accuracy are not in the comparison.

"Front" compares a cell with all cells of the group. Yes: no other cell is at least as accurate and
{better}, by the estimates. No: another cell has at least its accuracy, and the whole interval of
their ratio says that it is {better}. Unclear: another cell is better by the estimates, but the
interval contains 1, so that may be chance. "Front of its mode" compares only cells of one mode.

A cell is compared with each cell of at least its accuracy. With n such cells, the confidence of
each interval is 100 − 5/n %, so "dominated" is wrong for a cell in at most 5 of 100 cases.
Dominated cells are not worth choosing; unclear ones may be.
"""


_COUNTED = {"macs", "params"}
_COUNTS = """\
MACs and parameters are exact, so the figures alone decide. A cell whose MACs are a lower bound does
not dominate another.
"""


def _build(source: Source) -> Iterator[Block]:
    run = source.run
    rows = front.frame(run)
    if rows.empty:
        return
    for title, group in summary.grouped(rows):
        yield Heading(text=title)
        for metric in front.axes(run):
            comparison = front.Comparison(metric=metric, run=run)
            of_axis = group[group["axis"] == comparison.axis.name]
            if not of_axis.empty:
                yield from _on_axis(source, title, of_axis, comparison)
    names = set(rows["axis"])
    better = "faster" if names == set(USUAL) else "better on the axis"
    yield Prose(text=_TEXT.format(better=better))
    if names & _COUNTED:
        yield Prose(text=_COUNTS)
    sources = dict(zip(rows["arch"], rows["accuracy_source"], strict=True))
    sentences = [f"{arch}: the accuracy of {text}." for arch, text in sources.items()]
    yield Folded(
        summary=f"Sources of the accuracies: {counted(len(sources), 'network')}",
        blocks=(Sentences(sentences=sentences),),
    )


def _on_axis(
    source: Source, title: str, group: pd.DataFrame, comparison: Comparison
) -> Iterator[Block]:
    """Yield the chart, the sentences and the table of a group on an axis."""
    yield from source.picture(front.chart_name(title, comparison.axis))
    yield Sentences(sentences=tuple(_sentences(source.run, group, comparison)))
    yield Table(
        title=f"{front.title(comparison.axis)}: {title}",
        columns=_columns(source.run, group),
        rows=group.assign(front=[_verdict(row) for row in group.to_dict("records")]),
    )


def _columns(run: RunRecord, group: pd.DataFrame) -> tuple[Column, ...]:
    """Return the columns that say something in this group; the verdict names what dominates."""
    without = {"dominated_by"}
    if group["mode"].nunique() == 1:
        without.add("front_of_mode")
    return tuple(column for column in front.columns(run) if column.name not in without)


def _verdict(row: Any) -> str:
    dominated = row["front"] == front.DOMINATED
    return f"{row['front']}: dominated by {row['dominated_by']}" if dominated else row["front"]


def _sentences(run: RunRecord, group: pd.DataFrame, comparison: Comparison) -> Iterator[str]:
    """State which cells are on the front, how many others there are, and what is not compared."""
    verdicts, axis = group["front"], comparison.axis
    on_front = group[verdicts == front.ON_FRONT].to_dict("records")[::-1]
    cells = "; ".join(_figures(row, comparison.metric, axis) for row in on_front)
    is_usual = axis.name in USUAL
    if len(on_front) == 1:
        better = "is faster or more" if is_usual else f"{axis.comparative} or is more"
        yield f"No other cell {better} accurate than {cells}."
    else:
        first = "fastest" if is_usual else "least accurate"
        yield f"The front, from the {first} cell to the most accurate: {cells}."
    behind = []
    if dominated := int((verdicts == front.DOMINATED).sum()):
        behind.append(f"Dominated: {counted(dominated, 'cell')}.")
    if unclear := [_cell(row) for row in group[verdicts == front.UNCLEAR].to_dict("records")]:
        behind.append(f"Unclear: {shortened_list(unclear)}.")
    if behind:
        yield " ".join(behind)
    if names := front.unknown(run, summary.group_of(group), comparison):
        what = "accuracy" if is_usual else "accuracy or the figure"
        yield f"Not compared, because the {what} is unknown: {shortened_list(names)}."


def _figures(row: Any, metric: Metric, axis: Axis) -> str:
    """Return a cell with its accuracy and its figure on the axis."""
    value = row[metric.name]
    if f"{metric.name}_low" in row:
        low, high = (row[f"{metric.name}_{end}"] for end in ("low", "high"))
        interval = Interval(estimate=value, low=low, high=high, sets=row["sets"])
        text = interval_text(interval, metric.write, axis.after)
    else:
        text = f"{metric.write(value)}{axis.after}"
    return f"{_cell(row)}, {front.write_accuracy(row['accuracy'])} % {axis.preposition} {text}"


def _cell(row: Any) -> str:
    return f"{row['arch']} in {row['mode']}"


FRONT = Section(
    name="front",
    title="Accuracy and speed",
    build=_build,
    tables={
        "front": DataTable(
            compute=lambda run: (
                (front.AXIS_COLUMN, *ladder_table.GROUP_COLUMNS, *front.columns(run)),
                front.frame(run),
            ),
            is_optional=True,
        )
    },
    is_printed=True,
    order=45,
)
