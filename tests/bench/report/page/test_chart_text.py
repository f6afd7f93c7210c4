"""All text of charts is inside them, even with long names and in a font wider than expected."""

import re
from dataclasses import replace

import msgspec
import pytest
from playwright.sync_api import Page, expect

from bench.records.record import RunRecord
from bench.records.reported import ArchCost
from bench.report import charts
from bench.report.charts import style
from tests.bench import runs
from tests.bench.browser import Open
from tests.bench.report import rungs
from tests.bench.report.page import pages
from tests.bench.report.profiles import PROFILE, with_profile

WIDE = "DejaVu Sans"  # 14 % wider than Arial; 20 % in bold
LONG_ARCH, LONG_MODE = "torchvision:mobilenet_v3_large", "compile+channels_last"
CUT_OFF = "…"
SEPARATED = "one\u2028two\u2029three"
COST = ArchCost(
    params=7_000_000,
    macs_per_image=1_500_000_000,
    activations_per_image=3_000_000,
    accuracy=70.0,
    accuracy_source="made up",
)
# Vega makes a label that would overlap another one invisible, without moving it.
OUTSIDE = """
svg => {
  const box = svg.getBoundingClientRect();
  return [...svg.querySelectorAll("text:not([opacity='0'])")].filter(text => {
    const { left, right, top, bottom } = text.getBoundingClientRect();
    return left < box.left || right > box.right || top < box.top || bottom > box.bottom;
  }).map(text => text.textContent);
}
"""


def with_long_names() -> RunRecord:
    """Return a run that has every kind of chart except that of stages."""
    ladder = rungs.ladder(modes=("eager", LONG_MODE))
    # The network with the long name is on the front of accuracy and speed, which names it.
    best = msgspec.structs.replace(COST, accuracy=70.1)
    long_names = [
        replace(rungs.measured(rungs.cell(LONG_ARCH, mode), 0.8), cost=best)
        for mode in ("eager", LONG_MODE)
    ]
    records = [*(replace(record, cost=COST) for record in ladder.cells), *long_names]
    cells = [
        with_profile(replace(record, cell=replace(record.cell, batch_size=size)), PROFILE)
        for record in records
        for size in (1, 8, 32)
    ]
    return replace(ladder, cells=tuple(cells), ceilings=runs.CEILINGS)


def with_line_separators() -> RunRecord:
    """Return a run with Unicode's line separators in the name of its reference and in a mode."""
    ladder = rungs.ladder(modes=("eager", SEPARATED))
    own = rungs.cell(SEPARATED, SEPARATED)
    records = [*ladder.cells, rungs.measured(own, 1.0)]
    cells = [
        with_profile(
            replace(record, cost=COST, cell=replace(record.cell, batch_size=size)), PROFILE
        )
        for record in records
        for size in (1, 8, 32)
    ]
    controls = [rungs.measured(replace(own, batch_size=size, control=True), 1.0) for size in (1, 8)]
    return replace(ladder, cells=tuple(cells), controls=tuple(controls), ceilings=runs.CEILINGS)


def with_long_reference() -> RunRecord:
    """Return a run whose reference has a long name."""
    reference = rungs.cell(LONG_ARCH, LONG_MODE)
    cells = [rungs.measured(cell, 1.0) for cell in (reference, rungs.cell("googlenet"))]
    control = rungs.measured(replace(reference, control=True), 1.0)
    return replace(rungs.ladder(), cells=tuple(cells), controls=(control,))


RUN = with_long_names()  # its charts are built only by the tests that need them


def outside(shown: Page) -> list[str]:
    """Return the text of the charts that is not entirely inside its chart."""
    return [
        text
        for svg in shown.locator(".chart svg, .plot svg").all()
        for text in svg.evaluate(OUTSIDE)
    ]


def drawn_plots(shown: Page) -> int:
    """Draw every chart of a page, also those in folded parts, and return their number."""
    shown.locator("details").evaluate_all("all => all.forEach(each => { each.open = true })")
    for plot in shown.locator(".plot").all():
        plot.scroll_into_view_if_needed()
        expect(plot).to_have_attribute("data-drawn", re.compile("."))
    return shown.locator(".plot svg").count()


def test_the_run_has_every_kind_of_chart() -> None:
    names = [chart.name for chart in pages.drawn_with_stages(RUN)]
    kinds = {kind for name in names for kind in charts.PREFIXES if name.startswith(kind)}
    assert kinds == set(charts.PREFIXES)


@pytest.mark.parametrize("font", [WIDE, "system-ui"])
def test_no_text_of_an_svg_is_cut_off(opened: Open, font: str) -> None:
    drawn = pages.drawn_with_stages(RUN)
    svgs = "".join(f'<p class="chart">{style.svg(chart)}</p>' for chart in drawn)
    html = f'<style>text {{ font-family: "{font}" !important }}</style>{svgs}'
    shown = opened(f"<!doctype html><title>charts</title>{html}").page
    texts = shown.locator(".chart svg text").all_text_contents()
    assert {"googlenet-3x3-pool2", LONG_ARCH, LONG_MODE, "same network"} <= set(texts)
    assert not [text for text in texts if CUT_OFF in text]
    assert outside(shown) == []


@pytest.mark.parametrize("width", [400, 1280])
@pytest.mark.parametrize("run", [RUN, with_long_reference()], ids=["names", "reference"])
def test_no_text_of_a_chart_in_the_page_is_cut_off(
    opened: Open, run: RunRecord, width: int
) -> None:
    shown = opened(pages.html_with_stages(run), viewport={"width": width, "height": 800}).page
    assert drawn_plots(shown) == len(pages.drawn_with_stages(run))
    assert outside(shown) == []


def test_every_chart_of_names_with_line_separators_is_drawn(opened: Open) -> None:
    run = with_line_separators()
    drawn = pages.drawn(run)
    kinds = {kind for chart in drawn for kind in charts.PREFIXES if chart.name.startswith(kind)}
    assert kinds == set(charts.PREFIXES) - {"stages-"}
    # A chart that Vega cannot parse is left as the still picture, and writes to the console.
    shown = opened(pages.html(run)).page
    assert drawn_plots(shown) == len(drawn)
    assert "one two three" in shown.locator(".plot svg text").all_text_contents()
