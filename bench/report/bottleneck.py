"""The bottleneck of a cell: the host that launches its work, or the device that executes it.

It is computed from back-to-back blocks: iterations with no wait between them. Cells on a CPU have
no such blocks.
"""

from collections.abc import Iterator, Sequence

from bench import means, stats
from bench.means import Interval
from bench.records.record import CellRecord
from bench.tables import bounded

LAUNCH, COMPUTE, UNCLEAR = "launch-bound", "compute-bound", "unclear"
# A device that works for nine tenths of a block is the bottleneck of the block. The remaining tenth
# allows for measurement error: clocks that change between blocks, and the queue's fill and drain.
LEAST_BUSY = 0.9
_DESCRIPTIONS = {
    LAUNCH: "Launch-bound: the device waits for the host during more than a tenth of a "
    "back-to-back block (in brackets: the share of the block in which the device works)",
    COMPUTE: "Compute-bound: the device works during nearly all of a back-to-back block",
    UNCLEAR: "Unclear whether launch-bound or compute-bound",
}
FROM_BLOCKS, FROM_LATENCY = "back-to-back", "latency"


def classify(busy_share: Interval) -> str:
    """Return the bottleneck of a cell from the share of a block in which its device works.

    The result is ``unclear`` if the interval contains the threshold, or if there is only one set.
    """
    if busy_share.high < LEAST_BUSY:
        return LAUNCH
    return COMPUTE if busy_share.low >= LEAST_BUSY else UNCLEAR


def columns(record: CellRecord) -> dict[str, object]:
    """Return the additional summary columns of a cell in a run that has back-to-back blocks."""
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
    """Name the bottleneck of each cell with figures, with the share of time the device works."""
    cells_by_kind: dict[str, list[str]] = {LAUNCH: [], COMPUTE: [], UNCLEAR: []}
    for record in records:
        if not record.has_blocks:
            continue
        busy = stats.busy_share(record)
        share = "unknown" if busy.sets == 0 else f"{busy.estimate * 100:.0f} %"
        cells_by_kind[classify(busy)].append(f"{record.cell.arch} in {record.cell.mode} ({share})")
    for kind, cells in cells_by_kind.items():
        if cells:
            yield f"{_DESCRIPTIONS[kind]}: {', '.join(cells)}."
