"""Ratios to a reference that was measured in the same rounds."""

from dataclasses import replace

from bench.columns import scaled
from bench.means import Interval
from bench.metrics.metric import Better, MeasuredCell, Metric, Place, always


def _over_reference(cell: MeasuredCell) -> Interval:
    return cell.speedup_over(cell.reference)


def _over_reference_in_mode(cell: MeasuredCell) -> Interval:
    own, reference = cell.record.cell, cell.reference
    if own.across_dtypes:  # the same mode in fp32 may be there or not, and differs in the dtype
        reference = None
    return cell.speedup_over(reference and replace(reference, mode=own.mode))


SPEEDUP = Metric(
    name="speedup_over_reference",
    heading="× {reference}",
    compute=_over_reference,
    write=scaled(1, 3),
    explanation="The speedup over the reference: over 1 is faster. It is the ratio within a round, "
    "in which both cells are visited moments apart; then the median over the rounds of a set; then "
    "the geometric mean over sets of fresh processes. Drift that slows both cells alike cancels. "
    "Between modes, a part of the drift remains; the interval includes it. If the interval "
    "contains 1, no difference has been shown.",
    better=Better.MORE,
    neutral=1.0,
    bounded=always,
    places={Place.SUMMARY, Place.SIDE_BY_SIDE},
    rank=0,
    order=300,
)
SPEEDUP_IN_MODE = Metric(
    name="speedup_over_reference_same_mode",
    heading="× same mode",
    compute=_over_reference_in_mode,
    write=scaled(1, 3),
    explanation="The speedup over the reference's arch in the cell's own mode.",
    better=Better.MORE,
    neutral=1.0,
    bounded=always,
    places={Place.SUMMARY},
    rank=1,
    order=310,
)
