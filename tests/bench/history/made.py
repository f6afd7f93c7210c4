"""Runs and files for tests of the history."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from bench.history import from_run
from bench.history.entry import CellEntry, Entry, Figure
from bench.metrics.speedup import SPEEDUP
from bench.records.record import CellRecord, RunRecord
from tests.bench import runs

FIRST = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
RATIO = SPEEDUP.name


def scaled(record: CellRecord, factor: float) -> CellRecord:
    """Return a record whose latencies are multiplied by a factor."""
    visits = (
        replace(visit, host_s=tuple(factor * sample for sample in visit.host_s))
        for visit in record.visits
    )
    return replace(record, visits=tuple(visits))


def run(day: int, slowdown: float = 1.0, **fields: Any) -> RunRecord:
    """Return the run of a day, in which googlenet in eager takes ``slowdown`` times as long."""
    small = runs.small("complete")
    return replace(
        small,
        cells=tuple(
            scaled(record, slowdown) if record.cell == runs.EAGER else record
            for record in small.cells
        ),
        run_id=f"{day:032x}",
        datetime=(FIRST + timedelta(days=day)).isoformat(),
        commit_info={"id": f"{day:040x}", "branch": "main", "dirty": False},
        **fields,
    )


def entry(day: int, slowdown: float = 1.0, **fields: Any) -> Entry:
    """Return the entry of such a run; ``fields`` replace those of the entry."""
    return msgspec.structs.replace(from_run.entry(run(day, slowdown)), **fields)


def figures(entry_: Entry, cell: str) -> dict[str, Figure]:
    """Return the figures of a cell by metric."""
    return {figure.metric: figure for figure in named(entry_, cell).figures}


def named(entry_: Entry, cell: str) -> CellEntry:
    return next(each for each in entry_.cells if each.cell == cell)


def pytest_benchmark_content(median_s: float = 0.5, day: int = 0) -> dict[str, Any]:
    """Return the content of a file of pytest-benchmark from another project."""
    statistics = {"median": median_s, "q1": 0.4, "q3": 0.7, "iqr": 0.3}
    return {
        "machine_info": {
            "python_version": "3.12.1",
            "machine": "x86_64",
            "system": "Linux",
            "cpu": {"brand_raw": "AMD EPYC", "count": 2, "hz_actual": [day, 0]},
        },
        "commit_info": {"id": "unversioned", "branch": "(unknown)", "dirty": False},
        "benchmarks": [
            {
                "fullname": "test_other.py::test_sum",
                "group": None,
                "stats": {**statistics, "rounds": 7, "iterations": 3},
            }
        ],
        "datetime": (FIRST + timedelta(days=day)).replace(tzinfo=None).isoformat(),
    }


def write_pytest_benchmark(path: Path, median_s: float = 0.5, day: int = 0) -> Path:
    path.write_bytes(msgspec.json.encode(pytest_benchmark_content(median_s, day)))
    return path
