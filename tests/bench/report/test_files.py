import os
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from bench.errors import RequestError
from bench.report import charts, files, frame
from tests.bench import runs
from tests.bench.report.rendered import markdown

TABLES = ("summary", "ladder", "interactions", "roofline", "trust", "samples")
NAMES = ("report.md", "report.html", *(f"{name}.csv" for name in TABLES))


def test_every_file_is_written_and_returned(tmp_path: Path) -> None:
    folder = tmp_path / "reports" / "machine"
    assert set(files.write(runs.small(), folder)) == {folder / name for name in NAMES}
    assert sorted(file.name for file in folder.iterdir()) == sorted((*NAMES, files.CHARTS))
    text = markdown(runs.small(), charts.build(runs.small()))
    assert (folder / "report.md").read_text(encoding="utf-8") == text


def test_charts_of_the_markdown_are_written_and_older_ones_removed(tmp_path: Path) -> None:
    (tmp_path / files.CHARTS).mkdir()
    (tmp_path / files.CHARTS / "latency-earlier.svg").write_text("<svg/>", encoding="utf-8")
    (tmp_path / files.CHARTS / "mine.svg").write_text("<svg/>", encoding="utf-8")
    files.write(runs.small(), tmp_path)
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    charts_shown = set(re.findall(r"\(charts/(\S+\.svg)\)", text))
    assert {*charts_shown, "mine.svg"} == {
        path.name for path in (tmp_path / files.CHARTS).iterdir()
    }
    assert len(charts_shown) == len(charts.build(runs.small()))


def test_names_lists_every_file_that_a_run_may_write(tmp_path: Path) -> None:
    written = {path.name for path in files.write_all(runs.small(), tmp_path)}
    assert written | {"saturation.csv", "fit.csv", "front.csv", "operators.csv"} == files.names()


@pytest.mark.parametrize("name", ["fit.csv", "report.md", "run.json"])
def test_files_that_no_run_wrote_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "stages.csv").write_text("written by another command\n")
    files.check_replaceable(tmp_path)
    (tmp_path / name).write_text("mine\n")
    with pytest.raises(RequestError, match=f"contains {name}, which a run would replace"):
        files.check_replaceable(tmp_path)
    (tmp_path / "journal-20260101-000000.jsonl").touch()
    files.check_replaceable(tmp_path)


def test_files_of_an_earlier_run_are_replaced(tmp_path: Path) -> None:
    files.write_all(runs.small(), tmp_path)
    files.check_replaceable(tmp_path)
    (tmp_path / "run.json").unlink()  # some users delete it because of its size
    files.check_replaceable(tmp_path)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("summary.csv", frame.summary(runs.small())), ("samples.csv", frame.samples(runs.small()))],
)
def test_reading_the_csv_gives_the_frame(tmp_path: Path, name: str, expected: pd.DataFrame) -> None:
    files.write(runs.small(), tmp_path)
    read = pd.read_csv(tmp_path / name)
    assert list(read.columns) == list(expected.columns)
    assert len(read) == len(expected)
    for column in expected.columns:
        before, after = expected[column], read[column]
        # CSV does not distinguish an empty text from a missing value.
        missing = before.isna() | (before == "")
        assert list(after.isna()) == list(missing)
        if pd.api.types.is_float_dtype(before):  # pandas does not restore every last bit
            assert list(after[~missing]) == pytest.approx(list(before[~missing]), rel=1e-14)
        else:
            assert list(after[~missing]) == list(before[~missing])


def test_formulas_in_csv_text_are_defused(tmp_path: Path) -> None:
    run = runs.small()
    failed = replace(run.cells[3], failure=replace(runs.FAILURE, message="=HYPERLINK()"))
    files.write(replace(run, cells=(failed,)), tmp_path)
    assert pd.read_csv(tmp_path / "summary.csv")["reason"].item() == "'=HYPERLINK()"


def test_old_reports_are_overwritten(tmp_path: Path) -> None:
    (tmp_path / "report.md").write_text("old", encoding="utf-8")
    files.write(runs.small(), tmp_path)
    assert (tmp_path / "report.md").read_text(encoding="utf-8") != "old"


def test_a_failed_write_leaves_no_partial_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="No space left"):
        files.write(runs.small(), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_stages_beside_the_run_file_are_shown(tmp_path: Path) -> None:
    run_folder, folder = tmp_path / "machine", tmp_path / "elsewhere"
    run_folder.mkdir()
    shutil.copy(Path(__file__).with_name("golden") / "stages.csv", run_folder)
    files.write(runs.small(), folder)
    assert "## Inside the network" not in (folder / "report.md").read_text(encoding="utf-8")
    files.write(runs.small(), folder, run_folder)
    assert "## Inside the network" in (folder / "report.md").read_text(encoding="utf-8")
