import re
from dataclasses import replace

import pytest
from playwright.sync_api import Locator, Page, expect

from bench.records.record import RunRecord
from bench.records.run_cache import cached_per_run
from tests.bench import runs
from tests.bench.browser import Open
from tests.bench.report.page import pages

PHONE = {"width": 390, "height": 844}
DESKTOP = {"width": 1280, "height": 800}
# The words that take more than one line. A name may break after a hyphen.
BROKEN_WORDS = """
() => {
  const broken = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode;
    if (node.parentElement.closest("script, pre, style")) continue;
    for (const match of node.data.matchAll(/[\\w:.]+/g)) {
      const range = document.createRange();
      range.setStart(node, match.index);
      range.setEnd(node, match.index + match[0].length);
      const tops = [...range.getClientRects()].filter(box => box.width).map(box => box.top);
      if (Math.max(...tops) - Math.min(...tops) > 4) broken.push(match[0]);
    }
  }
  return broken;
}
"""
PAGE_MS = 30_000  # so that the test fails if the page never opens


@cached_per_run
def rendered(run: RunRecord) -> str:
    return pages.render(run, charts=pages.CHARTS)


def values(page: Page, heading: str) -> list[float | None]:
    """Return the sort values of a column, from the top, including hidden rows."""
    headings = [text.strip() for text in page.locator(".sortable thead th").all_inner_texts()]
    at = next(index for index, text in enumerate(headings) if text.startswith(heading))
    cells = page.locator(f".sortable tbody tr > :nth-child({at + 1})").all()
    texts = [cell.get_attribute("data-value") for cell in cells]
    return [None if text is None else float(text) for text in texts]


def button(page: Page, heading: str) -> Locator:
    return page.locator(".sortable thead button", has_text=heading).first


def shown(page: Page) -> list[tuple[str, str]]:
    rows = page.locator(".sortable tbody tr:not([hidden])").all()
    return [
        (str(row.get_attribute("data-arch")), str(row.get_attribute("data-mode"))) for row in rows
    ]


def test_clicks_sort_by_value_ascending_descending_and_back(opened: Open) -> None:
    # Without charts: while they are drawn, they may move the heading away from the pointer.
    page = opened(pages.render(runs.small())).page
    before = values(page, "latency ms")
    measured = [value for value in before if value is not None]
    missing = [None] * before.count(None)
    assert missing
    # Sorted as text, 0.2 s would come before 0.024 s.
    assert sorted(measured) != sorted(measured, key=lambda value: str(round(value * 1e3)))
    heading = button(page, "latency ms").locator("xpath=..")
    for order, expected in (
        ("ascending", [*sorted(measured), *missing]),
        ("descending", [*sorted(measured, reverse=True), *missing]),
    ):
        button(page, "latency ms").click()
        expect(heading).to_have_attribute("aria-sort", order)
        assert values(page, "latency ms") == expected
    button(page, "latency ms").click()
    assert page.locator("[aria-sort]").count() == 0
    assert values(page, "latency ms") == before


def test_text_columns_sort_and_only_one_heading_is_active(opened: Open) -> None:
    page = opened(rendered(pages.small())).page
    button(page, "latency ms").click()
    button(page, "arch").click()
    assert page.locator("[aria-sort]").count() == 1
    archs = [arch for arch, _ in shown(page)]
    assert archs == sorted(archs)


def test_all_controls_work_with_the_keyboard(opened: Open) -> None:
    page = opened(rendered(pages.small())).page
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    controls = [page.locator("input[name=text]"), page.locator("select[name=mode]")]
    page.get_by_role("button", name="All columns").click()
    page.locator("main").focus()
    controls += page.locator(".sortable thead button").all()
    for control in controls:
        for _ in range(20):
            page.keyboard.press("Tab")
            if control.evaluate("element => element === document.activeElement"):
                break
        expect(control).to_be_focused()
    button(page, "latency ms").focus()
    page.keyboard.press("Enter")
    expect(page.locator("[aria-sort=ascending]")).to_have_count(1)
    page.keyboard.press("Space")
    expect(page.locator("[aria-sort=descending]")).to_have_count(1)


def test_text_and_selections_filter_rows_and_show_the_count(opened: Open) -> None:
    page = opened(rendered(pages.small())).page
    status = page.get_by_role("status")
    expect(status).to_have_text("7 cells")
    page.get_by_label("arch or mode").fill("COMP torch")
    expect(status).to_have_text("1 of 7 cells")
    assert shown(page) == [("torchvision", "compile")]
    page.get_by_label("arch or mode").fill("googlenet")
    page.get_by_label("batch").select_option("8")
    expect(status).to_have_text("1 of 7 cells")
    assert shown(page) == [("googlenet", "eager")]
    button(page, "latency ms").click()
    assert shown(page) == [("googlenet", "eager")]
    page.get_by_label("arch or mode").fill("no such thing")
    expect(status).to_have_text("0 of 7 cells")
    page.get_by_role("button", name="All cells").click()
    expect(status).to_have_text("7 cells")
    assert len(shown(page)) == 7


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_charts_are_drawn_in_the_colours_of_the_page_when_they_come_near(
    opened: Open, scheme: str
) -> None:
    page = opened(rendered(pages.many()), color_scheme=scheme, viewport=DESKTOP).page
    plots = page.locator(".plot")
    assert plots.count() == len(pages.CHARTS)
    for plot in plots.all():
        plot.scroll_into_view_if_needed()
        expect(plot).to_have_attribute("data-drawn", scheme)
        assert plot.locator("svg .mark-rect.role-mark path").count() == 2
    text = page.evaluate("getComputedStyle(document.documentElement).getPropertyValue('--text')")
    titles = page.locator(".plot svg .role-axis-title text").all()
    assert {title.get_attribute("fill") for title in titles} == {text.strip()}


def test_chart_is_not_drawn_before_it_comes_near(opened: Open) -> None:
    tall = pages.render(pages.many(), findings=pages.FINDINGS * 100, charts=pages.CHARTS)
    page = opened(tall, viewport=DESKTOP).page
    page.wait_for_timeout(200)
    assert page.locator(".plot[data-drawn]").count() == 0
    assert page.locator(".plot > .still").count() == len(pages.CHARTS)


def test_charts_are_drawn_again_when_the_colours_change(opened: Open) -> None:
    page = opened(rendered(pages.small()), color_scheme="light").page
    first = page.locator(".plot").first
    first.scroll_into_view_if_needed()
    expect(first).to_have_attribute("data-drawn", "light")
    page.emulate_media(color_scheme="dark")
    expect(first).to_have_attribute("data-drawn", "dark")
    assert first.locator("svg").count() == 1


def test_chart_with_one_plot_is_as_wide_as_its_element(opened: Open) -> None:
    page = opened(rendered(pages.small()), viewport=PHONE).page
    plot = page.locator(".plot").first
    plot.scroll_into_view_if_needed()
    expect(plot).to_have_attribute("data-drawn", re.compile("."))
    svg, element = plot.locator("svg").bounding_box(), plot.bounding_box()
    assert svg
    assert element
    assert svg["width"] == pytest.approx(element["width"], abs=2)


@pytest.mark.parametrize(
    "run", [pages.small(), pages.hostile(), pages.many()], ids=["small", "hostile", "many"]
)
def test_on_a_phone_only_tables_scroll_sideways_and_the_first_column_is_fixed(
    opened: Open, run: RunRecord
) -> None:
    page = opened(rendered(run), viewport=PHONE).page
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    scroller = page.locator(".scroller.tall")
    assert scroller.evaluate("element => element.scrollWidth > element.clientWidth")
    first = page.locator(".sortable tbody th").first
    before = first.bounding_box()
    scroller.evaluate("element => element.scrollBy(200, 0)")
    after = first.bounding_box()
    assert before
    assert after
    assert after["x"] == pytest.approx(before["x"], abs=2)


@pytest.mark.parametrize(
    "run",
    [pages.hostile(), pages.single(), pages.unmeasured(), pages.many()],
    ids=["hostile", "single", "unmeasured", "many"],
)
def test_any_run_opens_without_messages_and_defines_no_globals(
    opened: Open, run: RunRecord
) -> None:
    page = opened(rendered(run)).page
    page.locator(".plot").last.scroll_into_view_if_needed()
    expect(page.locator(".plot").last).to_have_attribute("data-drawn", re.compile("."))
    assert page.evaluate("Object.keys(window).filter(name => /vega/i.test(name))") == []
    assert page.evaluate("typeof table") == "undefined"
    assert page.locator("body img").count() == 0


def test_page_with_400_cells_opens(opened: Open) -> None:
    page = opened(rendered(pages.many()), viewport=DESKTOP).page
    page.wait_for_load_state("load", timeout=PAGE_MS)
    expect(page.get_by_role("status")).to_have_text("400 cells")
    page.get_by_label("arch or mode").fill("network-7 compile")
    expect(page.get_by_role("status")).to_have_text("4 of 400 cells")


def test_further_columns_are_shown_on_request(opened: Open) -> None:
    page = opened(rendered(pages.small()), viewport=DESKTOP).page
    choice = page.get_by_role("button", name="All columns")
    hidden = page.locator(".sortable .further")
    assert hidden.count() > 0
    expect(button(page, "p99 ms")).to_be_hidden()
    expect(button(page, "latency ms")).to_be_visible()
    expect(choice).to_have_attribute("aria-pressed", "false")
    choice.click()
    expect(button(page, "p99 ms")).to_be_visible()
    expect(choice).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="All cells").click()
    expect(button(page, "p99 ms")).to_be_visible()
    choice.click()
    expect(button(page, "p99 ms")).to_be_hidden()


def test_no_name_breaks_in_the_middle_of_a_word_on_a_phone(opened: Open) -> None:
    names = ("googlenet-3x3-pool2", "torchvision:mobilenet_v3_large")
    like = runs.measured(runs.EAGER)
    cells = tuple(replace(like, cell=runs.cell(name, "channels_last")) for name in names)
    run = replace(runs.small("complete"), cells=cells, controls=(), rounds=())
    page = opened(pages.render(run, findings=None), viewport={"width": 400, "height": 800}).page
    assert page.evaluate(BROKEN_WORDS) == []


def test_table_is_complete_without_javascript(opened: Open) -> None:
    page = opened(rendered(pages.small()), java_script_enabled=False).page
    expect(page.locator(".sortable tbody tr")).to_have_count(7)
    assert "cannot be sorted or filtered" in page.locator("noscript").inner_html()
    expect(page.locator("form.filters")).to_be_hidden()
