"""The committed error rates, computed again from the raw sets by the present code."""

from pathlib import Path

import pytest

from bench.gate.group_sequential import Settings
from bench.gate.verdict import Verdict
from bench.records import store
from bench.studies.power import report, table
from bench.studies.power.end_to_end import GateRow
from bench.studies.power.rates import powers
from bench.studies.power.sets import SetRow
from tests.bench.pages import table_figures

PAGES = sorted((Path(__file__).resolve().parents[4] / "reports").glob(f"*/{report.FILE}"))
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda path: path.parent.name)


def test_the_repository_has_error_rates() -> None:
    assert PAGES


@each_page
def test_the_committed_page_matches_the_raw_sets(page: Path) -> None:
    sets = table.read(page.parent / report.SETS_FILE, SetRow)
    gates = table.read(page.parent / report.GATES_FILE, GateRow)
    machine = str(store.read(page.parent / "run.json").environment.device_name)
    again = report.render(machine, sets, gates, Settings())
    assert table_figures(page.read_text(encoding="utf-8")) == table_figures(again) != []


@each_page
def test_the_false_alarm_rate_is_within_alpha(page: Path) -> None:
    sets = table.read(page.parent / report.SETS_FILE, SetRow)
    same = [power for power in powers(sets, Settings()) if power.case.is_same]
    assert same
    for power in same:
        assert power.rate(Verdict.REGRESSED).bounds[0] <= Settings().alpha
