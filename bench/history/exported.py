"""A figure of a history, with everything that tells where it comes from."""

from datetime import datetime

import msgspec


class ExportedFigure(msgspec.Struct, frozen=True, kw_only=True):
    """The value of a metric of a cell in a run; the fields are the columns of an export."""

    run_id: str
    when: datetime
    branch: str | None
    commit: str | None
    machine: str
    """Digest of the hardware."""
    machine_name: str
    torch: str
    threads: int | None
    image_size: str
    reference: str
    """Id of the cell that ratios of this run are relative to; empty if there is none."""
    cell: str
    metric: str
    unit: str
    value: float
    low: float | None
    high: float | None
