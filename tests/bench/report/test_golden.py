"""Golden files: the reviewed reports of one run.

After an intended change, run ``googlenet-bench report tests/bench/report/golden/run.json``, then
``git diff``, and review the output. ``page.html`` is ``report.html`` without style, scripts and
pictures.
"""

import csv
import re
import shutil
from pathlib import Path

import pytest

from bench.records import store
from bench.report import files

GOLDEN = Path(__file__).with_name("golden")
REVIEWED = sorted(
    path.name for path in GOLDEN.iterdir() if path.suffix in {".md", ".csv"} and path.is_file()
)
_LEFT_OUT = re.compile(r"<(script|style|svg)\b[^>]*>.*?</\1>\n?", re.DOTALL)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("golden")
    shutil.copy(GOLDEN / "stages.csv", folder)
    files.write(store.read(GOLDEN / "run.json"), folder)
    return folder


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


@pytest.mark.parametrize("name", REVIEWED)
def test_reports_equal_the_golden_files(written: Path, name: str) -> None:
    if not name.endswith(".csv"):
        assert text(written / name) == text(GOLDEN / name)
        return
    rows, reviewed = figures(written / name), figures(GOLDEN / name)
    assert len(rows) == len(reviewed)
    for row, expected in zip(rows, reviewed, strict=True):
        assert row == [
            pytest.approx(cell, rel=1e-9) if isinstance(cell, float) else cell for cell in expected
        ]


def test_the_page_equals_the_golden_file(written: Path) -> None:
    assert _LEFT_OUT.sub("", text(written / "report.html")) == text(GOLDEN / "page.html")


def test_every_report_has_a_golden_file(written: Path) -> None:
    assert set(REVIEWED) >= {
        path.name for path in written.iterdir() if path.suffix in {".md", ".csv"}
    }
