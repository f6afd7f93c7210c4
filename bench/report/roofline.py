"""The roofline model: each cell's rate relative to its device's limit (Williams et al. 2009).

A cell is bound either by the device's best rate of multiply-accumulates, or by its bandwidth times
the cell's arithmetic intensity: multiply-accumulates per byte that must be moved at least.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from bench import stats
from bench.means import Interval
from bench.records.record import CellRecord, RunRecord
from bench.records.reported import PeakRates
from bench.records.run_cache import cached_per_run
from bench.tables import Column, bounded, scaled

KINDS = ("product", "convolution", "channels_last_convolution")  # kinds of ceiling probes
TRAINING = "a training step's multiply-accumulates are not counted"
OLD = "its activations were not counted"

_GIGA = scaled(1e-9, 1)
_PERCENT = scaled(100, 0)
CEILING_COLUMNS = (
    Column(name="dtype", heading="dtype", is_text=True),
    Column(name="product_mac_per_s", heading="matrix products GMAC/s", write=_GIGA),
    Column(name="convolution_mac_per_s", heading="convolutions GMAC/s", write=_GIGA),
    Column(
        name="channels_last_convolution_mac_per_s",
        heading="convolutions, channels_last GMAC/s",
        write=_GIGA,
    ),
    Column(name="best", heading="fastest probe", is_text=True),
    Column(name="bandwidth_bytes_per_s", heading="copies GB/s", write=_GIGA),
)
COLUMNS = (
    Column(name="arch", heading="arch", is_text=True),
    Column(name="mode", heading="mode", is_text=True),
    Column(name="dtype", heading="dtype", is_text=True),
    Column(name="batch_size", heading="batch"),
    Column(name="task", heading="task", is_text=True),
    Column(name="achieved_mac_per_s", heading="GMAC/s", write=_GIGA, bounded=True, rank=3),
    Column(name="share_of_ceiling", heading="% of ceiling", write=_PERCENT, bounded=True, rank=1),
    Column(name="intensity_mac_per_byte", heading="MAC/byte", write=scaled(1, 1), rank=5),
    Column(name="attainable_mac_per_s", heading="attainable GMAC/s", write=_GIGA, rank=4),
    Column(name="share_of_attainable", heading="% of attainable", write=_PERCENT, bounded=True),
    Column(name="bound", heading="lower roof", is_text=True, rank=2),
    Column(name="reason", heading="why blank", is_text=True),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Roofline:
    """A cell's rate and the limits of its device; unknown values are NaN."""

    achieved_mac_per_s: Interval
    """Multiply-accumulates of a batch divided by the time of an iteration."""
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


def compute(
    record: CellRecord, ceilings: Mapping[str, PeakRates], iteration_s: Interval
) -> Roofline:
    """Return the roofline of a cell with this time per iteration, under its dtype's ceiling."""
    cell = record.cell
    facts = ceilings.get(cell.dtype, PeakRates())
    macs = record.cost.macs_per_image if cell.task == "infer" else None
    batch_macs = math.nan if macs is None else float(macs) * cell.batch_size
    return Roofline(
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


@cached_per_run
def frame(run: RunRecord) -> pd.DataFrame:
    """Return one row for each measured cell, with the ceiling of its dtype."""
    rows = []
    for record in run.cells:
        if not record.has_figures:
            continue
        result, cell = compute(record, run.ceilings, stats.iteration(record)), record.cell
        rows.append(
            {
                "arch": cell.arch,
                "mode": cell.mode,
                "dtype": cell.dtype,
                "batch_size": cell.batch_size,
                "task": cell.task,
                "device": cell.device,
                **bounded("achieved_mac_per_s", result.achieved_mac_per_s),
                "ceiling_mac_per_s": result.ceiling_mac_per_s,
                "bandwidth_bytes_per_s": result.bandwidth_bytes_per_s,
                "intensity_mac_per_byte": result.intensity_mac_per_byte,
                "attainable_mac_per_s": result.attainable_mac_per_s,
                **bounded("share_of_ceiling", result.share_of_ceiling),
                **bounded("share_of_attainable", result.share_of_attainable),
                "bound": result.bound,
                "reason": result.reason or None,
            }
        )
    return pd.DataFrame(rows)


def ceilings(run: RunRecord) -> pd.DataFrame:
    """Return one row for each dtype with a ceiling: the best rate of each kind of probe."""
    rows = []
    for dtype, facts in run.ceilings.items():
        if not (rates := best(facts)):
            continue
        fastest = max(facts.probes, key=lambda probe: probe.mac_per_s)
        rows.append(
            {
                "dtype": dtype,
                **{f"{kind}_mac_per_s": rates.get(kind, math.nan) for kind in KINDS},
                "best": f"{fastest.kind.replace('_convolution', ' convolution')} {fastest.size}",
                "bandwidth_bytes_per_s": facts.bytes_per_s,
            }
        )
    return pd.DataFrame(rows)


def best(facts: PeakRates) -> dict[str, float]:
    """Return the best rate of each kind of probe, in multiply-accumulates per second."""
    rates: dict[str, float] = {}
    for probe in facts.probes:
        rates[probe.kind] = max(probe.mac_per_s, rates.get(probe.kind, 0.0))
    return rates


def _least_bytes(record: CellRecord, facts: PeakRates) -> float:
    """Return the bytes a batch must move: weights read once, activations written and read once."""
    params, activations = _number(record.cost.params), _number(record.cost.activations_per_image)
    elements = params + 2 * activations * record.cell.batch_size
    return elements * _number(facts.bytes_per_element) or math.nan


def _reason(record: CellRecord, facts: PeakRates) -> str:
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
