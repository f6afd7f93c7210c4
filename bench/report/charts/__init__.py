"""The charts of a run: one Vega-Lite definition each, for SVG in Markdown and for the page."""

import pandas as pd

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
    return (
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
