"""Tables of the roofline model (bench/metrics/roofline.py): the ceilings, and each cell's share."""

import math

import pandas as pd

from bench.columns import Column, bounded, scaled
from bench.metrics.roofline import best, compute
from bench.records.record import RunRecord
from bench.records.run_cache import cached_per_run

KINDS = ("product", "convolution", "channels_last_convolution")  # kinds of ceiling probes

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


@cached_per_run
def frame(run: RunRecord) -> pd.DataFrame:
    """Return one row for each measured cell, with the ceiling of its dtype."""
    rows = []
    for record in run.cells:
        if not record.has_figures:
            continue
        result, cell = compute(record, run.ceilings), record.cell
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
