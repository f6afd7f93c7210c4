"""The charts of a run: one Vega-Lite definition each, for SVG in Markdown and for the page."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import pandas as pd

from bench.error_text import one_line
from bench.records.record import RunRecord
from bench.report.chart import Chart
from bench.report.charts import (
    drift,
    front,
    ladder,
    latency,
    operators,
    ratios,
    roofline,
    stages,
    style,
    throughput,
)

# Prefixes of chart names.
PREFIXES = (
    *("ratios-", "latency-", "front-", "throughput-"),
    *("ladder-", "stages-", "operators-", "roofline-", "drift-"),
)


def build(run: RunRecord, inside: pd.DataFrame | None = None) -> tuple[Chart, ...]:
    """Return every chart that the run has figures for, in reading order.

    ``inside`` contains the rows of ``stages.csv``, if there is one.
    """
    every = (
        *ratios.charts(run),
        *latency.charts(run),
        *front.charts(run),
        *throughput.charts(run),
        *ladder.charts(run),
        *(() if inside is None else stages.charts(inside)),
        *operators.charts(run),
        *roofline.charts(run),
        *drift.charts(run),
    )
    return tuple(_each_caption_once(every))


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """The charts that can be drawn, and a sentence for each one that cannot."""

    charts: tuple[Chart, ...]
    faults: tuple[str, ...] = ()


def draw(run: RunRecord, inside: pd.DataFrame | None = None) -> Drawn:
    """Return what ``build`` does, without the charts that the library cannot draw.

    A chart that fails must not cost the rest of the report.
    """
    charts, faults = [], []
    for chart in build(run, inside):
        try:
            style.svg(chart)  # kept, so the reports do not draw it again
        except Exception as error:  # noqa: BLE001 - of a library
            faults.append(f'The chart "{chart.title}" cannot be drawn: {one_line(error)}.')
        else:
            charts.append(chart)
    return Drawn(charts=tuple(charts), faults=tuple(faults))


def _each_caption_once(charts: Iterable[Chart]) -> Iterator[Chart]:
    captions: set[str] = set()
    for chart in charts:
        yield replace(chart, is_caption_repeated=chart.caption in captions)
        captions.add(chart.caption)
