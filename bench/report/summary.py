"""The summary table: which columns a person is shown of a run's cells, and its groups."""

from collections.abc import Iterator

import pandas as pd

from bench.record import RunRecord
from bench.report import frame
from bench.report.tables import Column, filled, milliseconds, scaled

GROUPED_BY = ["dtype", "batch_size", "task", "device"]
PER_MIB = 1 / 2**20


def columns(reference: str) -> tuple[Column, ...]:
    """The columns of the table, ratios being taken to ``reference``."""
    return (
        Column(name="arch", heading="arch", is_text=True),
        Column(name="mode", heading="mode", is_text=True),
        Column(name="latency_p50_s", heading="p50 ms", write=milliseconds),
        Column(name="latency_p90_s", heading="p90 ms", write=milliseconds),
        Column(name="latency_p99_s", heading="p99 ms", write=milliseconds, in_full_only=True),
        Column(name="device_p50_s", heading="device p50 ms", write=milliseconds),
        Column(name="images_per_s", heading="images/s", write=scaled(1, 1)),
        Column(
            name="speedup_over_reference_eager",
            heading=f"× {reference}\neager",
            write=scaled(1, 2),
        ),
        Column(
            name="speedup_over_reference_same_mode",
            heading="× same\nmode",
            write=scaled(1, 2),
        ),
        Column(name="params", heading="params M", write=scaled(1e-6, 3), in_full_only=True),
        Column(
            name="macs_per_image", heading="GMACs/image", write=scaled(1e-9, 3), in_full_only=True
        ),
        Column(
            name="peak_allocated_bytes",
            heading="allocated MiB",
            write=scaled(PER_MIB, 0),
            in_full_only=True,
        ),
        Column(
            name="peak_reserved_bytes",
            heading="reserved MiB",
            write=scaled(PER_MIB, 0),
            in_full_only=True,
        ),
        Column(name="peak_resident_bytes", heading="resident MiB", write=scaled(PER_MIB, 0)),
        Column(
            name="compile_cold_s",
            heading="compile\ncold s",
            write=scaled(1, 1),
            in_full_only=True,
        ),
        Column(
            name="compile_warm_s",
            heading="compile\nwarm s",
            write=scaled(1, 1),
            in_full_only=True,
        ),
        Column(
            name="output_error", heading="output error", write="{:.1e}".format, in_full_only=True
        ),
        Column(name="samples", heading="samples", in_full_only=True),
    )


def groups(run: RunRecord) -> Iterator[tuple[str, pd.DataFrame]]:
    """A title and the measured rows of each dtype, batch size, task and device."""
    rows = frame.summary(run)
    if rows.empty:
        return
    for (dtype, batch_size, task, device), group in rows.groupby(GROUPED_BY, sort=False):
        measured = group[group["status"] == "measured"]
        if not measured.empty:
            yield f"{dtype}, batch {batch_size}, {task}, {device}", measured


def shown_columns(run: RunRecord, rows: pd.DataFrame) -> tuple[Column, ...]:
    """The columns that say anything about these rows."""
    return filled(columns(run.reference_arch), rows)
