"""A run of the tool's own, and every report of it as it was reviewed.

After a change that is wanted: ``googlenet-bench report tests/bench/report/golden/run.json``, then
``git diff``, and read what comes out. ``page.html`` is ``report.html`` without style and scripts.
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
_UNSEEN = re.compile(r"<(script|style)\b[^>]*>.*?</\1>\n?", re.DOTALL)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("golden")
    shutil.copy(GOLDEN / "stages.csv", folder)
    files.write(store.read(GOLDEN / "run.json"), folder)
    return folder


def text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def figures(path: Path) -> list[list[str | float]]:
    """A table, its numbers as such: SciPy's quantiles differ in the eleventh digit."""
    with path.open(encoding="utf-8", newline="") as file:
        return [[number(cell) for cell in row] for row in csv.reader(file)]


def number(cell: str) -> str | float:
    try:
        return float(cell)
    except ValueError:
        return cell


@pytest.mark.parametrize("name", REVIEWED)
def test_a_report_is_as_it_was_reviewed(made: Path, name: str) -> None:
    if not name.endswith(".csv"):
        assert text(made / name) == text(GOLDEN / name)
        return
    found, reviewed = figures(made / name), figures(GOLDEN / name)
    assert len(found) == len(reviewed)
    for row, expected in zip(found, reviewed, strict=True):
        assert row == [
            pytest.approx(cell, rel=1e-9) if isinstance(cell, float) else cell for cell in expected
        ]


def test_the_page_is_as_it_was_reviewed(made: Path) -> None:
    assert _UNSEEN.sub("", text(made / "report.html")) == text(GOLDEN / "page.html")


def test_nothing_is_reviewed_that_is_not_made(made: Path) -> None:
    assert set(REVIEWED) >= {path.name for path in made.iterdir() if path.suffix in {".md", ".csv"}}
