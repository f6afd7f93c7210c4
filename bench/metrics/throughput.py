"""Throughput, and what limits it: the host that launches the work or the device that executes it.

On a device whose calls return before their work is done, both are measured in back-to-back blocks:
iterations with no wait between them. Cells on a CPU have no such blocks.
"""

from bench import means, stats
from bench.columns import IN_FULL, milliseconds, scaled
from bench.means import Interval
from bench.metrics.metric import NOWHERE, Axis, Better, MeasuredCell, Metric, Place, always
from bench.records.record import BackToBack, RunRecord

LAUNCH, COMPUTE, UNCLEAR = "launch-bound", "compute-bound", "unclear"
# A device that works for nine tenths of a block is the bottleneck of the block. The remaining tenth
# allows for measurement error: clocks that change between blocks, and the queue's fill and drain.
LEAST_BUSY = 0.9
FROM_BLOCKS, FROM_LATENCY = "back-to-back", "latency"


def classify(busy_share: Interval) -> str:
    """Return the bottleneck of a cell from the share of a block in which its device works.

    The result is ``unclear`` if the interval contains the threshold, or if there is only one set.
    """
    if busy_share.high < LEAST_BUSY:
        return LAUNCH
    return COMPUTE if busy_share.low >= LEAST_BUSY else UNCLEAR


def _has_blocks(run: RunRecord) -> bool:
    return run.has_blocks


def _blocks(cell: MeasuredCell) -> list[BackToBack]:
    return [visit.back_to_back for visit in cell.record.valid if visit.back_to_back]


def _busy_p50_s(cell: MeasuredCell) -> float:
    busy_s = [block.busy_s for block in _blocks(cell) if block.busy_s is not None]
    return means.percentile(busy_s, 50)


def _bottleneck(cell: MeasuredCell) -> str | None:
    return classify(stats.busy_share(cell.record)) if _blocks(cell) else None


IMAGES = Metric(
    name="images_per_s",
    unit="images/s",
    heading="images/s",
    compute=lambda cell: stats.throughput(cell.record),
    write=scaled(1, 1),
    explanation="The batch size divided by the time of an iteration: in back-to-back blocks, if "
    "there are any, else by the latency.",
    better=Better.MORE,
    axis=Axis(
        name="throughput",
        title="throughput, images/s",
        scale=1,
        preposition="at",
        after=" images/s",
        comparative="has a higher throughput",
        advantage=stats.rate,
    ),
    bounded=_has_blocks,
    places={Place.SUMMARY, Place.SIDE_BY_SIDE},
    rank=2,
    order=200,
)
IMAGES_FROM = Metric(
    name="images_per_s_from",
    heading="images/s\nfrom",
    compute=lambda cell: FROM_BLOCKS if _blocks(cell) else FROM_LATENCY,
    is_text=True,
    applies=_has_blocks,
    places={Place.SUMMARY},
    rank=IN_FULL,
    order=210,
)
ENQUEUE = Metric(
    name="enqueue_p50_s",
    unit="s",
    heading="enqueue p50 ms",
    compute=lambda cell: means.percentile(
        [block.enqueue_s / block.iterations for block in _blocks(cell)], 50
    ),
    write=milliseconds,
    better=Better.LESS,
    applies=_has_blocks,
    places=NOWHERE,
    order=220,
)
SPAN = Metric(
    name="span_p50_s",
    unit="s",
    heading="span p50 ms",
    compute=lambda cell: means.percentile(
        [block.device_s / block.iterations for block in _blocks(cell)], 50
    ),
    write=milliseconds,
    better=Better.LESS,
    applies=_has_blocks,
    places=NOWHERE,
    order=230,
)
BUSY = Metric(
    name="busy_p50_s",
    unit="s",
    heading="busy p50 ms",
    compute=_busy_p50_s,
    write=milliseconds,
    explanation="The time for which one iteration keeps the device busy. To measure it, the device "
    "is held up until the whole iteration is enqueued, so it never waits for the host.",
    better=Better.LESS,
    applies=_has_blocks,
    places={Place.SUMMARY},
    rank=IN_FULL,
    order=240,
)
BUSY_SHARE = Metric(
    name="busy_share",
    heading="device\nbusy %",
    compute=lambda cell: stats.busy_share(cell.record),
    write=scaled(100, 0),
    explanation="The busy time divided by the time of an iteration in a back-to-back block: the "
    "share of time in which the device works.",
    bounded=always,
    applies=_has_blocks,
    places={Place.SUMMARY},
    rank=3,
    order=250,
)
BOTTLENECK = Metric(
    name="bottleneck",
    heading="bottleneck",
    compute=_bottleneck,
    explanation=f"If the whole 95 % interval of the busy share is below {LEAST_BUSY:.0%}, the cell "
    "is launch-bound: a faster host, CUDA graphs or a larger batch would help. If the whole "
    "interval is above, it is compute-bound: the device needs that time for its arithmetic or its "
    "memory. Otherwise it is unclear.",
    is_text=True,
    applies=_has_blocks,
    places={Place.SUMMARY},
    rank=2,
    order=260,
)
