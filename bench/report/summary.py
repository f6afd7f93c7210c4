"""The summary table: the columns and the groups in which a report shows a run's cells."""

import re
from collections.abc import Iterator

import pandas as pd

from bench import metrics
from bench.cells.cell import Cell
from bench.columns import Column, filled, most_important
from bench.metrics.metric import Place
from bench.records.record import RunRecord
from bench.report.frame import LABEL

MOST_COLUMNS = 7  # that fit beside each other on GitHub
GROUPED_BY = ["dtype", "batch_size", "task", "device"]


CELL_COLUMNS = (
    Column(name="arch", heading="arch", is_text=True),
    Column(name="mode", heading="mode", is_text=True),
)


def columns(run: RunRecord, reference: str) -> tuple[Column, ...]:
    """Return the columns of the table; ``reference`` (arch and mode) is in a ratio's heading."""
    shown = metrics.applying(run, Place.SUMMARY)
    return (*CELL_COLUMNS, *(metric.column(run, reference=reference) for metric in shown))


def groups(rows: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield a title and the measured rows of each dtype, batch size, task and device.

    ``rows`` is the result of ``frame.summary``.
    """
    if not rows.empty:
        yield from grouped(rows[rows["status"] == "measured"])


def grouped(rows: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield a title and the rows of each dtype, batch size, task and device.

    Cells that are compared across dtypes are not divided by dtype; it is then part of the mode.
    """
    if LABEL not in rows:
        for factors, group in rows.groupby(GROUPED_BY, sort=False):
            yield title(*factors), group
        return
    for factors, group in rows.groupby(GROUPED_BY[1:], sort=False):
        yield title("", *factors), group.assign(mode=group[LABEL])


def title(dtype: object, batch_size: object, task: object, device: object) -> str:
    """Return the title of a group of cells; ``dtype`` is empty if the group has several."""
    return ", ".join(filter(None, (str(dtype), f"batch {batch_size}", str(task), str(device))))


def slug(title: str) -> str:
    """Return a title in the form that file names use."""
    return re.sub("[^a-z0-9]+", "-", title.lower()).strip("-")


def group_of(rows: pd.DataFrame) -> str:
    """Return the group that these rows belong to, as ``Cell.group`` writes it."""
    first = rows.iloc[0]
    dtype = "" if LABEL in rows else f"{first['dtype']}/"
    return f"{dtype}b{first['batch_size']}/{first['task']}/{first['device']}"


def reference(run: RunRecord, rows: pd.DataFrame) -> Cell | None:
    """Return the reference of the group that these rows belong to; None if it has none."""
    return run.references().get(group_of(rows))


def shown_columns(run: RunRecord, rows: pd.DataFrame) -> tuple[Column, ...]:
    """Return the columns that are not empty in these rows."""
    cell = reference(run, rows)
    name = f"{cell.arch}\n{cell.label}" if cell else "reference"
    return filled(columns(run, name), rows)


def main_columns(columns: tuple[Column, ...], rows: pd.DataFrame) -> tuple[Column, ...]:
    """Return the columns to show first; a reader has to ask for the others.

    If there are too many, those of a group that have the same value in all rows are left out first.
    """
    if len(columns) <= MOST_COLUMNS:
        return columns
    varying = (
        column
        for column in columns
        if column.name not in GROUPED_BY or rows[column.name].nunique() > 1
    )
    return most_important(tuple(varying), MOST_COLUMNS)
