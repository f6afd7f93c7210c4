"""Accuracy and speed: the networks and modes that are worth choosing between."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from bench.means import Interval
from bench.records.record import RunRecord
from bench.report import front, ladder, summary
from bench.report.blocks import Block, Folded, Heading, Prose, Sentences, Table
from bench.report.phrases import interval_text, shortened_list
from bench.report.section import DataTable, Section, Source
from bench.tables import Column, milliseconds
from bench.units import counted

_TEXT = """\
The accuracy is published, not measured: it is that of the fp32 weights in their library's own
evaluation, so it does not show what a dtype or a mode changes. It is compared as published, without
an interval. Networks without a published accuracy are not in the comparison.

"Front" compares a cell with all cells of the group. Yes: no other cell is at least as accurate and
faster, by the estimates. No: another cell has at least its accuracy, and the whole interval of
their ratio says that it is faster. Unclear: another cell is better by the estimates, but the
interval contains 1, so that may be chance. "Front of its mode" compares only cells of one mode.

A cell is compared with each cell of at least its accuracy. With n such cells, the confidence of
each interval is 100 − 5/n %, so "dominated" is wrong for a cell in at most 5 of 100 cases.
Dominated cells are not worth choosing; unclear ones may be.
"""


def _build(source: Source) -> Iterator[Block]:
    rows = front.frame(source.run)
    if rows.empty:
        return
    for title, group in summary.grouped(rows):
        yield Heading(text=title)
        yield from source.picture(f"front-{summary.slug(title)}")
        yield Sentences(sentences=tuple(_sentences(source.run, group)))
        yield Table(
            title=f"Accuracy and speed: {title}",
            columns=_columns(source.run, group),
            rows=group.assign(front=[_verdict(row) for row in group.to_dict("records")]),
        )
    yield Prose(text=_TEXT)
    sources = dict(zip(rows["arch"], rows["accuracy_source"], strict=True))
    sentences = [f"{arch}: the accuracy of {text}." for arch, text in sources.items()]
    yield Folded(
        summary=f"Sources of the accuracies: {counted(len(sources), 'network')}",
        blocks=(Sentences(sentences=sentences),),
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


def _sentences(run: RunRecord, group: pd.DataFrame) -> Iterator[str]:
    """State which cells are on the front, how many others there are, and what is not compared."""
    verdicts = group["front"]
    on_front = group[verdicts == front.ON_FRONT].to_dict("records")[::-1]
    if len(on_front) == 1:
        yield f"No other cell is faster or more accurate than {_figures(on_front[0])}."
    else:
        cells = "; ".join(map(_figures, on_front))
        yield f"The front, from the fastest cell to the most accurate: {cells}."
    behind = []
    if dominated := int((verdicts == front.DOMINATED).sum()):
        behind.append(f"Dominated: {counted(dominated, 'cell')}.")
    if unclear := [_cell(row) for row in group[verdicts == front.UNCLEAR].to_dict("records")]:
        behind.append(f"Unclear: {shortened_list(unclear)}.")
    if behind:
        yield " ".join(behind)
    if names := front.unknown(run, summary.group_of(group)):
        yield f"Not compared, because the accuracy is unknown: {shortened_list(names)}."


def _figures(row: Any) -> str:
    """Return a cell with its accuracy and its latency."""
    latency = Interval(
        estimate=row["latency_s"],
        low=row["latency_s_low"],
        high=row["latency_s_high"],
        sets=row["sets"],
    )
    text = interval_text(latency, milliseconds, " ms")
    return f"{_cell(row)}, {front.write_accuracy(row['accuracy'])} % in {text}"


def _cell(row: Any) -> str:
    return f"{row['arch']} in {row['mode']}"


FRONT = Section(
    name="front",
    title="Accuracy and speed",
    build=_build,
    tables={
        "front": DataTable(
            compute=lambda run: ((*ladder.GROUP_COLUMNS, *front.columns(run)), front.frame(run)),
            is_optional=True,
        )
    },
    is_printed=True,
    order=45,
)
