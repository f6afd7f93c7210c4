"""Latency, and its percentiles over all samples."""

from functools import partial

from bench import means, stats
from bench.columns import IN_FULL, milliseconds
from bench.metrics.metric import Axis, Better, MeasuredCell, Metric, Place, always


def _percentile(cell: MeasuredCell, percent: float) -> float:
    return means.percentile(cell.record.host_s, percent)


SETS = Metric(
    name="sets",
    heading="sets",
    compute=lambda cell: stats.latency(cell.record).sets,
    is_count=True,
    places={Place.SUMMARY, Place.COMPARISON},
    rank=IN_FULL,
    order=900,
)
SAMPLES = Metric(
    name="samples",
    heading="samples",
    compute=lambda cell: len(cell.record.host_s),
    is_count=True,
    places={Place.SUMMARY},
    rank=IN_FULL,
    order=910,
)
LATENCY = Metric(
    name="latency_s",
    unit="s",
    heading="{host}latency ms",
    compute=lambda cell: stats.latency(cell.record),
    write=milliseconds,
    explanation="Host time around a call, until its work is done: the median of a set's visits, "
    "and the geometric mean over the sets. It contains the machine's drift, so it is less certain "
    "than a ratio. Compilation is not part of it.",
    better=Better.LESS,
    axis=Axis(
        name="latency",
        title="latency, ms",
        scale=1e3,
        preposition="in",
        after=" ms",
        comparative="is faster",
        advantage=stats.speedup,
    ),
    bounded=always,
    places={Place.SUMMARY, Place.COMPARISON, Place.SIDE_BY_SIDE},
    rank=0,
    order=100,
)
P50 = Metric(
    name="latency_p50_s",
    unit="s",
    heading="{host}p50 ms",
    compute=partial(_percentile, percent=50),
    write=milliseconds,
    explanation="The median of all samples, which is `stats.median` in run.json. It differs from "
    "the latency by a per cent or two, because that one is a mean over the medians of sets.",
    better=Better.LESS,
    places={Place.SUMMARY},
    rank=IN_FULL,
    order=110,
)
P90 = Metric(
    name="latency_p90_s",
    unit="s",
    heading="{host}p90 ms",
    compute=partial(_percentile, percent=90),
    write=milliseconds,
    explanation="The latency that nine of ten samples do not exceed.",
    better=Better.LESS,
    places={Place.SUMMARY},
    rank=4,
    order=120,
)
P99 = Metric(
    name="latency_p99_s",
    unit="s",
    heading="{host}p99 ms",
    compute=partial(_percentile, percent=99),
    write=milliseconds,
    explanation="The p99 of fewer than 100 samples is close to the largest sample.",
    better=Better.LESS,
    places={Place.SUMMARY},
    rank=IN_FULL,
    order=130,
)
DEVICE_P50 = Metric(
    name="device_p50_s",
    unit="s",
    heading="device p50 ms",
    compute=lambda cell: means.percentile(cell.record.device_s, 50),
    write=milliseconds,
    explanation="The span between two events around the same call on the device. It includes the "
    "time in which the device waits for the host to launch work.",
    better=Better.LESS,
    places={Place.SUMMARY},
    rank=3,
    order=140,
)
