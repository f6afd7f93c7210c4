"""The cell with the lowest latency in a group, compared with the others. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench import stats
from bench.means import Interval
from bench.records.record import CellRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Fastest:
    """The cell with the lowest latency, with its speedup over each other cell of its group."""

    record: CellRecord
    ratios: Mapping[str, Interval]
    """Speedup over each other cell, by that cell's name. Without sets if they were never measured
    together."""
    reference: str
    """Name of the group's reference; empty if it has no figures."""

    @property
    def latency(self) -> Interval:
        """The latency of the cell in seconds."""
        return stats.latency(self.record)

    @property
    def not_compared(self) -> list[str]:
        """The cells that were never measured together with it."""
        return [name for name, ratio in self.ratios.items() if not ratio.sets]

    @property
    def close(self) -> list[str]:
        """The cells that have not been shown to be slower."""
        return [name for name, ratio in self.ratios.items() if ratio.sets and not ratio.low > 1]

    @property
    def over_reference(self) -> Interval | None:
        """The speedup over the reference; None for the reference itself and if it is unknown."""
        ratio = self.ratios.get(self.reference)
        return ratio if ratio and ratio.sets else None


def find(records: Sequence[CellRecord], reference: CellRecord | None) -> Fastest:
    """Return the fastest of the cells of one group, which all have figures."""
    first = min(records, key=lambda record: stats.latency(record).estimate)
    return Fastest(
        record=first,
        ratios={
            record.cell.name: stats.speedup(first, record, reference=reference)
            for record in records
            if record is not first
        },
        reference="" if reference is None else reference.cell.name,
    )
