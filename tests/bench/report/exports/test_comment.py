"""The comment of a pull request is short, and never longer than GitHub allows."""

from dataclasses import replace
from pathlib import Path

import pytest

from bench.errors import RequestError
from bench.records import store
from bench.records.record import CellRecord, RunRecord
from bench.report.exports import EXPORTS
from bench.report.exports.comment import LIMIT_BYTES
from tests.bench import runs
from tests.bench.report.rendered import markdown

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "run.json"
MOST_CHARACTERS = 65_536  # GitHub: "Body is too long (maximum is 65536 characters)"


def comment(run: RunRecord) -> str:
    return EXPORTS["comment"].render(run)


def many_cells(count: int) -> RunRecord:
    """Return a run with this number of networks with long names in each of two groups."""
    run = runs.small("complete")
    cells = [
        replace(record, cell=replace(record.cell, arch=f"package.module:{'network' * 8}{index}"))
        for index in range(count)
        for record in run.cells
        if record.cell in {runs.EAGER, runs.BATCH}
    ]
    return replace(run, cells=(*run.cells, *cells))


def failing(message: str, count: int) -> RunRecord:
    run = runs.small()
    failure = replace(runs.FAILURE, message=message)
    cells = [
        CellRecord(cell=replace(runs.FAILED, arch=f"failed{index}"), failure=failure)
        for index in range(count)
    ]
    return replace(run, cells=(*run.cells, *cells))


def test_the_comment_of_a_run_is_a_part_of_its_report() -> None:
    run = store.read(GOLDEN)
    text, report = comment(run), markdown(run)
    title, lead = report.split("\n\n")[:2]
    assert text.startswith(f"#{title}\n\n{lead}\n\n")
    assert "<details><summary>fp32, batch 1, infer, cpu</summary>" in text
    assert "<details><summary>4 cells without figures</summary>" in text
    assert "<details><summary>Findings</summary>" in text
    assert "<details><summary>Can this run be trusted?</summary>" in text
    row = next(line for line in report.splitlines() if line.startswith("| googlenet-3x3 "))
    assert row in text
    assert len(text) < len(report) / 2


def test_the_comment_has_no_charts_and_nothing_is_left_out() -> None:
    text = comment(store.read(GOLDEN))
    assert "![" not in text
    assert "would not fit" not in text


def test_a_partial_run_says_so_first() -> None:
    assert comment(runs.small()).split("\n\n")[1].startswith("**Partial:** ")


def test_text_of_a_run_cannot_change_the_comment() -> None:
    text = comment(runs.small())
    assert "<script>" not in text
    assert "\n## not a heading" not in text
    assert text.count("<details>") == text.count("</details>")


@pytest.mark.parametrize("count", [10, 200, 2000])
def test_a_comment_is_never_too_long(count: int) -> None:
    text = comment(many_cells(count))
    assert len(text) <= len(text.encode()) <= LIMIT_BYTES <= MOST_CHARACTERS
    assert ("would not fit into a comment on GitHub: " in text) == (count > 10)
    assert text.count("<details>") == text.count("</details>")


def test_what_does_not_fit_is_named_and_the_rest_is_kept() -> None:
    text = comment(failing("x" * 40_000, 2))
    assert text.endswith(
        "\n1 part would not fit into a comment on GitHub: 4 cells without figures. The complete "
        "report is report.md."
    )
    assert "<details><summary>fp32, batch 1, infer, cpu</summary>" in text
    assert len(text.encode()) <= LIMIT_BYTES


def test_many_groups_that_do_not_fit_are_counted() -> None:
    run = many_cells(100)
    cells = [
        replace(record, cell=replace(record.cell, batch_size=batch_size))
        for batch_size in range(1, 30)
        for record in run.cells[-20:]
        if record.cell.batch_size == 1
    ]
    many = replace(run, cells=(*run.cells, *(c for c in cells if c.cell.batch_size > 8)))
    text = comment(many)
    assert len(text.encode()) <= LIMIT_BYTES
    assert " more. The complete report is report.md." in text


def test_a_gate_has_its_own_comment() -> None:
    gate = replace(runs.small(), gate={"head": "work", "base": "main"})
    with pytest.raises(RequestError, match=r"gate\.md, in the folder of its reports"):
        comment(gate)
