"""How to read the figures."""

from collections.abc import Iterator

from bench import metrics
from bench.columns import filled
from bench.metrics.metric import Metric, Place
from bench.records.record import RunRecord
from bench.report import frame
from bench.report.blocks import Block, Folded, Prose, Terms
from bench.report.section import Section, Source
from bench.report.words import WORDS

_INTERVALS = """\
The 95 % interval is in brackets: Student's t over the sets, or Yuen's trimmed mean if one of eight
or more sets is far from the others (the notes name these ratios).
"""
_BACK_TO_BACK = """\
On this device a call returns before its work is done, so there are three different times: host
latency, device time, and the time of an iteration in back-to-back blocks (iterations with no wait
between them). Nothing empties the L2 cache within a block, whatever --l2 is, so weights may be in
the cache, but the images alternate. Host latency and device time are measured in the cache state
that --l2 names. All figures from blocks have warm weights: images/s, "busy" and its share,
bottleneck, saturation.
"""


def _build(source: Source) -> Iterator[Block]:
    yield Terms(terms=metrics_shown(source.run))
    yield Prose(text=_INTERVALS)
    if source.run.has_blocks:
        yield Prose(text=_BACK_TO_BACK)
    yield Folded(summary="Words", blocks=(Terms(terms=tuple(WORDS.items())),))


def metrics_shown(run: RunRecord) -> list[tuple[str, str]]:
    """Return the heading and the explanation of each metric in this run's tables."""
    cells = frame.summary(run)
    shown = [(metric, metric.column(run)) for metric in metrics.applying(run, Place.SUMMARY)]
    return [
        (" ".join(column.heading.split()), _explained(metric))
        for metric, column in shown
        if metric.explanation and filled((column,), cells)
    ]


def _explained(metric: Metric) -> str:
    """Return a metric's explanation, and which values are better."""
    better = f" {metric.better.capitalize()} is better." if metric.better else ""
    return f"{metric.explanation}{better}"


METHOD = Section(name="method", title="How to read this", label="Method", build=_build, order=110)
