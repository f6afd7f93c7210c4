"""The study that stands in the repository, made again from its iterations by today's code."""

from pathlib import Path

import pytest

from bench.sharpness import report

PAGES = sorted((Path(__file__).resolve().parents[3] / "reports").glob(f"*/{report.FILE}"))


def test_there_is_a_study() -> None:
    assert PAGES


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.parent.name)
def test_the_page_is_what_the_iterations_give(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    machine, torch = text.splitlines()[2].rstrip(".").split(", PyTorch ")
    assert text == report.render(machine, torch, report.read(page.parent / report.RAW_FILE))
