import os
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from bench.names import RequestError
from bench.report import charts, files, frame, markdown
from tests.bench import runs

TABLES = ("summary", "ladder", "interactions", "roofline", "trust", "samples")
NAMES = ("report.md", "report.html", *(f"{name}.csv" for name in TABLES))


def test_every_file_is_written_and_named(tmp_path: Path) -> None:
    folder = tmp_path / "reports" / "machine"
    assert files.write(runs.small(), folder) == tuple(folder / name for name in NAMES)
    assert sorted(file.name for file in folder.iterdir()) == sorted((*NAMES, files.CHARTS))
    text = markdown.render(runs.small(), charts.build(runs.small()))
    assert (folder / "report.md").read_text(encoding="utf-8") == text


def test_every_picture_of_the_markdown_is_there_and_no_older_one(tmp_path: Path) -> None:
    (tmp_path / files.CHARTS).mkdir()
    (tmp_path / files.CHARTS / "latency-earlier.svg").write_text("<svg/>", encoding="utf-8")
    (tmp_path / files.CHARTS / "mine.svg").write_text("<svg/>", encoding="utf-8")
    files.write(runs.small(), tmp_path)
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    shown = set(re.findall(r"\(charts/(\S+\.svg)\)", text))
    assert {*shown, "mine.svg"} == {path.name for path in (tmp_path / files.CHARTS).iterdir()}
    assert len(shown) == len(charts.build(runs.small()))


def test_what_a_run_may_replace_or_remove_is_known(tmp_path: Path) -> None:
    written = {path.name for path in files.write_all(runs.small(), tmp_path)}
    assert written | set(files.SOMETIMES) == files.NAMES


@pytest.mark.parametrize("name", ["fit.csv", "report.md", "run.json"])
def test_files_that_no_run_left_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "stages.csv").write_text("of another command\n")
    files.check_ours(tmp_path)
    (tmp_path / name).write_text("mine\n")
    with pytest.raises(RequestError, match=f"no run of googlenet-bench, and {name}, which"):
        files.check_ours(tmp_path)
    (tmp_path / "journal-20260101-000000.jsonl").touch()
    files.check_ours(tmp_path)


def test_an_earlier_run_s_files_are_replaced(tmp_path: Path) -> None:
    files.write_all(runs.small(), tmp_path)
    files.check_ours(tmp_path)
    (tmp_path / "run.json").unlink()  # some do not keep it, for its size
    files.check_ours(tmp_path)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("summary.csv", frame.summary(runs.small())), ("samples.csv", frame.samples(runs.small()))],
)
def test_csv_read_again_is_the_frame(tmp_path: Path, name: str, expected: pd.DataFrame) -> None:
    files.write(runs.small(), tmp_path)
    read = pd.read_csv(tmp_path / name)
    assert list(read.columns) == list(expected.columns)
    assert len(read) == len(expected)
    for column in expected.columns:
        wanted, found = expected[column], read[column]
        # An empty text and a missing value are one in CSV.
        missing = wanted.isna() | (wanted == "")
        assert list(found.isna()) == list(missing)
        if pd.api.types.is_float_dtype(wanted):  # pandas reads to the last bit or so
            assert list(found[~missing]) == pytest.approx(list(wanted[~missing]), rel=1e-14)
        else:
            assert list(found[~missing]) == list(wanted[~missing])


def test_text_in_csv_is_defused(tmp_path: Path) -> None:
    run = runs.small()
    failed = replace(run.cells[3], failure=replace(runs.FAILURE, message="=HYPERLINK()"))
    files.write(replace(run, cells=(failed,)), tmp_path)
    assert pd.read_csv(tmp_path / "summary.csv")["reason"].item() == "'=HYPERLINK()"


def test_old_reports_are_overwritten(tmp_path: Path) -> None:
    (tmp_path / "report.md").write_text("old", encoding="utf-8")
    files.write(runs.small(), tmp_path)
    assert (tmp_path / "report.md").read_text(encoding="utf-8") != "old"


def test_a_failed_write_leaves_no_half_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="No space left"):
        files.write(runs.small(), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_stages_are_shown_from_beside_the_run_file_too(tmp_path: Path) -> None:
    beside, folder = tmp_path / "machine", tmp_path / "elsewhere"
    beside.mkdir()
    shutil.copy(Path(__file__).with_name("golden") / "stages.csv", beside)
    files.write(runs.small(), folder)
    assert "## Inside the network" not in (folder / "report.md").read_text(encoding="utf-8")
    files.write(runs.small(), folder, beside)
    assert "## Inside the network" in (folder / "report.md").read_text(encoding="utf-8")
