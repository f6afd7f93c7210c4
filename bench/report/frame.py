"""A run as data frames: one row per cell or per sample. The column names contain the units."""

import math
from collections.abc import Iterator
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd

from bench import metrics
from bench.columns import Column
from bench.metrics.metric import MeasuredCell
from bench.records.record import CellRecord, RunRecord
from bench.records.run_cache import cached_per_run
from bench.trust import card_state

LABEL = "label"
"""Column with the mode and the dtype of cells that are compared across dtypes."""
FAILURE_COLUMNS = (
    Column(name="cell", heading="cell", is_text=True),
    Column(name="phase", heading="phase", is_text=True),
    Column(name="kind", heading="kind", is_text=True),
    Column(name="reason", heading="reason", is_text=True),
)


@cached_per_run
def summary(run: RunRecord) -> pd.DataFrame:
    """Return one row for each cell; the cells of a group are adjacent."""
    applying = tuple(metrics.applying(run))
    rows = []
    for record in run.cells:
        cell, measured = record.cell, MeasuredCell.of_run(record, run)
        rows.append(
            {
                "arch": cell.arch,
                "mode": cell.mode,
                "dtype": cell.dtype,
                "batch_size": cell.batch_size,
                "task": cell.task,
                "device": cell.device,
                **({LABEL: cell.label} if cell.across_dtypes else {}),
                "status": _status(record),
                **{
                    name: value
                    for metric in applying
                    for name, value in metric.columns(measured).items()
                },
                "reason": record.failure.message if record.failure else "",
            }
        )
    return pd.DataFrame(rows)


def samples(run: RunRecord) -> pd.DataFrame:
    """Return one row for each timed iteration, in the order measured within a cell.

    The samples of controls (under their own ids) and of voided rounds are included. The disturbed
    iterations of a visit come after the others.
    """
    records = [*run.cells, *run.controls]
    visits = [(index, visit) for index, record in enumerate(records) for visit in record.visits]
    counts = np.array(
        [(len(visit.host_s), len(visit.disturbed_s or ())) for _, visit in visits], dtype=int
    ).reshape(-1, 2)
    lengths = counts.sum(axis=1)

    def repeated(values: Iterator[Any], dtype: type) -> Any:
        return np.repeat(np.fromiter(values, dtype=dtype, count=len(visits)), lengths)

    starts = np.cumsum(lengths) - lengths
    names = pd.Categorical.from_codes(
        repeated((index for index, _ in visits), int),
        categories=pd.Index([record.cell.id for record in records]),
    )
    return pd.DataFrame(
        {
            "cell": names,
            "set": repeated((visit.set_index for _, visit in visits), int),
            "wave": repeated((visit.wave_index for _, visit in visits), int),
            "round": repeated((visit.round_index for _, visit in visits), int),
            "iteration": np.arange(lengths.sum()) - np.repeat(starts, lengths),
            "latency_s": _joined(
                (*visit.host_s, *(visit.disturbed_s or ())) for _, visit in visits
            ),
            "device_s": _joined(
                (
                    *(visit.device_s or (math.nan,) * len(visit.host_s)),
                    *(math.nan,) * len(visit.disturbed_s or ()),
                )
                for _, visit in visits
            ),
            "disturbed": np.repeat(np.tile([False, True], len(visits)), counts.ravel()),
            "voided": repeated((visit.voided for _, visit in visits), bool),
        }
    )


def failures(run: RunRecord) -> pd.DataFrame:
    """Return one row for each cell without figures, with the reason."""
    rows = [
        {
            "cell": record.cell.id,
            "phase": record.failure.phase if record.failure else "",
            "kind": record.failure.kind if record.failure else _status(record).replace(" ", "_"),
            "reason": record.failure.message if record.failure else _why_no_figures(run, record),
            "stderr": record.failure.stderr if record.failure else "",
        }
        for record in (*run.cells, *run.controls)
        if not record.has_figures
    ]
    return pd.DataFrame(rows, columns=["cell", "phase", "kind", "reason", "stderr"])


def _status(record: CellRecord) -> str:
    if record.failure:
        return "failed"
    if not record.visits:
        return "not measured"
    return "measured" if record.has_figures else "voided"


def _why_no_figures(run: RunRecord, record: CellRecord) -> str:
    if not record.visits:
        return f"the run was {run.status.replace('_', ' ')}"
    rounds = [each for each in run.rounds if each.group == record.cell.group]
    return f"every round was voided: {card_state.why_void(rounds)}"


def _joined(parts: Iterator[tuple[float, ...]]) -> Any:
    return np.fromiter(chain.from_iterable(parts), dtype=float)
