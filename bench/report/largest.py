"""The largest batches that fit, of a run that looked for them (``--fit``). Pure."""

from collections.abc import Iterator

import pandas as pd

from bench.engine.fit import MOST
from bench.records.record import Fit, RunRecord
from bench.tables import Column, scaled
from bench.units import MIB

COLUMNS = (
    Column(name="arch", heading="arch", is_text=True),
    Column(name="mode", heading="mode", is_text=True),
    Column(name="dtype", heading="dtype", is_text=True),
    Column(name="task", heading="task", is_text=True),
    Column(name="device", heading="device", is_text=True),
    Column(name="largest_batch_size", heading="largest batch"),
    Column(name="held_bytes", heading="holding MiB", write=scaled(1 / MIB, 0)),
    Column(name="failed_batch_size", heading="does not fit"),
    Column(name="reason", heading="why", is_text=True, wraps=True),
    Column(name="attempts", heading="attempts"),
)


def frame(run: RunRecord) -> pd.DataFrame:
    """One row for each arch, mode, dtype and task that was looked into."""
    rows = []
    for found in run.fits:
        largest, smallest = found.largest, found.smallest_failed
        rows.append(
            {
                "arch": found.cell.arch,
                "mode": found.cell.mode,
                "dtype": found.cell.dtype,
                "task": found.cell.task,
                "device": found.cell.device,
                "largest_batch_size": largest.batch_size if largest else 0,
                "held_bytes": largest.held_bytes if largest else None,
                "failed_batch_size": smallest.batch_size if smallest else None,
                "reason": _reason(found),
                "attempts": len(found.attempts),
            }
        )
    table = pd.DataFrame(rows)
    if rows:  # whole numbers, some of them missing
        table = table.astype({"held_bytes": "Int64", "failed_batch_size": "Int64"})
    return table


def findings(run: RunRecord) -> Iterator[tuple[str, tuple[str, ...]]]:
    """A title for each dtype, task and device, and the largest batches in sentences."""
    said: dict[str, list[str]] = {}
    for found in run.fits:
        cell, largest, failed = found.cell, found.largest, found.smallest_failed
        name = f"{cell.arch} in {cell.mode}"
        if (error := found.error) is not None:
            known = f"fits at batch {largest.batch_size:,}; " if largest else ""
            sentence = (
                f"{name}: {known}its largest batch is not known, because one of "
                f"{error.batch_size:,} failed for another reason than memory: {error.reason}."
            )
        elif largest is None:
            sentence = f"{name} does not fit at all: {failed.reason if failed else ''}."
        elif failed is None:
            sentence = f"{name} fits at batch {largest.batch_size:,}, the largest that is tried."
        else:
            sentence = (
                f"{name} fits up to a batch of {largest.batch_size:,}, alone on the device; one of "
                f"{failed.batch_size:,} does not."
            )
        title = f"{cell.dtype}, {cell.task}, {cell.device}: largest batch"
        said.setdefault(title, []).append(sentence)
    for title, sentences in said.items():
        yield title, tuple(sentences)


def _reason(found: Fit) -> str:
    """Why it is not larger, or why that is not known."""
    if found.error is not None:
        size, reason = found.error.batch_size, found.error.reason
        return f"not known: batch {size:,} failed for another reason than memory: {reason}"
    smallest = found.smallest_failed
    return smallest.reason if smallest else f"none larger than {MOST:,} is tried"
