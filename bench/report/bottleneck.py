"""The bottleneck: whether a cell waits for the host that launches its work, or for the device.

Told from blocks of iterations with no wait between them, which a CPU's cells have none of.
"""

from collections.abc import Iterator, Sequence

from bench import means, stats
from bench.means import Interval
from bench.records.record import CellRecord
from bench.tables import bounded

LAUNCH, COMPUTE, UNCLEAR = "launch-bound", "compute-bound", "unclear"
# A device that works for nine tenths of a block is what the block waits for. What is left is what
# the measure itself is wrong by: clocks that change from one block to the next, a fill and a drain.
LEAST_BUSY = 0.9
_SAID = {
    LAUNCH: "Launch-bound, the device waiting for the host in over a tenth of a back-to-back block "
    "(in brackets the share of it in which the device works)",
    COMPUTE: "Compute-bound, the device having work at nearly all times of a back-to-back block",
    UNCLEAR: "Not told whether launch-bound or compute-bound",
}
FROM_BLOCKS, FROM_LATENCY = "back-to-back", "latency"


def classify(busy_share: Interval) -> str:
    """What a cell is, by the share of a block in which its device works.

    ``unclear`` where the interval holds the threshold, or one set is all there is.
    """
    if busy_share.high < LEAST_BUSY:
        return LAUNCH
    return COMPUTE if busy_share.low >= LEAST_BUSY else UNCLEAR


def columns(record: CellRecord) -> dict[str, object]:
    """What a summary has besides of a cell that was measured on such a device."""
    blocks = [visit.back_to_back for visit in record.valid if visit.back_to_back]
    busy = stats.busy_share(record)
    per_iteration = [
        (block.enqueue_s / block.iterations, block.device_s / block.iterations) for block in blocks
    ]
    return {
        "images_per_s_from": FROM_BLOCKS if blocks else FROM_LATENCY,
        "enqueue_p50_s": means.percentile([enqueue for enqueue, _ in per_iteration], 50),
        "span_p50_s": means.percentile([span for _, span in per_iteration], 50),
        "busy_p50_s": means.percentile([b.busy_s for b in blocks if b.busy_s is not None], 50),
        **bounded("busy_share", busy),
        "bottleneck": classify(busy) if blocks else None,
    }


def sentences(records: Sequence[CellRecord]) -> Iterator[str]:
    """Which of the cells with figures are bound by what, with the share of the device's time."""
    found: dict[str, list[str]] = {LAUNCH: [], COMPUTE: [], UNCLEAR: []}
    for record in records:
        if not record.has_blocks:
            continue
        busy = stats.busy_share(record)
        share = "unknown" if busy.sets == 0 else f"{busy.estimate * 100:.0f} %"
        found[classify(busy)].append(f"{record.cell.arch} in {record.cell.mode} ({share})")
    for kind, cells in found.items():
        if cells:
            yield f"{_SAID[kind]}: {', '.join(cells)}."
