"""A run as data frames: one row per cell or per sample. The column names contain the units."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import chain
from statistics import median_low
from typing import Any

import numpy as np
import pandas as pd

from bench import energy, means, stats
from bench.cells.cell import Cell
from bench.means import Interval
from bench.records.counted import not_counted
from bench.records.record import CellRecord, RunRecord
from bench.records.reported import PeakRates
from bench.records.run_cache import cached_per_run
from bench.report import bottleneck, roofline
from bench.stats import ByVisit
from bench.tables import Column, bounded
from bench.trust import card

MEMORY_COLUMNS = (
    "peak_memory_bytes",
    "peak_allocated_bytes",
    "peak_reserved_bytes",
    "peak_resident_bytes",
)

FAILURE_COLUMNS = (
    Column(name="cell", heading="cell", is_text=True),
    Column(name="phase", heading="phase", is_text=True),
    Column(name="kind", heading="kind", is_text=True),
    Column(name="reason", heading="reason", is_text=True),
)


@cached_per_run
def summary(run: RunRecord) -> pd.DataFrame:
    """Return one row for each cell; the cells of a group are adjacent."""
    logs = {
        record.cell: stats.log_latencies(record) for record in run.cells if record.failure is None
    }
    references = run.references()
    energies_j = [energy.per_image_j(record.setups) for record in run.cells]
    has_energy = any(joules.sets for joules in energies_j)  # only CUDA devices have it
    rows = []
    for record, joules in zip(run.cells, energies_j, strict=True):
        reference = references.get(record.cell.group)
        same_mode = replace(reference, mode=record.cell.mode) if reference else None
        with_figures = replace(record, visits=()) if record.failure else record
        rows.append(
            {
                **_row(with_figures, run.ceilings, logs, reference=reference, same_mode=same_mode),
                **(bottleneck.columns(with_figures) if run.has_blocks else {}),
                **(bounded("energy_per_image_j", joules) if has_energy else {}),
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


def _row(
    record: CellRecord,
    ceilings: Mapping[str, PeakRates],
    logs: Mapping[Cell, ByVisit],
    reference: Cell | None,
    same_mode: Cell | None,
) -> dict[str, Any]:
    cell, latency_s = record.cell, record.host_s
    latency = stats.latency(record)
    under = roofline.compute(record, ceilings, stats.iteration(record))
    macs, uncounted = record.cost.macs_per_image, record.cost.uncounted
    return {
        "arch": cell.arch,
        "mode": cell.mode,
        "dtype": cell.dtype,
        "batch_size": cell.batch_size,
        "task": cell.task,
        "device": cell.device,
        "status": _status(record),
        "sets": latency.sets,
        "samples": len(latency_s),
        **bounded("latency_s", latency),
        "latency_p50_s": means.percentile(latency_s, 50),
        "latency_p90_s": means.percentile(latency_s, 90),
        "latency_p99_s": means.percentile(latency_s, 99),
        "device_p50_s": means.percentile(record.device_s, 50),
        **bounded("images_per_s", stats.throughput(record)),
        **bounded("speedup_over_reference", _speedup(cell, reference, logs)),
        **bounded("speedup_over_reference_same_mode", _speedup(cell, same_mode, logs)),
        "params": record.cost.params,
        "params_with_aux": record.cost.params_with_aux,
        "macs_per_image": macs,
        "flops_per_image": None if macs is None else 2 * macs,
        "macs_is_lower_bound": bool(uncounted),
        "uncounted": not_counted(uncounted) or None,
        "fvcore_total_per_image": record.cost.fvcore_total_per_image,
        "mac_per_s": under.achieved_mac_per_s.estimate,
        "share_of_ceiling": under.share_of_ceiling.estimate,
        "share_of_attainable": under.share_of_attainable.estimate,
        **{name: _median(record, name) for name in MEMORY_COLUMNS},
        "resident_before_build_bytes": _largest(record, "resident_before_bytes"),
        "compile_cold_s": record.compile_cold_s,
        "compile_warm_s": record.compile_warm_s,
        "graph_breaks": _largest(record, "graph_breaks"),
        "late_graph_breaks": _largest(record, "late_graph_breaks"),
        "recompiled_graphs": _largest(record, "recompiled_graphs"),
        "output_error": _largest(record, "output_error"),
        "error_bound": _largest(record, "error_bound"),
        "gradient_error": _largest(record, "gradient_error"),
    }


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
    return f"every round was voided: {card.why_void(rounds)}"


def _speedup(cell: Cell, reference: Cell | None, logs: Mapping[Cell, ByVisit]) -> Interval:
    if reference is None or not logs.get(cell) or not logs.get(reference):
        return means.NO_INTERVAL
    if reference == cell:  # 1 by definition, so there is no interval
        return Interval(estimate=1.0, low=math.nan, high=math.nan, sets=0)
    return stats.over_sets(stats.log_ratios(logs[cell], logs[reference]))


def _joined(parts: Iterator[tuple[float, ...]]) -> Any:
    return np.fromiter(chain.from_iterable(parts), dtype=float)


def _values(record: CellRecord, name: str) -> list[Any]:
    values = (getattr(setup, name) for setup in record.setups)
    return [value for value in values if value is not None]


def _largest(record: CellRecord, name: str) -> Any:
    return max(_values(record, name), default=None)


def _median(record: CellRecord, name: str) -> Any:
    """Return the median over the sets' workers; the maximum would grow with the number of sets."""
    values = _values(record, name)
    return median_low(values) if values else None
