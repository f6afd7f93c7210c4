"""Time of compilation, and what was compiled."""

from bench.columns import IN_FULL, scaled
from bench.metrics.metric import NOWHERE, Better, Metric, Place

COLD = Metric(
    name="compile_cold_s",
    unit="s",
    heading="compile\ncold s",
    compute=lambda cell: cell.record.compile_cold_s,
    write=scaled(1, 1),
    explanation="The time of the first call while Inductor's cache was empty.",
    better=Better.LESS,
    places={Place.SUMMARY, Place.COMPARISON},
    rank=IN_FULL,
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
    rank=IN_FULL,
    order=710,
)
GRAPH_BREAKS = Metric(
    name="graph_breaks",
    heading="graph\nbreaks",
    compute=lambda cell: cell.largest("graph_breaks"),
    write=scaled(1, 0),
    better=Better.LESS,
    is_count=True,
    places={Place.COMPARISON, Place.GATE},
    rank=IN_FULL,
    order=720,
)
LATE_GRAPH_BREAKS = Metric(
    name="late_graph_breaks",
    heading="late graph\nbreaks",
    compute=lambda cell: cell.largest("late_graph_breaks"),
    better=Better.LESS,
    is_count=True,
    places=NOWHERE,
    order=730,
)
RECOMPILED = Metric(
    name="recompiled_graphs",
    heading="recompiled\ngraphs",
    compute=lambda cell: cell.largest("recompiled_graphs"),
    better=Better.LESS,
    is_count=True,
    places=NOWHERE,
    order=740,
)
