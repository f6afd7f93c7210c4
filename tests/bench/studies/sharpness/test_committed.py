"""The committed study, rendered again from its iterations by the present code."""

from pathlib import Path

import pytest

from bench.studies.sharpness import report
from tests.bench.pages import table_figures

PAGES = sorted((Path(__file__).resolve().parents[4] / "reports").glob(f"*/{report.FILE}"))


def test_the_repository_has_a_study() -> None:
    assert PAGES


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.parent.name)
def test_the_committed_page_matches_the_iterations(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    machine, torch = text.splitlines()[2].rstrip(".").split(", PyTorch ")
    again = report.render(machine, torch, report.read(page.parent / report.RAW_FILE))
    assert table_figures(text) == table_figures(again) != []
