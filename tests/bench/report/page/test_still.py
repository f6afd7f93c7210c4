import re
from dataclasses import replace
from functools import cache
from xml.etree import ElementTree

import pytest
from playwright.sync_api import Page, expect

from bench.report.charts import style
from bench.report.page import still
from tests.bench import runs
from tests.bench.browser import Open
from tests.bench.report.page import pages
from tests.bench.report.page.test_chart_text import RUN, outside
from tests.bench.report.page.test_in_browser import DESKTOP, PHONE

CLIPPED = replace(
    pages.chart("clipped"),
    spec={**pages.chart("clipped").spec, "mark": {"type": "bar", "clip": True}},
)
CHART_TEXT = "svg => getComputedStyle(svg.querySelector('text')).fill"
# A picture that is shrunk has smaller text than its style says.
TEXT_SIZES = """
svg => {
  const shrunk = svg.getBoundingClientRect().width / Number(svg.getAttribute("width"));
  const texts = [...svg.querySelectorAll("text")];
  return texts.map(text => Math.round(parseFloat(getComputedStyle(text).fontSize) * shrunk));
}
"""


@cache
def tall() -> str:
    """Return a page whose charts are far below its first screen."""
    return pages.render(runs.small(), findings=pages.FINDINGS * 100, charts=pages.CHARTS)


@cache
def of_every_kind() -> str:
    """Return a page with every kind of chart."""
    return pages.render(pages.small(), charts=pages.drawn_with_stages(RUN))


def sizes(shown: Page) -> list[float]:
    """Return the size of every text in the pictures, in pixels as drawn."""
    return [size for svg in shown.locator(".still").all() for size in svg.evaluate(TEXT_SIZES)]


def assert_stills_are_visible(shown: Page, count: int) -> None:
    stills = shown.locator(".plot > .still")
    expect(stills).to_have_count(count)
    for each in stills.all():
        expect(each).to_be_visible()
        box = each.bounding_box()
        assert box
        assert box["width"] > 100
        assert box["height"] > 50


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_charts_are_shown_without_javascript(
    opened: Open, scheme: str, viewport: dict[str, int]
) -> None:
    html = of_every_kind()
    shown = opened(html, java_script_enabled=False, color_scheme=scheme, viewport=viewport).page
    assert_stills_are_visible(shown, len(pages.drawn_with_stages(RUN)))
    assert outside(shown) == []
    caption = shown.locator("figcaption p").first
    muted = caption.evaluate("element => getComputedStyle(element).color")
    assert {each.evaluate(CHART_TEXT) for each in shown.locator(".still").all()} == {muted}
    assert shown.evaluate("document.documentElement.scrollWidth") == viewport["width"]
    assert set(sizes(shown)) == set(sizes(opened(html, viewport=DESKTOP).page))


@pytest.mark.parametrize("has_javascript", [True, False])
def test_a_picture_that_does_not_fit_scrolls_in_its_box_at_full_size(
    opened: Open, *, has_javascript: bool
) -> None:
    page = opened(tall(), java_script_enabled=has_javascript, viewport=PHONE).page
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    for plot in page.locator(".plot").all():
        hidden = plot.evaluate("plot => plot.scrollWidth - plot.clientWidth")
        plot.evaluate("plot => plot.scrollBy(10_000, 0)")
        assert plot.evaluate("plot => plot.scrollLeft") == pytest.approx(hidden, abs=1)
        assert hidden > 0


def test_charts_that_are_not_drawn_yet_are_printed(opened: Open) -> None:
    shown = opened(tall(), viewport=DESKTOP).page
    shown.emulate_media(media="print")
    assert_stills_are_visible(shown, len(pages.CHARTS))


def test_a_drawn_chart_replaces_the_still_picture(opened: Open) -> None:
    shown = opened(pages.render(runs.small(), charts=pages.CHARTS), viewport=DESKTOP).page
    plot = shown.locator(".plot").first
    plot.scroll_into_view_if_needed()
    expect(plot).to_have_attribute("data-drawn", re.compile("."))
    expect(plot.locator(".still")).to_have_count(0)
    expect(plot.locator("svg")).to_have_count(1)
    assert plot.evaluate("plot => plot.style.minHeight") == ""
    plot.locator("svg .mark-rect.role-mark path").first.hover()
    expect(shown.locator("#vg-tooltip-element")).to_contain_text("googlenet")


def test_the_still_picture_stays_if_the_chart_cannot_be_drawn(opened: Open) -> None:
    opened_page = opened(tall(), viewport=DESKTOP)
    figure = opened_page.page.locator("figure").first
    figure.locator("script").evaluate("script => { script.textContent = '{}' }")
    with opened_page.page.expect_console_message():
        figure.scroll_into_view_if_needed()
    expect(figure.locator(".plot > .still")).to_be_visible()
    assert "Invalid specification" in opened_page.messages.pop()


def test_ids_of_pictures_are_unique_and_found() -> None:
    assert 'id="clip' in style.svg(CLIPPED)
    charts = (CLIPPED, replace(CLIPPED, name="other"))
    html = pages.render(runs.small(), charts=charts)
    ids = [str(names["id"]) for _, names in pages.Tags(html).tags if "id" in names]
    assert len(ids) == len(set(ids))
    drawn = [still.inline(chart) for chart in charts]
    for svg, name in zip(drawn, ("clipped", "other"), strict=True):
        references = set(re.findall(r"url\(#(.*?)\)", svg))
        assert references
        assert all(each.startswith(f"{name}-") and each in ids for each in references)


def test_a_picture_keeps_its_text_and_leaves_out_what_the_page_has() -> None:
    for chart in (*pages.drawn_with_stages(RUN), *pages.CHARTS):
        file, inline = (
            ElementTree.fromstring(svg)  # noqa: S314 - our own
            for svg in (style.svg(chart), still.inline(chart))
        )
        assert [each for each in inline.itertext() if each] == [
            each for each in file.itertext() if each
        ]
        names = {name for element in inline.iter() for name in element.attrib}
        assert not {name for name in names if name.startswith(("aria", "on"))} | names & {"role"}
        assert style.GREY not in still.inline(chart)
