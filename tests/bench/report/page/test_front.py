"""The chart of accuracy and speed in the page: its names, and the field that highlights them."""

import pytest
from playwright.sync_api import Locator, expect

from bench.records.record import RunRecord
from tests.bench.browser import Open, OpenPage
from tests.bench.report import fronts
from tests.bench.report.fronts import measured
from tests.bench.report.page.pages import HOSTILE, html
from tests.bench.report.page.test_chart_text import OUTSIDE

# Opacities of the symbols as text, and the number of symbols with each.
OPACITIES = """
symbols => symbols.reduce((counts, each) => {
  const opacity = each.getAttribute("opacity");
  return { ...counts, [opacity]: (counts[opacity] ?? 0) + 1 };
}, {})
"""
# Pairs of names that overlap by more than a pixel.
OVERLAPS = """
names => names.flatMap((one, index) => names.slice(index + 1).filter(other => {
  const [a, b] = [one, other].map(each => each.getBoundingClientRect());
  return a.left < b.right && b.left < a.right && a.top < b.bottom - 1 && b.top < a.bottom - 1;
}).map(other => `${one.textContent} ${other.textContent}`))
"""
# Names above the background of the plot, which has the height of its axes.
ABOVE = """
names => names.filter(name => {
  const plot = name.closest("svg").querySelector(".mark-group.role-frame .background");
  return name.getBoundingClientRect().top < plot.getBoundingClientRect().top - 1;
}).map(name => name.textContent)
"""
SYMBOLS = ".mark-symbol.role-mark path"
NAMES = ".mark-text.role-mark text"
SHOWN, DIM = "0.95", "0.1"
# One object each, so that tests share the page of a run.
SEVERAL, OF_CODE = fronts.several(), fronts.of_code()


def figure(opened_page: OpenPage) -> Locator:
    """Return the chart once it is drawn."""
    found = opened_page.page.locator("figure[id^=chart-front]")
    found.scroll_into_view_if_needed()
    expect(found.locator(".plot")).to_have_attribute("data-drawn", "light")
    return found


def opacities(found: Locator) -> dict[str, int]:
    counts: dict[str, int] = found.locator(SYMBOLS).evaluate_all(OPACITIES)
    return counts


def test_a_part_of_a_name_highlights_the_networks_that_contain_it(opened: Open) -> None:
    found = figure(opened(html(SEVERAL)))
    field, status = found.get_by_label("Highlight networks"), found.get_by_role("status")
    assert opacities(found) == {SHOWN: 14}
    expect(status).to_have_text("")
    field.fill(" MobileNet")
    expect(status).to_have_text("2 of 7 networks")
    # Two networks in two modes; the names of the front are dimmed in the same way.
    expect(found.locator(f'{SYMBOLS}[opacity="{SHOWN}"]')).to_have_count(4)
    assert opacities(found) == {SHOWN: 4, DIM: 10}
    (name,) = found.locator(f'{NAMES}[opacity="1"]').all_text_contents()
    assert name == "torchvision:mobilenet_v3_large"
    field.fill("no such network")
    expect(status).to_have_text("0 of 7 networks")
    expect(found.locator(f'{SYMBOLS}[opacity="{DIM}"]')).to_have_count(14)
    field.fill("")
    expect(found.locator(f'{SYMBOLS}[opacity="{SHOWN}"]')).to_have_count(14)
    expect(status).to_have_text("")


def test_the_names_are_offered_while_typing(opened: Open) -> None:
    found = figure(opened(html(SEVERAL)))
    options = found.locator("datalist option").all()
    assert {option.get_attribute("value") for option in options} == {
        arch for arch, (accuracy, _) in fronts.NETWORKS.items() if accuracy is not None
    }


def test_the_highlight_remains_if_the_colour_scheme_changes(opened: Open) -> None:
    opened_page = opened(html(SEVERAL))
    found = figure(opened_page)
    found.get_by_label("Highlight networks").fill("resnet18")
    expect(found.locator(f'{SYMBOLS}[opacity="{SHOWN}"]')).to_have_count(2)
    opened_page.page.emulate_media(color_scheme="dark")
    expect(found.locator(".plot")).to_have_attribute("data-drawn", "dark")
    assert opacities(found) == {SHOWN: 2, DIM: 12}


def test_without_javascript_there_is_no_field(opened: Open) -> None:
    shown = opened(html(SEVERAL), java_script_enabled=False).page
    expect(shown.locator("figure[id^=chart-front] .search")).to_be_hidden()


@pytest.mark.parametrize("width", [400, 1280])
@pytest.mark.parametrize("run", [fronts.many(), fronts.close()], ids=["many", "close"])
def test_the_names_of_many_networks_are_inside_the_chart_and_apart(
    opened: Open, run: RunRecord, width: int
) -> None:
    found = figure(opened(html(run), viewport={"width": width, "height": 900}))
    assert found.locator(SYMBOLS).count() == len(run.cells)
    names = found.locator(NAMES)
    assert names.count() > 10
    assert names.evaluate_all(ABOVE) == []
    assert names.evaluate_all(OVERLAPS) == []
    assert found.locator(".plot svg").evaluate(OUTSIDE) == []


def test_a_hostile_name_can_be_searched_for(opened: Open) -> None:
    run = fronts.of(
        measured("slow", 70.0, (20, 20, 20)),
        measured(HOSTILE, 71.0, (5, 5, 5)),
        measured("poor", 60.0, (15, 15, 15)),
    )
    found = figure(opened(html(run)))
    found.get_by_label("Highlight networks").fill("{{ 7*7 }}")
    expect(found.get_by_role("status")).to_have_text("1 of 3 networks")
    expect(found.locator(f'{SYMBOLS}[opacity="{SHOWN}"]')).to_have_count(1)


@pytest.mark.parametrize(
    ("text", "count"),
    [("?width=2&x", 2), ("&x=[1,2]@", 2), ("@3x32x32", 1), ("nets/A.py:f?", 3), ("&amp;", 0)],
)
def test_characters_of_code_and_addresses_can_be_searched_for(
    opened: Open, text: str, count: int
) -> None:
    found = figure(opened(html(OF_CODE)))
    assert sorted(found.locator(NAMES).all_text_contents()) == sorted(fronts.CODE_NAMES)
    options = found.locator("datalist option").all()
    assert {option.get_attribute("value") for option in options} == set(fronts.CODE_NAMES)
    found.get_by_label("Highlight networks").fill(text)
    expect(found.get_by_role("status")).to_have_text(f"{count} of 3 networks")
    expect(found.locator(f'{SYMBOLS}[opacity="{SHOWN}"]')).to_have_count(count)
    expect(found.locator(f'{NAMES}[opacity="1"]')).to_have_count(count)
