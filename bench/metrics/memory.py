"""Memory of a cell's worker. Each figure is the median over the sets' workers.

The maximum would grow with the number of sets.
"""

import math
from dataclasses import replace
from functools import partial
from statistics import median_low

from bench import stats
from bench.columns import IN_FULL, scaled
from bench.means import Interval
from bench.metrics.metric import NOWHERE, Axis, Better, MeasuredCell, Metric, Place
from bench.records.record import CellRecord
from bench.units import MIB

_MIB = scaled(1 / MIB, 0)


def _median(cell: MeasuredCell, name: str) -> int | None:
    values = cell.setup_values(name)
    return median_low(values) if values else None


def _peak_ratio(
    cell: CellRecord,
    other: CellRecord,
    confidence: float,
    *,
    reference: CellRecord | None,  # noqa: ARG001  # peaks of different waves are comparable
) -> Interval:
    """Return how many times less memory a cell needs than another, by the medians over sets.

    The interval is that of the ratio in the sets of both.
    """
    less, more = (
        [setup.peak_memory_bytes for setup in record.setups if setup.peak_memory_bytes]
        for record in (cell, other)
    )
    pairs = enumerate(zip(less, more, strict=False))
    ratio = stats.over({index: math.log(b / a) for index, (a, b) in pairs}, confidence)
    return replace(ratio, estimate=median_low(more) / median_low(less)) if ratio.sets else ratio


RESERVED = Metric(
    name="peak_reserved_bytes",
    unit="bytes",
    heading="reserved MiB",
    compute=partial(_median, name="peak_reserved_bytes"),
    write=_MIB,
    explanation="The peak of what the device's allocator keeps.",
    better=Better.LESS,
    places={Place.SUMMARY},
    rank=IN_FULL,
    order=500,
)
MEMORY = Metric(
    name="peak_memory_bytes",
    unit="bytes",
    heading="memory MiB",
    compute=partial(_median, name="peak_memory_bytes"),
    write=_MIB,
    explanation="The peak of weights and activations, without the interpreter and its libraries. "
    "On CUDA it is the memory of tensors as counted by the device's allocator, with the workspace "
    "of cuBLAS (on an H100 32 MiB, PyTorch's default), but without the CUDA context and the code "
    "of the libraries. On a CPU it is the bytes of parameters and buffers, plus the growth of the "
    "resident set during warm-up and measurement, over its size at rest after all free memory was "
    "returned. This is more than the tensors need, because the workers' allocator keeps freed "
    "memory. It is blank if the system cannot reset the peak. The complete resident set is in "
    "summary.csv.",
    better=Better.LESS,
    axis=Axis(
        name="memory",
        title="peak memory, MiB",
        scale=1 / MIB,
        after=" MiB",
        comparative="needs less memory",
        advantage=_peak_ratio,
    ),
    places={Place.SUMMARY, Place.COMPARISON, Place.GATE},
    rank=3,
    order=510,
)
ALLOCATED = Metric(
    name="peak_allocated_bytes",
    unit="bytes",
    heading="allocated MiB",
    compute=partial(_median, name="peak_allocated_bytes"),
    write=_MIB,
    better=Better.LESS,
    places=NOWHERE,
    order=520,
)
RESIDENT = Metric(
    name="peak_resident_bytes",
    unit="bytes",
    heading="resident MiB",
    compute=partial(_median, name="peak_resident_bytes"),
    write=_MIB,
    better=Better.LESS,
    places=NOWHERE,
    order=530,
)
RESIDENT_BEFORE = Metric(
    name="resident_before_build_bytes",
    unit="bytes",
    heading="resident before\nthe network MiB",
    compute=lambda cell: cell.largest("resident_before_bytes"),
    write=_MIB,
    places=NOWHERE,
    order=540,
)
