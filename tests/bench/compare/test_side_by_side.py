from dataclasses import replace

import pytest

from bench.compare import side_by_side
from bench.records.record import RunRecord
from tests.bench import runs
from tests.bench.report import rungs


def faster(run: RunRecord) -> RunRecord:
    """Return the run with cells twice as fast and another torch version."""
    cells = tuple(
        replace(
            record,
            visits=tuple(
                replace(visit, host_s=tuple(sample / 2 for sample in visit.host_s))
                for visit in record.visits
            ),
        )
        for record in run.cells
    )
    return runs.in_environment(replace(run, cells=cells), torch="2.12.0")


RUNS = {"before": rungs.ladder(), "after": faster(rungs.ladder())}


def test_a_row_has_the_figures_of_every_run() -> None:
    _, table = side_by_side.wide(RUNS)
    assert list(table["arch"]) == list(rungs.FACTORS)
    assert (table["latency_s@0"] / table["latency_s@1"]).tolist() == pytest.approx([2.0] * 5)
    ratio, same = (table[f"speedup_over_reference@{index}"] for index in range(2))
    assert ratio.tolist() == pytest.approx(same.tolist())


def test_a_cell_that_a_run_lacks_has_no_figures_for_it() -> None:
    lacking = replace(RUNS["before"], cells=RUNS["before"].cells[1:])
    _, table = side_by_side.wide({"complete": RUNS["after"], "lacking": lacking})
    assert len(table) == 5
    assert table["latency_s@1"].isna().sum() == 1


def test_differences_and_the_warning_are_shown() -> None:
    text = side_by_side.render(RUNS)
    assert "not measured together" in text
    assert "2.11.0" in text
    assert "2.12.0" in text
    assert list(side_by_side.differences(RUNS)["what"]) == ["torch"]


def test_runs_of_different_dtypes_share_rows() -> None:
    narrow = replace(
        RUNS["after"],
        cells=tuple(
            replace(record, cell=replace(record.cell, dtype="bf16"))
            for record in RUNS["after"].cells
        ),
    )
    columns, table = side_by_side.wide({"fp32": RUNS["before"], "bf16": narrow})
    assert len(table) == 5
    assert "dtype" not in [column.name for column in columns]


def test_the_tidy_table_has_a_row_for_each_run_and_cell() -> None:
    table = side_by_side.tidy(RUNS)
    assert len(table) == 10
    assert table.columns[0] == "run"


def test_a_label_cannot_break_the_table() -> None:
    text = side_by_side.render({"a | b": RUNS["before"], "<b>": RUNS["after"]})
    assert "a | b" not in text
    assert "<b>" not in text


def test_a_run_of_two_dtypes_does_not_share_rows_with_a_run_of_one() -> None:
    narrow = tuple(
        replace(record, cell=replace(record.cell, dtype="bf16")) for record in RUNS["after"].cells
    )
    both = replace(RUNS["after"], cells=(*RUNS["after"].cells, *narrow))
    columns, table = side_by_side.wide({"one": RUNS["before"], "two": both})
    assert "dtype" in [column.name for column in columns]
    assert len(table) == 10
    assert table["latency_s@0"].isna().sum() == 5


def test_labels_that_look_like_columns_do_not_collide() -> None:
    labels = {"what": RUNS["before"], "a": RUNS["after"], "a_low": RUNS["before"]}
    _, table = side_by_side.wide(labels)
    assert (table["latency_s@1_low"] < table["latency_s@1"]).all()
    assert list(side_by_side.differences(labels)["what"]) == ["torch"]
