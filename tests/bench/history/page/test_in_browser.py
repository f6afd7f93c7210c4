import re
from functools import cache

from playwright.sync_api import expect

from bench.history import page, trend
from tests.bench.browser import Open
from tests.bench.history.histories import series, values

RUNS = 1000


@cache
def rendered() -> str:
    long = series(values((400, 1.0), (350, 0.97), (250, 1.01)), cell="long")
    short = series(values((30, 1.0), (20, 0.97)), cell="short")
    return page.render([trend.find(each) for each in (long, short)])


def test_a_thousand_runs_are_drawn_with_their_changes(opened: Open) -> None:
    shown = opened(rendered()).page
    expect(shown.locator(".plot")).to_have_count(2)
    for index, runs in enumerate((RUNS, 50)):
        plot = shown.locator(".plot").nth(index)
        plot.scroll_into_view_if_needed()
        expect(plot).to_have_attribute("data-drawn", re.compile("."))
        assert plot.locator(".mark-symbol.role-mark path").count() == runs
    assert shown.locator("#changes tbody tr").count() == 3


def test_a_run_shows_its_commit_under_the_pointer(opened: Open) -> None:
    shown = opened(rendered()).page
    plot = shown.locator(".plot").first
    plot.scroll_into_view_if_needed()
    expect(plot).to_have_attribute("data-drawn", re.compile("."))
    plot.locator(".mark-symbol.role-mark path").first.hover(force=True)
    expect(shown.locator("#vg-tooltip-element")).to_contain_text("commit")


def test_charts_are_there_without_javascript(opened: Open) -> None:
    shown = opened(rendered(), java_script_enabled=False).page
    expect(shown.locator(".plot > svg")).to_have_count(2)
    expect(shown.locator("#changes tbody tr")).to_have_count(3)
    assert "cells" not in shown.locator("noscript").inner_html()


def test_the_page_fits_a_phone(opened: Open) -> None:
    shown = opened(rendered(), viewport={"width": 390, "height": 844}).page
    assert shown.evaluate("document.documentElement.scrollWidth") == 390
