"""Time by operator of each profiled cell, by category, and beside the device's peak rate.

Times are those of the profilers, which are not scaled. A profiler takes time itself, so a profiled
iteration is compared with the latency of the cell.
"""

import re
from collections.abc import Iterator
from typing import Any

import pandas as pd

from bench import stats
from bench.columns import Column, milliseconds, scaled, significant
from bench.metrics import roofline
from bench.records.record import CellRecord, RunRecord
from bench.records.reported import OperatorProfile
from bench.records.run_cache import cached_per_run

CONVOLUTION, PRODUCT, FUSED = "convolution", "matrix product", "code of a compiler"
OTHER = "other"
NOT_ATTRIBUTED = "not attributed"
# The first pattern that is found in the name of an operator decides, in any case of the letters.
_PATTERNS = (
    (FUSED, r"^triton_|^compiledfxgraph$|^torch-compiled region|^cpp_fused"),
    (CONVOLUTION, r"conv(?!ert)|fprop|dgrad|wgrad|winograd"),
    (PRODUCT, r"mm\b|mm_|gemm|matmul|linear|fullyconnected|einsum|attention|cublaslt"),
    ("pooling", r"pool"),
    ("normalisation", r"norm|\blrn\b|\bmvn\b|\bbn_"),
    (
        "activation",
        r"relu|elu\b|gelu|silu|swish|sigmoid|tanh|softmax|mish|softplus|clamp|\bclip\b",
    ),
    (
        "concat, copy, reorder",
        r"concat|\bcat\b|cat_|copy|reorder|memcpy|transpose|permute|contiguous|clone|convert"
        r"|\bcast\b|::to$|slice|split|gather|reshape|\bpad\b",
    ),
)
_COMPILED = tuple((category, re.compile(pattern, re.I)) for category, pattern in _PATTERNS)
_CLEAR = tuple(category for category, _ in _PATTERNS if category != FUSED)
CATEGORIES = (*_CLEAR, FUSED, OTHER, NOT_ATTRIBUTED)
"""Every category, in the order of charts."""
TORCH = "torch.profiler"

_PERCENT = scaled(100, 1)
_FACTOR = scaled(1, 2)
CELL_COLUMNS = (
    Column(name="arch", heading="arch", is_text=True),
    Column(name="mode", heading="mode", is_text=True),
)
_WHERE_COLUMNS = (
    Column(name="dtype", heading="dtype", is_text=True),
    Column(name="batch_size", heading="batch"),
    Column(name="task", heading="task", is_text=True),
)
OPERATOR_COLUMNS = (
    Column(name="operator", heading="operator", is_text=True),
    Column(name="category", heading="category", is_text=True),
    Column(name="calls", heading="calls", write=scaled(1, 1)),
    Column(name="time_s", heading="ms", write=milliseconds),
    Column(name="share", heading="% of the iteration", write=_PERCENT),
)
COLUMNS = (*CELL_COLUMNS, *_WHERE_COLUMNS, *OPERATOR_COLUMNS)
BALANCE_COLUMNS = (
    *CELL_COLUMNS,
    Column(name="latency_s", heading="latency ms", write=milliseconds),
    Column(name="iteration_s", heading="profiled ms", write=milliseconds),
    Column(name="profiled_ratio", heading="profiled / latency", write=_FACTOR),
    Column(name="not_attributed", heading="% not attributed", write=_PERCENT),
    Column(name="multiplying_s", heading="convolutions and products ms", write=milliseconds),
    Column(name="peak_s", heading="at the peak ms", write=milliseconds),
    Column(name="over_peak", heading="times the peak's", write=significant),
)


def category(operator: str) -> str:
    """Return the category of an operator's name; ``other`` if no pattern matches."""
    found = (name for name, pattern in _COMPILED if pattern.search(operator))
    return next(found, OTHER)


@cached_per_run
def frame(run: RunRecord) -> pd.DataFrame:
    """Return a row for each operator of each profiled cell, and for what was not attributed."""
    return pd.DataFrame(
        [
            {**_cell(record), "profiler": profile.profiler, "iteration_s": profile.iteration_s}
            | row
            for record, profile in _profiled(run)
            for row in _rows(profile)
        ]
    )


@cached_per_run
def balance(run: RunRecord) -> pd.DataFrame:
    """Return a row for each profiled cell: its latency, its profile, and the device's peak rate.

    ``is_main``: the fastest cell of PyTorch of each network, and all of other libraries.
    """
    rows = [_balance(run, record, profile) for record, profile in _profiled(run)]
    fastest: dict[tuple[object, ...], float] = {}
    for row in rows:
        if row["profiler"] == TORCH:
            key = _network(row)
            fastest[key] = min(row["latency_s"], fastest.get(key, row["latency_s"]))
    for row in rows:
        is_slower = row["profiler"] == TORCH and row["latency_s"] > fastest[_network(row)]
        row["is_main"] = not is_slower
    return pd.DataFrame(rows)


def unknown(run: RunRecord) -> list[tuple[CellRecord, str]]:
    """Return the cells whose operators are unknown although they were asked for, and why."""
    return [
        (record, setup.operators.error)
        for record in run.cells
        for setup in record.setups
        if setup.operators and setup.operators.error
    ]


def _profiled(run: RunRecord) -> Iterator[tuple[CellRecord, OperatorProfile]]:
    for record in run.cells:
        profiles = (setup.operators for setup in record.setups)
        profile = next((each for each in profiles if each and each.iteration_s), None)
        if profile and record.has_figures:
            yield record, profile


def _rows(profile: OperatorProfile) -> Iterator[dict[str, object]]:
    iteration_s = profile.iteration_s or 0.0
    for operator in profile.operators:
        yield {
            "operator": operator.kind,
            "category": category(operator.kind),
            "calls": operator.calls,
            "time_s": operator.time_s,
            "share": operator.time_s / iteration_s,
        }
    rest_s = _rest_s(profile)
    if rest_s > 0:
        yield {
            "operator": f"({NOT_ATTRIBUTED})",
            "category": NOT_ATTRIBUTED,
            "time_s": rest_s,
            "share": rest_s / iteration_s,
        }


def _rest_s(profile: OperatorProfile) -> float:
    """Return the time of an iteration that no operator has; 0 if they ran at the same time."""
    attributed_s = sum(operator.time_s for operator in profile.operators)
    return max(0.0, (profile.iteration_s or 0.0) - attributed_s)


def _balance(run: RunRecord, record: CellRecord, profile: OperatorProfile) -> dict[str, Any]:
    latency_s, iteration_s = stats.latency(record).estimate, profile.iteration_s or 0.0
    multiplying_s = sum(
        operator.time_s
        for operator in profile.operators
        if category(operator.kind) in {CONVOLUTION, PRODUCT}
    )
    peak_s = roofline.compute(record, run.ceilings).peak_s
    return {
        **_cell(record),
        "profiler": profile.profiler,
        "latency_s": latency_s,
        "iteration_s": iteration_s,
        "profiled_ratio": iteration_s / latency_s,
        "not_attributed": _rest_s(profile) / iteration_s,
        "multiplying_s": multiplying_s,
        "peak_s": peak_s,
        "over_peak": multiplying_s / peak_s if multiplying_s and peak_s else None,
    }


def _cell(record: CellRecord) -> dict[str, object]:
    cell = record.cell
    return {
        "arch": cell.arch,
        "mode": cell.mode,
        "dtype": cell.dtype,
        "batch_size": cell.batch_size,
        "task": cell.task,
        "device": cell.device,
    }


def _network(row: dict[str, Any]) -> tuple[object, ...]:
    return tuple(row[name] for name in ("arch", "dtype", "batch_size", "task", "device"))
