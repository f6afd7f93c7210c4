"""What a reader sees: the first screen, whole tables, and charts as wide as the page."""

import re
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from bench.records import store
from bench.records.record import CellRecord, RunRecord
from bench.report import charts, page, sections
from bench.report.section import Source
from bench.stages import store as stages
from tests.bench.browser import Open
from tests.bench.report import rungs
from tests.bench.report.page import pages
from tests.bench.report.page.test_chart_text import RUN
from tests.bench.report.page.test_in_browser import DESKTOP, PHONE

REPORTS = sorted((Path(__file__).resolve().parents[4] / "reports").glob("**/run.json"))
TWO_MODES = rungs.ladder(modes=("eager", "compile"))
CUT = """
() => [...document.querySelectorAll(".scroller")]
  .filter(each => each.scrollWidth > each.clientWidth)
  .map(each => each.getAttribute("aria-label") ?? each.getAttribute("aria-labelledby"))
"""
KINDS_AFTER_HEADING = """
() => [...document.querySelectorAll("#cells > *")].map(each => each.className || each.localName)
"""


@cache
def html_of(run_file: Path) -> str:
    run, beside = store.read(run_file), run_file.parent / stages.FILE
    inside = stages.read(beside) if beside.exists() else None
    source = Source(run=run, charts=charts.build(run, inside), inside=inside)
    return page.render(sections.document(source))


def of_sizes(*sizes: int) -> RunRecord:
    """Return a run with a group of compared cells for each batch size."""
    run = rungs.ladder()

    def each_size(records: tuple[CellRecord, ...]) -> tuple[CellRecord, ...]:
        return tuple(
            replace(record, cell=replace(record.cell, batch_size=size))
            for size in sizes
            for record in records
        )

    return replace(run, cells=each_size(run.cells), controls=each_size(run.controls))


def drawn(shown: Page) -> Page:
    """Return a page with everything unfolded and all charts drawn."""
    shown.locator("details").evaluate_all("all => all.forEach(each => { each.open = true })")
    for plot in shown.locator(".plot").all():
        plot.scroll_into_view_if_needed()
        expect(plot).to_have_attribute("data-drawn", re.compile("."))
    return shown


def bottom(shown: Page, selector: str) -> float:
    box = shown.locator(selector).first.bounding_box()
    assert box
    return box["y"] + box["height"]


@pytest.mark.parametrize("run_file", REPORTS, ids=lambda path: path.parent.name)
def test_the_first_screen_has_the_best_cell_the_trust_and_half_of_the_ratios(
    opened: Open, run_file: Path
) -> None:
    shown = opened(html_of(run_file), viewport=DESKTOP).page
    first = shown.locator(".plot").first
    expect(first).to_have_attribute("data-drawn", re.compile("."))
    assert str(first.evaluate("plot => plot.parentElement.id")).startswith("chart-ratios-")
    box = first.bounding_box()
    assert box
    assert box["y"] + box["height"] / 2 < DESKTOP["height"]
    assert bottom(shown, ".lead >> nth=-1") < box["y"]
    assert "be trusted" in shown.locator(".lead").last.inner_text()
    lines = (
        "each => each.getClientRects()[0].height / parseFloat(getComputedStyle(each).lineHeight)"
    )
    assert max(each.evaluate(lines) for each in shown.locator(".lead").all()) < 2.5


def test_the_table_comes_directly_after_the_ratios_and_the_findings_below(opened: Open) -> None:
    run = of_sizes(1, 8, 32)
    shown = opened(pages.html(run), viewport=DESKTOP).page
    kinds = shown.evaluate(KINDS_AFTER_HEADING)
    # The ratios of a third group are folded.
    expected = ["h2", "figure", "figure", "details", "filters", "scroller tall", "hint", "figure"]
    assert kinds[: len(expected)] == expected
    assert shown.locator("#cells details .plot").count() == 1
    assert bottom(shown, "#cells .scroller") < bottom(shown, "#findings h2")


@pytest.mark.parametrize("run_file", REPORTS, ids=lambda path: path.parent.name)
def test_no_table_is_wider_than_its_box_on_a_desktop(opened: Open, run_file: Path) -> None:
    shown = drawn(opened(html_of(run_file), viewport=DESKTOP).page)
    assert shown.locator(".scroller").count() > 3
    assert shown.evaluate(CUT) == []


@pytest.mark.parametrize("run_file", REPORTS, ids=lambda path: path.parent.name)
def test_tables_have_at_most_seven_columns_until_a_reader_asks_for_all(
    opened: Open, run_file: Path
) -> None:
    shown = opened(html_of(run_file), viewport=DESKTOP).page
    rows = shown.locator("thead tr:visible")
    assert rows.count() > 2
    assert max(row.locator("th:visible").count() for row in rows.all()) <= 7


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("kind", ["ratios", "ladder"])
def test_panels_are_as_wide_as_the_page(opened: Open, viewport: dict[str, int], kind: str) -> None:
    shown = opened(pages.html(TWO_MODES), viewport=viewport).page
    plot = drawn(shown).locator(f"[id^=chart-{kind}] .plot").first
    element, svg = plot.bounding_box(), plot.locator("svg").bounding_box()
    assert element
    assert svg
    assert element["width"] - 12 <= svg["width"] <= element["width"]


def test_a_heading_below_a_table_keeps_a_distance(opened: Open) -> None:
    shown = opened(pages.html(rungs.ladder()), viewport=DESKTOP).page
    heading = shown.locator("[id^=chart-ladder] h3").first.bounding_box()
    assert heading
    above = shown.locator("#ladder figure").first.evaluate(
        "figure => figure.previousElementSibling.getBoundingClientRect().bottom + scrollY"
    )
    assert heading["y"] - above >= 24


def test_a_caption_that_repeats_is_hidden_but_describes_its_chart(opened: Open) -> None:
    shown = opened(pages.html_with_stages(RUN), viewport=DESKTOP).page
    captions = shown.locator("[id^=chart-latency] figcaption p")
    assert captions.count() == 3
    assert [each.is_visible() for each in captions.all()] == [True, False, False]
    for plot in shown.locator("[id^=chart-latency] .plot").all():
        assert shown.locator(f"#{plot.get_attribute('aria-describedby')}").text_content()
