"""The charts: one definition each, for SVG in Markdown and for the page."""

import pandas as pd

from bench.records.record import RunRecord
from bench.report.chart import Chart
from bench.report.charts import drift, ladder, latency, roofline, stages, throughput

PREFIXES = ("latency-", "throughput-", "ladder-", "stages-", "roofline-", "drift-")  # of names


def build(run: RunRecord, inside: pd.DataFrame | None = None) -> tuple[Chart, ...]:
    """Every chart that there are figures for, in the order in which they are read.

    ``inside`` is what ``stages.csv`` holds, where there is one.
    """
    return (
        *latency.charts(run),
        *throughput.charts(run),
        *ladder.charts(run),
        *(() if inside is None else stages.charts(inside)),
        *roofline.charts(run),
        *drift.charts(run),
    )
