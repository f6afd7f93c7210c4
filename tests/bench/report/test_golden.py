"""Golden files: the reviewed reports of two runs, one of which has accuracies.

After an intended change, run ``googlenet-bench report tests/bench/report/golden/run.json``, and the
same with ``golden/accuracy/run.json``, then ``git diff``, and review the output. ``page.html`` is
``report.html`` without style, scripts and pictures.
"""

import csv
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from bench.records import store
from bench.report import files

GOLDEN = Path(__file__).with_name("golden")
ACCURACY = GOLDEN / "accuracy"
_LEFT_OUT = re.compile(r"<(script|style|svg)\b[^>]*>.*?</\1>\n?", re.DOTALL)


def tables_and_text(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix in {".md", ".csv"})


REVIEWED = [*tables_and_text(GOLDEN), *tables_and_text(ACCURACY)]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Mapping[Path, Path]:
    """Return the folder of new reports for each folder of reviewed ones."""
    folders = {reviewed: tmp_path_factory.mktemp("golden") for reviewed in (GOLDEN, ACCURACY)}
    shutil.copy(GOLDEN / "stages.csv", folders[GOLDEN])
    for reviewed, folder in folders.items():
        files.write(store.read(reviewed / "run.json"), folder)
    return folders


def text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def figures(path: Path) -> list[list[str | float]]:
    """Return a CSV table with numbers as floats, because SciPy's quantiles differ in digit 11."""
    with path.open(encoding="utf-8", newline="") as file:
        return [[number(cell) for cell in row] for row in csv.reader(file)]


def number(cell: str) -> str | float:
    try:
        return float(cell)
    except ValueError:
        return cell


@pytest.mark.parametrize("reviewed", REVIEWED, ids=lambda path: path.relative_to(GOLDEN).as_posix())
def test_reports_equal_the_golden_files(written: Mapping[Path, Path], reviewed: Path) -> None:
    new = written[reviewed.parent] / reviewed.name
    if reviewed.suffix != ".csv":
        assert text(new) == text(reviewed)
        return
    rows, expected_rows = figures(new), figures(reviewed)
    assert len(rows) == len(expected_rows)
    for row, expected in zip(rows, expected_rows, strict=True):
        assert row == [
            pytest.approx(cell, rel=1e-9) if isinstance(cell, float) else cell for cell in expected
        ]


@pytest.mark.parametrize("reviewed", [GOLDEN, ACCURACY], ids=lambda path: path.name)
def test_the_page_equals_the_golden_file(written: Mapping[Path, Path], reviewed: Path) -> None:
    page = _LEFT_OUT.sub("", text(written[reviewed] / "report.html"))
    assert page == text(reviewed / "page.html")


@pytest.mark.parametrize("reviewed", [GOLDEN, ACCURACY], ids=lambda path: path.name)
def test_every_report_has_a_golden_file(written: Mapping[Path, Path], reviewed: Path) -> None:
    names = {path.name for path in tables_and_text(reviewed)}
    assert names >= {path.name for path in tables_and_text(written[reviewed])}
