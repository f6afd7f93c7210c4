"""The summary table: the columns and the groups in which a report shows a run's cells."""

import re
from collections.abc import Iterator

import pandas as pd

from bench.records.record import RunRecord
from bench.tables import IN_FULL, Column, filled, joules, milliseconds, scaled
from bench.units import MIB

GROUPED_BY = ["dtype", "batch_size", "task", "device"]


def columns(reference: str, *, has_blocks: bool = False) -> tuple[Column, ...]:
    """Return the columns of the table; ``reference`` (arch and mode) is in a ratio's heading.

    If ``has_blocks``, the device has times of its own, so the headings of host times say "host".
    """
    host = "host " if has_blocks else ""
    return (
        Column(name="arch", heading="arch", is_text=True),
        Column(name="mode", heading="mode", is_text=True),
        Column(name="latency_s", heading=f"{host}latency ms", write=milliseconds, bounded=True),
        Column(name="latency_p50_s", heading=f"{host}p50 ms", write=milliseconds, rank=IN_FULL),
        Column(name="latency_p90_s", heading=f"{host}p90 ms", write=milliseconds, rank=4),
        Column(name="latency_p99_s", heading=f"{host}p99 ms", write=milliseconds, rank=IN_FULL),
        Column(name="device_p50_s", heading="device p50 ms", write=milliseconds, rank=3),
        Column(
            name="images_per_s", heading="images/s", write=scaled(1, 1), bounded=has_blocks, rank=2
        ),
        Column(name="images_per_s_from", heading="images/s\nfrom", is_text=True, rank=IN_FULL),
        Column(name="busy_p50_s", heading="busy p50 ms", write=milliseconds, rank=IN_FULL),
        Column(
            name="busy_share", heading="device\nbusy %", write=scaled(100, 0), bounded=True, rank=3
        ),
        Column(name="bottleneck", heading="bottleneck", is_text=True, rank=2),
        Column(
            name="speedup_over_reference",
            heading=f"× {reference}",
            write=scaled(1, 3),
            bounded=True,
        ),
        Column(
            name="speedup_over_reference_same_mode",
            heading="× same mode",
            write=scaled(1, 3),
            bounded=True,
            rank=1,
        ),
        Column(name="params", heading="params M", write=scaled(1e-6, 3), rank=IN_FULL),
        Column(
            name="macs_per_image",
            heading="GMACs/image",
            write=scaled(1e-9, 3),
            rank=IN_FULL,
            at_least="macs_is_lower_bound",
        ),
        Column(
            name="peak_reserved_bytes",
            heading="reserved MiB",
            write=scaled(1 / MIB, 0),
            rank=IN_FULL,
        ),
        Column(name="peak_memory_bytes", heading="memory MiB", write=scaled(1 / MIB, 0), rank=3),
        Column(name="energy_per_image_j", heading="J/image", write=joules, bounded=True, rank=3),
        Column(
            name="compile_cold_s",
            heading="compile\ncold s",
            write=scaled(1, 1),
            rank=IN_FULL,
        ),
        Column(
            name="compile_warm_s",
            heading="compile\nwarm s",
            write=scaled(1, 1),
            rank=IN_FULL,
        ),
        Column(name="output_error", heading="output error", write="{:.1e}".format, rank=IN_FULL),
        Column(name="sets", heading="sets", rank=IN_FULL),
        Column(name="samples", heading="samples", rank=IN_FULL),
    )


def groups(rows: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield a title and the measured rows of each dtype, batch size, task and device.

    ``rows`` is the result of ``frame.summary``.
    """
    if not rows.empty:
        yield from grouped(rows[rows["status"] == "measured"])


def grouped(rows: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield a title and the rows of each dtype, batch size, task and device."""
    for (dtype, batch_size, task, device), group in rows.groupby(GROUPED_BY, sort=False):
        yield f"{dtype}, batch {batch_size}, {task}, {device}", group


def slug(title: str) -> str:
    """Return a title in the form that file names use."""
    return re.sub("[^a-z0-9]+", "-", title.lower()).strip("-")


def shown_columns(run: RunRecord, rows: pd.DataFrame) -> tuple[Column, ...]:
    """Return the columns that are not empty in these rows."""
    first = rows.iloc[0]
    group = f"{first['dtype']}/b{first['batch_size']}/{first['task']}/{first['device']}"
    cell = run.references().get(group)
    reference = f"{cell.arch}\n{cell.mode}" if cell else "reference"
    return filled(columns(reference, has_blocks=run.has_blocks), rows)
