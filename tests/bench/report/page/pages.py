"""Runs and charts that the page must be able to show."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from itertools import product
from typing import Any

import msgspec

from bench.records.record import RunRecord
from bench.records.run_cache import cached_per_run
from bench.report import charts as run_charts
from bench.report import page, sections
from bench.report.blocks import Heading, Picture, Sentences
from bench.report.chart import Chart
from bench.report.findings import Findings
from bench.report.section import BuiltSection, Source
from bench.stages import store as stages
from tests.bench import runs
from tests.bench.report.test_golden import GOLDEN

# Each part closes a context that the text could appear in: text, attribute, script, style, comment.
HOSTILE = (
    "\"'><img src=x onerror=alert(1)></script></style><!--<script>alert(1)</script>\u2028{{ 7*7 }}"
)
SENTENCE = "googlenet in compile is 2.0 (1.9–2.1) times as fast as torchvision in eager."
FINDINGS = (Findings(title="fp32, batch 1, infer, cpu", sentences=(SENTENCE,)),)


@cache
def hostile() -> RunRecord:
    """Return a run with ``HOSTILE`` in every text field."""
    run = runs.small()
    failure = replace(runs.FAILURE, message=HOSTILE, stderr=HOSTILE, phase=HOSTILE, kind=HOSTILE)
    cells = (
        replace(run.cells[0], cell=replace(runs.REFERENCE_EAGER, mode=HOSTILE)),
        replace(run.cells[3], cell=replace(runs.FAILED, arch=HOSTILE), failure=failure),
        *run.cells[1:3],
    )
    return replace(
        run,
        cells=cells,
        status=HOSTILE,
        notes=(HOSTILE,),
        environment=msgspec.structs.replace(
            run.environment, device_name=HOSTILE, variables={HOSTILE: HOSTILE}
        ),
        plan=msgspec.structs.replace(run.plan, command=HOSTILE, profile=HOSTILE),
        phases_s={HOSTILE: 1.0},
        machine_info={"system": HOSTILE, "release": HOSTILE},
        commit_info={"id": "0123456789ab", "dirty": True},
        datetime=HOSTILE,
    )


@cache
def single() -> RunRecord:
    """Return a run of one cell, which is the reference."""
    run, cell = runs.small("complete"), runs.REFERENCE_EAGER
    control = runs.measured(replace(cell, control=True))
    return replace(run, cells=(runs.measured(cell),), controls=(control,), rounds=runs.rounds(cell))


@cache
def unmeasured() -> RunRecord:
    """Return a run that was interrupted before it had any figure."""
    run = runs.small("interrupted")
    return replace(run, cells=(run.cells[-1],), controls=(), rounds=())


@cache
def small() -> RunRecord:
    """Return the run of ``runs.small``, the same at each call."""
    return runs.small()


@cache
def many() -> RunRecord:
    """Return a run of 400 cells."""
    run, like = runs.small("complete"), runs.measured(runs.EAGER)
    names = (f"network-{index}" for index in range(50))
    cells = (
        replace(like, cell=runs.cell(arch, mode, batch_size=batch_size))
        for arch, mode, batch_size in product(
            names, ("eager", "compile", "channels_last", "compile+channels_last"), (1, 8)
        )
    )
    return replace(run, cells=tuple(cells))


def chart(name: str, *, values: list[dict[str, Any]] | None = None) -> Chart:
    """Return a bar chart with parts that Vega must evaluate: a tooltip and an expression."""
    spec: Mapping[str, Any] = {
        "data": {
            "values": values or [{"arch": "googlenet", "ms": 24.0}, {"arch": "vgg", "ms": 30.0}]
        },
        "transform": [{"calculate": "datum.ms / 1000", "as": "s"}],
        "mark": {"type": "bar", "tooltip": True},
        "width": 500,
        "height": 120,
        "encoding": {
            "x": {"field": "s", "type": "quantitative"},
            "y": {"field": "arch", "type": "nominal"},
            "color": {"field": "arch", "type": "nominal"},
        },
    }
    return Chart(name=name, title=f"Chart {name}", caption=f"What {name} shows.", spec=spec)


def render(
    run: RunRecord,
    *,
    findings: Sequence[Findings] | None = FINDINGS,
    charts: Sequence[Chart] = (),
) -> str:
    """Return the page of a run, with these findings and an additional section of charts.

    With None, the findings are the run's own.
    """
    document = sections.document(Source(run=run))
    blocks = tuple(
        block
        for group in findings or ()
        for block in (Heading(text=group.title), Sentences(sentences=group.sentences))
    )
    built = [
        replace(section, blocks=blocks) if section.name == "findings" and blocks else section
        for section in document.sections
    ]
    if charts:
        pictures = tuple(Picture(chart=each) for each in charts)
        built.append(BuiltSection(name="charts", title="Charts", label="Charts", blocks=pictures))
    return page.render(replace(document, sections=tuple(built)))


@cached_per_run
def drawn(run: RunRecord) -> Sequence[Chart]:
    """Return the run's own charts."""
    return run_charts.build(run)


@cached_per_run
def html(run: RunRecord) -> str:
    """Return the page of a run with its own charts and findings."""
    return page.render(sections.document(Source(run=run, charts=drawn(run))))


INSIDE = stages.read(GOLDEN / "stages.csv")


@cached_per_run
def drawn_with_stages(run: RunRecord) -> Sequence[Chart]:
    """Return the run's own charts, and those of the stages of the golden files."""
    return run_charts.build(run, INSIDE)


@cached_per_run
def html_with_stages(run: RunRecord) -> str:
    """Return the page of a run with its own findings and ``drawn_with_stages``."""
    source = Source(run=run, charts=drawn_with_stages(run), inside=INSIDE)
    return page.render(sections.document(source))


CHARTS = (
    chart("first"),
    chart("second", values=[{"arch": HOSTILE, "ms": 20.0}, {"arch": "googlenet", "ms": 10.0}]),
)


class Tags(HTMLParser):
    """The tags of a page and their attributes, as a browser sees them; scripts contain none."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, Mapping[str, str | None]]] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def named(self, tag: str) -> Iterator[Mapping[str, str | None]]:
        return (attributes for name, attributes in self.tags if name == tag)


def headings(html: str) -> list[str]:
    """Return the text of every h1 and h2 heading in the page's HTML outside its scripts."""
    return re.findall(r"<h[12][^>]*>(.*?)</h[12]>", html.partition('<script type="module">')[0])
