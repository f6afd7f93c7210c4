"""The charts: one definition each, for SVG in Markdown and for the page."""

from bench.record import RunRecord
from bench.report.chart import Chart
from bench.report.charts import drift, ladder, latency, throughput


def of(run: RunRecord) -> tuple[Chart, ...]:
    """Every chart that a run has figures for, in the order in which they are read."""
    return (*latency.charts(run), *throughput.charts(run), *ladder.charts(run), *drift.charts(run))
