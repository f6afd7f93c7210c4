"""A run as data frames: one row a cell, and one row a sample. Units are in the columns' names."""

import math
from typing import Any

import pandas as pd

from bench import stats
from bench.record import CellRecord, RunRecord

MEMORY_COLUMNS = ("peak_allocated_bytes", "peak_reserved_bytes", "peak_resident_bytes")


def summary(run: RunRecord) -> pd.DataFrame:
    """One row for each cell, cells of one dtype, batch, task and device together."""
    by_id = {record.cell.id: record for record in run.cells}
    rows = [_row(record, by_id, run.reference_arch) for record in run.cells]
    return pd.DataFrame(rows)


def samples(run: RunRecord) -> pd.DataFrame:
    """One row for each timed iteration: tidy, in the order measured within a cell."""
    rows = [
        {
            "cell": record.cell.id,
            "set": visit.set_index,
            "round": visit.round_index,
            "iteration": index,
            "latency_s": host_s,
            "device_s": visit.device_s[index] if visit.device_s else math.nan,
        }
        for record in run.cells
        for visit in record.visits
        for index, host_s in enumerate(visit.host_s)
    ]
    columns = ["cell", "set", "round", "iteration", "latency_s", "device_s"]
    return pd.DataFrame(rows, columns=columns)


def failures(run: RunRecord) -> pd.DataFrame:
    """One row for each cell without figures, with the reason."""
    rows = [
        {
            "cell": record.cell.id,
            "phase": record.failure.phase if record.failure else "",
            "kind": record.failure.kind if record.failure else "not_measured",
            "reason": record.failure.message if record.failure else f"the run was {run.status}",
            "stderr": record.failure.stderr if record.failure else "",
        }
        for record in run.cells
        if record.failure or not record.visits
    ]
    return pd.DataFrame(rows, columns=["cell", "phase", "kind", "reason", "stderr"])


def _row(record: CellRecord, by_id: dict[str, CellRecord], reference: str) -> dict[str, Any]:
    cell = record.cell
    latency_s = [] if record.failure else record.host_s
    p50 = stats.percentile(latency_s, 50)
    macs = record.cost.get("macs_per_image")
    return {
        "arch": cell.arch,
        "mode": cell.mode,
        "dtype": cell.dtype,
        "batch_size": cell.batch_size,
        "task": cell.task,
        "device": cell.device,
        "status": _status(record),
        "samples": len(latency_s),
        "latency_p50_s": p50,
        "latency_p90_s": stats.percentile(latency_s, 90),
        "latency_p99_s": stats.percentile(latency_s, 99),
        "device_p50_s": stats.percentile([] if record.failure else record.device_s, 50),
        "images_per_s": stats.images_per_second(p50, cell.batch_size),
        "speedup_over_reference_eager": _speedup(
            record, by_id.get(f"{reference}/eager/{cell.group}")
        ),
        "speedup_over_reference_same_mode": _speedup(
            record, by_id.get(f"{reference}/{cell.mode}/{cell.group}")
        ),
        "params": record.cost.get("params"),
        "params_with_aux": record.cost.get("params_with_aux"),
        "macs_per_image": macs,
        "flops_per_image": None if macs is None else 2 * macs,
        "fvcore_total_per_image": record.cost.get("fvcore_total_per_image"),
        **{name: _largest(record, name) for name in MEMORY_COLUMNS},
        "resident_before_build_bytes": _largest(record, "resident_before_bytes"),
        "compile_cold_s": _compile_s(record, cached=False),
        "compile_warm_s": _compile_s(record, cached=True),
        "graph_breaks": _largest(record, "graph_breaks"),
        "recompiled_graphs": _largest(record, "recompiled_graphs"),
        "output_error": _largest(record, "output_error"),
        "gradient_error": _largest(record, "gradient_error"),
        "reason": record.failure.message if record.failure else "",
    }


def _status(record: CellRecord) -> str:
    if record.failure:
        return "failed"
    return "measured" if record.visits else "not measured"


def _speedup(record: CellRecord, reference: CellRecord | None) -> float:
    if reference is None or reference.failure or record.failure:
        return math.nan
    return stats.speedup(record, reference)


def _values(record: CellRecord, name: str) -> list[Any]:
    return [setup[name] for setup in record.setups if setup.get(name) is not None]


def _largest(record: CellRecord, name: str) -> Any:
    return max(_values(record, name), default=None)


def _compile_s(record: CellRecord, *, cached: bool) -> float | None:
    """Seconds of the last first call that compiled, or took its code from Inductor's cache."""
    calls = [s["first_call_s"] for s in record.setups if s.get("compile_cached") is cached]
    return calls[-1] if calls else None
