"""Sentences on the bottleneck of each cell (bench/metrics/throughput.py)."""

from collections.abc import Iterator, Sequence

from bench import stats
from bench.metrics.throughput import COMPUTE, LAUNCH, UNCLEAR, classify
from bench.records.record import CellRecord

_DESCRIPTIONS = {
    LAUNCH: "Launch-bound: the device waits for the host during more than a tenth of a "
    "back-to-back block (in brackets: the share of the block in which the device works)",
    COMPUTE: "Compute-bound: the device works during nearly all of a back-to-back block",
    UNCLEAR: "Unclear whether launch-bound or compute-bound",
}


def sentences(records: Sequence[CellRecord]) -> Iterator[str]:
    """Name the bottleneck of each cell with figures, with the share of time the device works."""
    cells_by_kind: dict[str, list[str]] = {LAUNCH: [], COMPUTE: [], UNCLEAR: []}
    for record in records:
        if not record.has_blocks:
            continue
        busy = stats.busy_share(record)
        share = "unknown" if busy.sets == 0 else f"{busy.estimate * 100:.0f} %"
        cells_by_kind[classify(busy)].append(f"{record.cell.name} ({share})")
    for kind, cells in cells_by_kind.items():
        if cells:
            yield f"{_DESCRIPTIONS[kind]}: {', '.join(cells)}."
