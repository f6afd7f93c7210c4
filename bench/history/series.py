"""A series: one metric of one cell over many runs, under the same circumstances."""

from datetime import datetime

import msgspec


# A history may have hundreds of thousands of points; their fields need no garbage collector.
class Point(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The value of a metric in one run."""

    run_id: str
    """Id of the run, unique in the history."""
    when: datetime
    """Time at which the run was written, in UTC."""
    commit: str | None
    """Id of the commit that was measured; None if it is unknown."""
    branch: str | None
    value: float
    low: float | None
    high: float | None
    """Ends of the 95 % interval; None if the metric has none, or if the run has only one set."""


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """The points of a metric of a cell that can be compared with each other, in time order.

    They agree in the cell, the machine, the version of torch, the number of threads and the size of
    the images, and, if the metric is a ratio to a reference, in the reference.
    """

    cell: str
    """Id of the cell, or the full name of a benchmark of another project."""
    metric: str
    """Name of the metric (bench/metrics)."""
    unit: str
    """Unit of the values; empty for ratios, shares and counts."""
    better: str | None
    """``more`` or ``less``; None if neither is better."""
    neutral: float | None
    """The value that means no difference: 1 for ratios. None for all other metrics."""
    machine: str
    """Digest of the hardware; it is the same for machines that cannot be told apart."""
    machine_name: str
    """Name of the device: the CPU or the GPU."""
    torch: str
    """Version of torch; empty if it is unknown."""
    threads: int | None
    """Number of threads of an operator; None if it is unknown."""
    image_size: str
    """Size of the images or shape of the inputs; empty if it is unknown."""
    reference: str
    """Id of the reference's cell, if the metric is a ratio to it; otherwise empty."""
    points: tuple[Point, ...]
