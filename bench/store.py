"""The run file: pytest-benchmark's JSON, with everything of ours inside its two free places.

A benchmark's ``extra_info`` holds its cell, ``machine_info["googlenet_bench"]`` the run: readers of
that format take the file as it is. Schema versions:

1. The first.
"""

import json
import math
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import msgspec

from bench.cell import Cell
from bench.names import RequestError
from bench.record import SCHEMA_VERSION, CellRecord, RunRecord

OURS = "googlenet_bench"
TEST_NAME = "test_cell"
TEST_FILE = "bench/suite/test_cells.py"


def write(run: RunRecord, path: Path) -> None:
    """Write a run file, whole or not at all. Needs pytest-benchmark, for its statistics."""
    write_text(path, json.dumps(to_json(run), indent=1, allow_nan=False))


def read(path: Path) -> RunRecord:
    """Read a run file; raises ``RequestError`` in a sentence for what is not one."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RequestError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise RequestError(f"{path} is not JSON: {error}") from error
    try:
        return from_json(content)
    except RequestError as error:
        raise RequestError(f"{path}: {error}") from error
    except (msgspec.ValidationError, LookupError, TypeError, ValueError, AttributeError) as error:
        raise RequestError(
            f"{path} is damaged: {type(error).__name__} {error} while reading it as a run file"
        ) from error


def write_text(path: Path, text: str) -> None:
    """Write a file beside ``path``, and put it in place once it is on disk: whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def to_json(run: RunRecord) -> dict[str, Any]:
    """A run as pytest-benchmark would have written it."""
    from pytest_benchmark import __version__

    # A failed cell is no benchmark: a service that reads the file must not take it for one.
    return {
        "machine_info": {
            **run.machine_info,
            OURS: {
                "schema_version": SCHEMA_VERSION,
                "status": run.status,
                "plan": dict(run.plan),
                "environment": dict(run.environment),
                "phases_s": dict(run.phases_s),
                "cells": [record.cell.id for record in run.cells],
                "without_figures": [_info(cell) for cell in run.cells if not _has_figures(cell)],
            },
        },
        "commit_info": dict(run.commit_info),
        "benchmarks": [_benchmark(cell) for cell in run.cells if _has_figures(cell)],
        "datetime": run.datetime,
        "version": __version__,
    }


def from_json(content: Any) -> RunRecord:
    """The run in a run file's content; raises ``RequestError`` for another schema or none."""
    machine_info = dict(content["machine_info"]) if isinstance(content, dict) else {}
    ours = machine_info.pop(OURS, None)
    if ours is None:
        raise RequestError("this is no run file of googlenet-bench: it has no schema version")
    version = ours["schema_version"]
    if version != SCHEMA_VERSION:
        raise RequestError(
            f"schema version {version!r} where this googlenet-bench reads {SCHEMA_VERSION}: "
            "make the report with the version that made the run"
        )
    infos = [
        *(_with_samples(entry) for entry in content["benchmarks"]),
        *ours["without_figures"],
    ]
    cells = {cell["id"]: cell for cell in map(_cell_fields, infos)}
    run = msgspec.convert(
        {
            "cells": [cells[name] for name in ours["cells"]],
            **{name: ours[name] for name in ("environment", "plan", "status", "phases_s")},
            "machine_info": machine_info,
            **{name: content[name] for name in ("commit_info", "datetime")},
        },
        RunRecord,
    )
    if not isinstance(run.plan["reference_arch"], str):
        raise TypeError("reference_arch is no name")
    return run


def _has_figures(record: CellRecord) -> bool:
    return record.failure is None and bool(record.visits)


def _benchmark(record: CellRecord) -> dict[str, Any]:
    from pytest_benchmark.stats import Stats

    statistics = Stats()
    for sample in record.host_s:
        statistics.update(sample)
    name = f"{TEST_NAME}[{record.cell.id}]"
    return {
        "group": record.cell.group,
        "name": name,
        "fullname": f"{TEST_FILE}::{name}",
        "params": {"cell": record.cell.id},
        "param": record.cell.id,
        "extra_info": extra_info(record),
        "options": {},
        "stats": {**statistics.as_dict(), "data": statistics.data, "iterations": 1},
    }


def extra_info(record: CellRecord) -> dict[str, Any]:
    """What a benchmark's ``extra_info`` holds; the samples are the benchmark's own data."""
    return {name: value for name, value in _info(record).items() if name != "host_s"}


def _info(record: CellRecord) -> dict[str, Any]:
    """A cell's own fields; samples lie flat, each with its set and round beside it."""
    visits = [(visit, index) for visit in record.visits for index in range(len(visit.host_s))]
    return {
        "schema_version": SCHEMA_VERSION,
        **asdict(record.cell),
        "set": [visit.set_index for visit, _ in visits],
        "round": [visit.round_index for visit, _ in visits],
        "host_s": list(record.host_s),
        "device_s": list(record.device_s),
        "setups": [dict(setup) for setup in record.setups],
        "cost": dict(record.cost),
        "failure": asdict(record.failure) if record.failure else None,
    }


def _with_samples(benchmark: Mapping[str, Any]) -> dict[str, Any]:
    return {**benchmark["extra_info"], "host_s": benchmark["stats"]["data"]}


def _cell_fields(info: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a ``CellRecord``, and its cell's id."""
    cell = msgspec.convert({field.name: info[field.name] for field in fields(Cell)}, Cell)
    return {
        "id": cell.id,
        "cell": asdict(cell),
        "visits": _visits(info),
        **{name: info[name] for name in ("setups", "cost", "failure")},
    }


def _visits(info: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The fields of each ``Visit``: samples that share a set and a round, together again."""
    visits: dict[tuple[int, int], dict[str, Any]] = {}
    for name in ("host_s", "device_s"):
        for key, sample in zip(_keys(info), info[name], strict=True) if info[name] else ():
            if not 0 < sample < math.inf:
                raise ValueError(f"a sample of {sample!r} seconds")
            start = {"set_index": key[0], "round_index": key[1], "host_s": [], "device_s": []}
            visits.setdefault(key, start)[name].append(sample)
    return list(visits.values())


def _keys(info: Mapping[str, Any]) -> Iterator[tuple[int, int]]:
    return zip(info["set"], info["round"], strict=True)
