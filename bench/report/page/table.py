"""The tables of the page, and the sort and filter values of the table of cells."""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import pandas as pd

from bench import columns, tables
from bench.columns import IN_FULL, Column
from bench.metrics import METRICS
from bench.records.record import RunRecord
from bench.report import summary
from bench.report.blocks import Table
from bench.tables import written

_FACTORS = {"dtype": "dtype", "batch_size": "batch", "task": "task", "device": "device"}


def plain(table: Table) -> list[list[str]]:
    """Return every value of a table without sorting or filtering as text."""
    return tables.cells(table.columns, table.rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A value of a cell: the text to show and the value to sort by."""

    text: str
    interval: str
    """Interval in brackets; empty if there is none."""
    value: float | None
    """Number to sort by; None if it is missing or the value is text."""
    is_unsure: bool
    """Whether this is a ratio whose interval contains 1, so that no difference has been shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRow:
    """The row of a cell: the values to filter by, and its entries in the order of the columns."""

    factors: Mapping[str, str]
    entries: tuple[Entry, ...]
    has_figures: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PageTable:
    """The table of all cells of a run, measured or not."""

    columns: tuple[Column, ...]
    further: frozenset[str]
    """Names of the columns that are hidden until a reader asks for all."""
    rows: tuple[PageRow, ...]
    choices: Mapping[str, tuple[str, tuple[str, ...]]]
    """The filters: heading and values, by name, of each factor that has more than one value."""

    @classmethod
    def empty(cls) -> "PageTable":
        """Return a table without cells."""
        return cls(columns=(), further=frozenset(), rows=(), choices={})

    @classmethod
    def from_run(cls, run: RunRecord, cells: pd.DataFrame) -> "PageTable":
        """Return the table of ``cells``, which are the rows of ``frame.summary``."""
        if cells.empty:
            return cls.empty()
        columns = _columns(run, cells)
        factors = {"mode": "mode", **_FACTORS}
        main = summary.main_columns(columns, cells)
        return cls(
            columns=columns,
            further=frozenset(column.name for column in columns if column not in main),
            rows=tuple(
                PageRow(
                    factors={name: str(row[name]) for name in ("arch", *factors)},
                    entries=tuple(_entry(column, row) for column in columns),
                    has_figures=row["status"] == "measured",
                )
                for row in cells.to_dict("records")
            ),
            choices={
                name: (heading, tuple(map(str, cells[name].unique())))
                for name, heading in factors.items()
                if _varies(cells, name)
            },
        )


def _columns(run: RunRecord, cells: pd.DataFrame) -> tuple[Column, ...]:
    """Return the columns of the Markdown tables, plus the factors by which those are split."""
    references = {f"{to.arch} {to.label}" for to in run.references().values()}
    reference = references.pop() if len(references) == 1 else "reference"
    arch, mode, *figures = columns.filled(summary.columns(run, reference), cells)
    return (
        arch,
        mode,
        *(
            Column(name=name, heading=heading, is_text=name != "batch_size")
            for name, heading in _FACTORS.items()
            if _varies(cells, name)
        ),
        *_status(cells),
        *figures,
    )


def _status(cells: pd.DataFrame) -> Sequence[Column]:
    if (cells["status"] == "measured").all():
        return ()
    return (Column(name="status", heading="status", is_text=True, rank=IN_FULL),)


def _varies(cells: pd.DataFrame, name: str) -> bool:
    return bool(cells[name].nunique() > 1)


def _entry(column: Column, row: Mapping[Hashable, Any]) -> Entry:
    text, interval = written(column, row)
    value, metric = row[column.name], METRICS.get(column.name)
    neutral = metric.neutral if metric else None
    low, high = row.get(f"{column.name}_low"), row.get(f"{column.name}_high")
    return Entry(
        text=text,
        interval=interval,
        value=float(value) if isinstance(value, Real) and not math.isnan(value) else None,
        is_unsure=bool(
            interval and low and high and neutral is not None and low <= neutral <= high
        ),
    )
