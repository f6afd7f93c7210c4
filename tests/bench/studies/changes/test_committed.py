"""The committed study, rendered again from its rows by the present code."""

from pathlib import Path

from bench.studies.changes import report
from bench.studies.changes.noise import ASSUMED
from bench.studies.changes.trials import Row
from bench.studies.power import table
from bench.studies.power.rates import Rate
from tests.bench.pages import table_figures

ROOT = Path(__file__).resolve().parents[4]

PAGE = ROOT / "reports" / report.FILE


def rows() -> list[Row]:
    return table.read(PAGE.parent / report.ROWS_FILE, Row)


def test_the_committed_page_matches_its_rows() -> None:
    again = report.render(rows())
    assert table_figures(PAGE.read_text(encoding="utf-8")) == table_figures(again) != []


def test_false_alarms_and_power_are_within_the_goals() -> None:
    own = [row for row in rows() if row.detector == "ours" and row.noise in ASSUMED]
    unchanged = [row for row in own if row.case == "unchanged"]
    alarms = Rate(
        count=sum(row.alarmed for row in unchanged), total=sum(row.series for row in unchanged)
    )
    assert alarms.bounds[0] <= 0.01
    recent = [row for row in own if row.case == "recent" and abs(row.percent) == 5.0]
    assert sum(row.found for row in recent) >= 0.95 * sum(row.true for row in recent) > 0
