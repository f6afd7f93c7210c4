from dataclasses import replace

import pandas as pd
import pytest

from bench import tables
from bench.records.record import RunRecord
from bench.report import frame, summary
from bench.report.page.table import PageTable
from tests.bench import runs
from tests.bench.report.page import pages


def table_of(run: RunRecord) -> PageTable:
    return PageTable.from_run(run, frame.summary(run))


def test_every_cell_has_a_row_even_if_not_measured() -> None:
    run = runs.small()
    rows = table_of(run).rows
    assert [(row.factors["arch"], row.factors["mode"]) for row in rows] == [
        (record.cell.arch, record.cell.mode) for record in run.cells
    ]
    assert [row.has_figures for row in rows] == [record.has_figures for record in run.cells]


def test_columns_are_those_of_the_markdown_plus_its_table_factors() -> None:
    run = runs.small()
    cells = frame.summary(run)
    names = [column.name for column in PageTable.from_run(run, cells).columns]
    markdown_names = [column.name for column in summary.shown_columns(run, cells)]
    assert names == [*markdown_names[:2], "batch_size", "status", *markdown_names[2:]]


def test_all_but_seven_columns_of_the_markdown_are_hidden_at_first() -> None:
    run = runs.small()
    cells = frame.summary(run)
    table = table_of(run)
    main = [column.name for column in summary.main_columns(table.columns, cells)]
    assert len(main) == summary.MOST_COLUMNS
    assert main[:4] == ["arch", "mode", "batch_size", "latency_s"]
    assert table.further == {column.name for column in table.columns} - {*main}
    assert "status" in table.further


def test_factor_with_one_value_has_no_column_and_no_filter() -> None:
    table = table_of(pages.single())
    assert not {"dtype", "batch_size", "task", "device", "status"} & {
        column.name for column in table.columns
    }
    assert table.choices == {}


def test_factor_with_several_values_has_a_filter() -> None:
    assert table_of(runs.small()).choices == {
        "mode": ("mode", ("eager", "channels_last", "compile")),
        "batch_size": ("batch", ("1", "8")),
    }


def test_entries_have_the_text_of_the_markdown_and_their_value_for_sorting() -> None:
    run = runs.small()
    cells = frame.summary(run)
    table = PageTable.from_run(run, cells)
    texts = [[f"{e.text} {e.interval}".strip() for e in row.entries] for row in table.rows]
    assert texts == tables.cells(table.columns, cells)
    at = [column.name for column in table.columns].index("latency_s")
    for row, expected in zip(table.rows, cells["latency_s"], strict=True):
        value = row.entries[at].value
        assert value is None if pd.isna(expected) else value == pytest.approx(expected)


@pytest.mark.parametrize(
    ("low", "high", "is_unsure"), [(0.9, 1.1, True), (1.0, 1.1, True), (1.01, 1.1, False)]
)
def test_ratio_is_unsure_if_its_interval_contains_1(
    low: float, high: float, is_unsure: bool
) -> None:
    run = replace(runs.small(), cells=(runs.measured(runs.EAGER),))
    cells = frame.summary(run).assign(
        speedup_over_reference=1.05,
        speedup_over_reference_low=low,
        speedup_over_reference_high=high,
    )
    table = PageTable.from_run(run, cells)
    at = [column.name for column in table.columns].index("speedup_over_reference")
    assert table.rows[0].entries[at].is_unsure is is_unsure


def test_heading_names_the_reference_if_all_groups_share_it() -> None:
    run = runs.small()
    assert "× torchvision eager" in [column.heading for column in table_of(run).columns]
    other = runs.measured(replace(runs.BATCH, control=True))
    mixed = replace(run, controls=(run.controls[0], other))
    assert "× reference" in [column.heading for column in table_of(mixed).columns]
