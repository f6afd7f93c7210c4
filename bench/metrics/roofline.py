"""The roofline model: each cell's rate relative to its device's limit (Williams et al. 2009).

A cell is bound either by the device's best rate of multiply-accumulates, or by its bandwidth times
the cell's arithmetic intensity: multiply-accumulates per byte that must be moved at least.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from bench import stats
from bench.columns import scaled
from bench.means import Interval
from bench.metrics.metric import NOWHERE, Better, MeasuredCell, Metric
from bench.records.record import CellRecord
from bench.records.reported import Ceiling

TRAINING = "a training step's multiply-accumulates are not counted"
OLD = "its activations were not counted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Roofline:
    """A cell's rate and the limits of its device; unknown values are NaN."""

    achieved_mac_per_s: Interval
    """Multiply-accumulates of a batch divided by the time of an iteration."""
    batch_macs: float
    ceiling_mac_per_s: float
    bandwidth_bytes_per_s: float
    intensity_mac_per_byte: float
    reason: str
    """Why a value is unknown; empty if all are known."""

    @property
    def attainable_mac_per_s(self) -> float:
        """The lower of the two bounds; NaN if one is unknown."""
        moved = self.intensity_mac_per_byte * self.bandwidth_bytes_per_s
        return float(np.minimum(self.ceiling_mac_per_s, moved))

    @property
    def peak_s(self) -> float:
        """Seconds of a batch at the device's best rate; NaN if it is unknown."""
        return self.batch_macs / self.ceiling_mac_per_s

    @property
    def share_of_ceiling(self) -> Interval:
        """The achieved rate divided by the device's best rate in the cell's dtype."""
        return _divided(self.achieved_mac_per_s, self.ceiling_mac_per_s)

    @property
    def share_of_attainable(self) -> Interval:
        """The achieved rate divided by the attainable rate at the cell's arithmetic intensity."""
        return _divided(self.achieved_mac_per_s, self.attainable_mac_per_s)

    @property
    def bound(self) -> str | None:
        """The lower bound: ``compute`` or ``memory``; None if unknown."""
        if math.isnan(self.attainable_mac_per_s):
            return None
        return "compute" if self.attainable_mac_per_s == self.ceiling_mac_per_s else "memory"


def compute(record: CellRecord, ceilings: Mapping[str, Ceiling]) -> Roofline:
    """Return the roofline of a cell, under its dtype's ceiling."""
    iteration_s = stats.iteration(record)
    cell = record.cell
    facts = ceilings.get(cell.dtype, Ceiling())
    macs = record.cost.macs_per_image if cell.task == "infer" else None
    batch_macs = math.nan if macs is None else float(macs) * cell.batch_size
    return Roofline(
        batch_macs=batch_macs,
        achieved_mac_per_s=replace(
            iteration_s,
            estimate=batch_macs / iteration_s.estimate,
            low=batch_macs / iteration_s.high,
            high=batch_macs / iteration_s.low,
        ),
        ceiling_mac_per_s=max(best(facts).values(), default=math.nan),
        bandwidth_bytes_per_s=_number(facts.bytes_per_s),
        intensity_mac_per_byte=batch_macs / _least_bytes(record, facts),
        reason=_reason(record, facts),
    )


def best(facts: Ceiling) -> dict[str, float]:
    """Return the best rate of each kind of probe, in multiply-accumulates per second."""
    rates: dict[str, float] = {}
    for probe in facts.probes:
        rates[probe.kind] = max(probe.mac_per_s, rates.get(probe.kind, 0.0))
    return rates


def _least_bytes(record: CellRecord, facts: Ceiling) -> float:
    """Return the bytes a batch must move: weights read once, activations written and read once."""
    params, activations = _number(record.cost.params), _number(record.cost.activations_per_image)
    elements = params + 2 * activations * record.cell.batch_size
    return elements * _number(facts.bytes_per_element) or math.nan


def _reason(record: CellRecord, facts: Ceiling) -> str:
    """Return why a value of a measured cell is unknown; empty if all are known."""
    if record.cell.task != "infer":
        return TRAINING
    if record.cost.macs_per_image is None:
        return f"its cost is unknown: {record.cost.error or 'it was not counted'}"
    if not best(facts):
        dtype = record.cell.dtype
        return f"the ceiling of {dtype} is unknown: {facts.error or 'it was not measured'}"
    return OLD if record.cost.activations_per_image is None else ""


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _divided(rate: Interval, by: float) -> Interval:
    by = by or math.nan  # 0 if a network multiplies nothing: no share is defined
    return replace(rate, estimate=rate.estimate / by, low=rate.low / by, high=rate.high / by)


def _of(cell: MeasuredCell) -> Roofline:
    return compute(cell.record, cell.run.ceilings)


RATE = Metric(
    name="mac_per_s",
    unit="MAC/s",
    heading="GMAC/s",
    compute=lambda cell: _of(cell).achieved_mac_per_s.estimate,
    write=scaled(1e-9, 1),
    better=Better.MORE,
    places=NOWHERE,
    order=470,
)
SHARE_OF_CEILING = Metric(
    name="share_of_ceiling",
    heading="% of ceiling",
    compute=lambda cell: _of(cell).share_of_ceiling.estimate,
    write=scaled(100, 0),
    better=Better.MORE,
    places=NOWHERE,
    order=480,
)
SHARE_OF_ATTAINABLE = Metric(
    name="share_of_attainable",
    heading="% of attainable",
    compute=lambda cell: _of(cell).share_of_attainable.estimate,
    write=scaled(100, 0),
    better=Better.MORE,
    places=NOWHERE,
    order=490,
)
