"""Time of compilation, and what was compiled."""

from functools import partial

from bench.metrics.metric import NOWHERE, Better, MeasuredCell, Metric, Place
from bench.tables import scaled


def _largest(cell: MeasuredCell, name: str) -> int | None:
    value: int | None = cell.largest(name)
    return value


COLD = Metric(
    name="compile_cold_s",
    unit="s",
    heading="compile\ncold s",
    compute=lambda cell: cell.record.compile_cold_s,
    write=scaled(1, 1),
    explanation="The time of the first call while Inductor's cache was empty.",
    better=Better.LESS,
    places={Place.SUMMARY, Place.COMPARISON},
    order=700,
)
WARM = Metric(
    name="compile_warm_s",
    unit="s",
    heading="compile\nwarm s",
    compute=lambda cell: cell.record.compile_warm_s,
    write=scaled(1, 1),
    explanation="The time of the first call that found its code in Inductor's cache.",
    better=Better.LESS,
    places={Place.SUMMARY, Place.COMPARISON},
    order=710,
)
GRAPH_BREAKS = Metric(
    name="graph_breaks",
    heading="graph\nbreaks",
    compute=partial(_largest, name="graph_breaks"),
    write=scaled(1, 0),
    better=Better.LESS,
    is_count=True,
    places={Place.COMPARISON, Place.GATE},
    order=720,
)
LATE_GRAPH_BREAKS = Metric(
    name="late_graph_breaks",
    heading="late graph\nbreaks",
    compute=partial(_largest, name="late_graph_breaks"),
    better=Better.LESS,
    is_count=True,
    places=NOWHERE,
    order=730,
)
RECOMPILED = Metric(
    name="recompiled_graphs",
    heading="recompiled\ngraphs",
    compute=partial(_largest, name="recompiled_graphs"),
    better=Better.LESS,
    is_count=True,
    places=NOWHERE,
    order=740,
)
