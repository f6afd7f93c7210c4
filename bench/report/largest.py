"""The largest batch sizes that fit, in a run with ``--fit``. Pure."""

from collections.abc import Iterator

import pandas as pd

from bench.columns import Column, scaled
from bench.engine.largest_batch import MAX_BATCH_SIZE
from bench.records.record import Fit, RunRecord
from bench.units import MIB

COLUMNS = (
    Column(name="arch", heading="arch", is_text=True),
    Column(name="mode", heading="mode", is_text=True),
    Column(name="dtype", heading="dtype", is_text=True),
    Column(name="task", heading="task", is_text=True),
    Column(name="device", heading="device", is_text=True),
    Column(name="largest_batch_size", heading="largest batch"),
    Column(name="held_bytes", heading="peak MiB", write=scaled(1 / MIB, 0)),
    Column(name="failed_batch_size", heading="does not fit"),
    Column(name="reason", heading="why", is_text=True, wraps=True),
    Column(name="attempts", heading="attempts"),
)


def frame(run: RunRecord) -> pd.DataFrame:
    """Return one row for each arch, mode, dtype and task whose largest batch was searched for."""
    rows = []
    for fit in run.fits:
        largest, smallest = fit.largest, fit.smallest_failed
        rows.append(
            {
                "arch": fit.cell.arch,
                "mode": fit.cell.mode,
                "dtype": fit.cell.dtype,
                "task": fit.cell.task,
                "device": fit.cell.device,
                "largest_batch_size": largest.batch_size if largest else 0,
                "held_bytes": largest.held_bytes if largest else None,
                "failed_batch_size": smallest.batch_size if smallest else None,
                "reason": _reason(fit),
                "attempts": len(fit.attempts),
            }
        )
    table = pd.DataFrame(rows)
    if rows:  # integers with missing values
        table = table.astype({"held_bytes": "Int64", "failed_batch_size": "Int64"})
    return table


def findings(run: RunRecord) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield a title for each dtype, task and device, with sentences about the largest batches."""
    sentences_by_title: dict[str, list[str]] = {}
    for fit in run.fits:
        cell, largest, failed = fit.cell, fit.largest, fit.smallest_failed
        name = f"{cell.arch} in {cell.mode}"
        if (error := fit.error) is not None:
            fits = f"fits at batch {largest.batch_size:,}; " if largest else ""
            sentence = (
                f"{name}: {fits}its largest batch is unknown, because batch "
                f"{error.batch_size:,} failed for a reason other than memory: {error.reason}."
            )
        elif largest is None:
            sentence = f"{name} does not fit at all: {failed.reason if failed else ''}."
        elif failed is None:
            sentence = f"{name} fits at batch {largest.batch_size:,}, the largest size tried."
        else:
            sentence = (
                f"{name} fits up to batch {largest.batch_size:,}, alone on the device; batch "
                f"{failed.batch_size:,} does not fit."
            )
        title = f"{cell.dtype}, {cell.task}, {cell.device}: largest batch"
        sentences_by_title.setdefault(title, []).append(sentence)
    for title, sentences in sentences_by_title.items():
        yield title, tuple(sentences)


def _reason(fit: Fit) -> str:
    """Return why a larger batch does not fit, or why that is unknown."""
    if fit.error is not None:
        size, reason = fit.error.batch_size, fit.error.reason
        return f"unknown: batch {size:,} failed for a reason other than memory: {reason}"
    smallest = fit.smallest_failed
    return smallest.reason if smallest else f"nothing larger than {MAX_BATCH_SIZE:,} was tried"
