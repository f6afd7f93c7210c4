"""Runs that show themselves, on runs written by hand."""

import base64
import html
import io
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from bench import MeasuredRun, RequestError, load, stats
from bench.gate import files as gate_files
from bench.records import journal, store
from bench.report import files, frame, opening, summary
from bench.report.charts import ratios, style
from tests.bench import runs
from tests.bench.gate import gates

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def run() -> MeasuredRun:
    return MeasuredRun(record=runs.small())


def printed(run: MeasuredRun, width: int = 200) -> str:
    console = Console(file=io.StringIO(), width=width)
    with console.capture() as captured:
        console.print(run)
    return captured.get()


def test_rich_prints_the_tables_of_the_terminal(run: MeasuredRun) -> None:
    output = printed(run)
    titles = [title for title, _ in summary.groups(frame.summary(run.record))]
    assert len(titles) > 1
    for text in (*titles, "× torchvision", "googlenet", "Partial: the run is over budget."):
        assert text in output
    assert str(run) == repr(run)
    assert all(title in str(run) for title in titles)
    assert "\x1b" not in str(run)


def test_cells_without_figures_are_named(run: MeasuredRun) -> None:
    (failed,) = (record for record in run.record.cells if record.failure)
    assert f"{failed.cell.id} has no figures: " in str(run)


def test_a_notebook_shows_escaped_tables() -> None:
    hostile = replace(runs.EAGER, arch=runs.HOSTILE)
    record = replace(runs.measured(runs.EAGER), cell=hostile)
    small = runs.small()
    shown = MeasuredRun(record=replace(small, cells=(*small.cells, record)))._repr_html_()
    assert shown.count("<table>") == shown.count("</table>") > 1
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in shown
    assert "<script" not in shown
    assert "<p>Partial: the run is over budget.</p>" in shown


def test_a_notebook_shows_the_opening_and_the_ratios_as_images(run: MeasuredRun) -> None:
    shown = run._repr_html_()
    assert f"<h3>{opening.title(run.record)}</h3>" in shown
    sentences = list(opening.lead(run.record))
    assert sentences
    for sentence in sentences:
        assert html.escape(sentence) in shown
    pictures = re.findall(r'src="data:image/svg\+xml;base64,([^"]+)"', shown)
    charts = list(ratios.charts(run.record))
    assert charts
    assert [base64.b64decode(each).decode() for each in pictures] == list(map(style.svg, charts))
    for chart in charts:
        assert html.escape(chart.title) in shown


def test_pandas_gets_a_copy_of_the_summary(run: MeasuredRun) -> None:
    rows = run.to_pandas()
    assert rows.equals(frame.summary(run.record))
    rows["latency_s"] = 0.0
    assert not run.to_pandas().equals(rows)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (runs.COMPILED.id, runs.EAGER.id),
        ("googlenet/compile", "googlenet/eager/fp32/b1"),
        ("googlenet/comp", "googlenet/eager/fp32/b1/"),
    ],
)
def test_the_ratio_is_the_speedup_within_rounds(run: MeasuredRun, a: str, b: str) -> None:
    interval = run.ratio(a, b)
    # Drift and iterations are factors of both latencies, so they cancel.
    assert interval.estimate == pytest.approx(runs.BASE_S[runs.EAGER] / runs.BASE_S[runs.COMPILED])
    assert interval.sets == runs.SETS
    assert run.ratio(b, a).estimate == pytest.approx(1 / interval.estimate)


def test_the_ratio_of_other_waves_is_taken_through_the_reference(run: MeasuredRun) -> None:
    moved = [
        replace(record, visits=tuple(replace(visit, wave_index=1) for visit in record.visits))
        if record.cell == runs.COMPILED
        else record
        for record in run.record.cells
    ]
    (reference,) = (each for each in moved if each.cell == runs.REFERENCE_EAGER)
    second = [replace(visit, wave_index=1) for visit in reference.visits]
    moved[moved.index(reference)] = replace(reference, visits=(*reference.visits, *second))
    in_waves = MeasuredRun(record=replace(run.record, cells=tuple(moved)))
    expected = runs.BASE_S[runs.EAGER] / runs.BASE_S[runs.COMPILED]
    ratio = in_waves.ratio("googlenet/compile", "googlenet/eager/fp32/b1")
    assert ratio.estimate == pytest.approx(expected)


def test_the_confidence_is_a_parameter(run: MeasuredRun) -> None:
    narrow, wide = (
        run.ratio("googlenet/compile", "torchvision/eager/fp32/b1", confidence=share)
        for share in (0.5, 0.99)
    )
    cells = {record.cell: record for record in run.record.cells}
    expected = stats.speedup(cells[runs.COMPILED], cells[runs.REFERENCE_EAGER], 0.99)
    assert (wide.low, wide.high) == (expected.low, expected.high)
    assert narrow.estimate == wide.estimate


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("googlenet", r"'googlenet' is the beginning of several cells: googlenet/eager/fp32/b1"),
        ("gogglenet", r"no cell is called 'gogglenet'; .*known: .*googlenet/compile/fp32/b1"),
        ("", "no cell is called ''"),
        (runs.FAILED.id, f"{runs.FAILED.id} has no figures: "),
        (runs.UNVISITED.id, f"{runs.UNVISITED.id} has no figures: the run is over budget"),
        (runs.BATCH.id, "were not measured in the same rounds: a ratio needs two cells of the"),
    ],
)
def test_a_wrong_cell_is_refused(run: MeasuredRun, name: str, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        run.ratio(name, runs.REFERENCE_EAGER.id)
    with pytest.raises(RequestError, match=message):
        run.ratio(runs.REFERENCE_EAGER.id, name)


def test_a_complete_part_is_preferred_to_a_longer_name() -> None:
    small = runs.small()
    cells = (runs.cell("googlenet-3x3"), runs.EAGER, runs.REFERENCE_EAGER)
    run = MeasuredRun(record=replace(small, cells=tuple(map(runs.measured, cells))))
    expected = runs.BASE_S[runs.REFERENCE_EAGER] / runs.BASE_S[runs.EAGER]
    assert run.ratio("googlenet", "torchvision").estimate == pytest.approx(expected)


def test_a_saved_run_can_be_loaded_from_its_folder(run: MeasuredRun, tmp_path: Path) -> None:
    written = run.save(tmp_path / "report")
    assert {"run.json", "report.md", "report.html"} < {path.name for path in written}
    for path in (tmp_path / "report", tmp_path / "report" / files.RUN_FILE):
        assert load(path).to_pandas().equals(run.to_pandas())
    assert str(load(str(tmp_path / "report"))) == str(run)


def test_files_of_others_are_not_replaced(run: MeasuredRun, tmp_path: Path) -> None:
    (tmp_path / "report.md").write_text("mine")
    with pytest.raises(RequestError, match=r"contains report\.md, which a run would replace"):
        run.save(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["report.md"]


def test_a_run_without_results_is_not_saved(run: MeasuredRun, tmp_path: Path) -> None:
    cells = tuple(replace(record, visits=(), failure=None) for record in run.record.cells)
    empty = MeasuredRun(record=replace(run.record, cells=cells))
    with pytest.raises(RequestError, match="there is nothing to save: the run is over budget"):
        empty.save(tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert f"{runs.EAGER.id} has no figures: " in str(empty)


@pytest.mark.parametrize(("status", "is_kept"), [("complete", False), ("interrupted", True)])
def test_the_journal_is_removed_when_the_run_is_saved(
    tmp_path: Path, status: str, is_kept: bool
) -> None:
    journal_file = tmp_path / journal.FILE
    journal_file.write_text("")
    MeasuredRun(record=runs.small(status), journal_file=journal_file).save(tmp_path / "report")
    assert journal_file.exists() is is_kept


def test_a_gate_shows_and_saves_its_verdicts(tmp_path: Path) -> None:
    gate = gates.gate({runs.EAGER: [0.5] * 6})
    store.write(gate.run_with_settings, tmp_path / files.RUN_FILE)
    run = load(tmp_path / files.RUN_FILE)
    assert "abc with uncommitted changes against def: 1 regressed" in printed(run)
    assert "head / base" in run._repr_html_()
    written = run.save(tmp_path / "again")
    assert {path.name for path in written} == gate_files.names()


def test_a_file_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="cannot read"):
        load(tmp_path / "nothing.json")


def test_the_package_is_imported_without_torch_and_pandas() -> None:
    program = (
        "import sys, bench; assert not {'torch', 'pandas'} & sys.modules.keys(); "
        "from bench import measure, load; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)


def test_a_name_that_the_package_does_not_have_is_an_attribute_error() -> None:
    import bench

    with pytest.raises(AttributeError, match="module 'bench' has no attribute 'mesure'"):
        _ = bench.mesure  # type: ignore[attr-defined]
