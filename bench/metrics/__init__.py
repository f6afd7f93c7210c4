"""Figures of a cell: one file for each kind. Data frames, tables and comparisons derive from them.

docs/adding.md says how to add one.
"""

from collections.abc import Iterator, Mapping, Sequence

from bench.metrics.metric import Metric, Place
from bench.names import choose
from bench.records.record import RunRecord
from bench.registry import Registry

METRICS: Registry[Metric] = Registry(Metric, __name__)


def ordered() -> list[Metric]:
    """Return all metrics in the order of columns."""
    return sorted(METRICS.values(), key=lambda metric: metric.order)


def axes() -> Mapping[str, Metric]:
    """Return the metrics that can be set against accuracy, by the names of their axes."""
    return {metric.axis.name: metric for metric in ordered() if metric.axis is not None}


def chosen_axes(names: Sequence[str]) -> tuple[str, ...]:
    """Return the names of axes, each once; raise ``RequestError`` if one is unknown."""
    known = axes()
    for name in names:
        choose("axis of a front", name, known)
    return tuple(dict.fromkeys(names))


def applying(run: RunRecord, place: Place | None = None) -> Iterator[Metric]:
    """Yield the metrics that a run can have, in the order of columns.

    ``place``: only those that are shown there; by default, all.
    """
    for metric in ordered():
        if metric.applies(run) and (place is None or place in metric.places):
            yield metric
