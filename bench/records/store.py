"""The run file: pytest-benchmark's JSON, with everything of ours inside its two free places.

A benchmark's ``extra_info`` holds its cell, ``machine_info["googlenet_bench"]`` the run: readers of
that format take the file as it is. Schema versions:

1. The first.
2. Sets are waves of live workers: samples have a wave; controls, rounds with their foreign load,
   voided samples, cold compilations and notes are kept.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import msgspec

from bench import atomic
from bench.cells.cell import Cell
from bench.names import RequestError
from bench.records import flat
from bench.records.record import SCHEMA_VERSION, CellRecord, RunRecord

OURS = "googlenet_bench"
TEST_NAME = "test_cell"
TEST_FILE = "bench/suite/test_cells.py"
_KEPT_AS_THEY_ARE = ("environment", "base_environment", "plan", "status", "phases_s", "notes")


def write(run: RunRecord, path: Path) -> None:
    """Write a run file, whole or not at all. Needs pytest-benchmark, for its statistics."""
    # On one line: json's fast encoder cannot indent, and there may be a million samples.
    atomic.write_text(path, json.dumps(to_json(run), allow_nan=False) + "\n")


def read(path: Path) -> RunRecord:
    """Read a run file; raises ``RequestError`` in a sentence for what is not one."""
    try:
        content = msgspec.json.decode(path.read_bytes())
    except IsADirectoryError as error:
        files = sorted(found.name for found in path.glob("*.json"))
        more = f"; in it there is {' and '.join(files)}" if files else ", and holds no .json"
        raise RequestError(f"{path} is a folder{more}") from error
    except OSError as error:
        raise RequestError(f"cannot read {path}: {error.strerror}") from error
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise RequestError(f"{path} is not JSON: {error}") from error
    try:
        return from_json(content)
    except RequestError as error:
        raise RequestError(f"{path}: {error}") from error
    except (msgspec.ValidationError, LookupError, TypeError, ValueError, AttributeError) as error:
        raise RequestError(
            f"{path} is damaged: {type(error).__name__} {error} while reading it as a run file"
        ) from error


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
                "base_environment": run.base_environment and dict(run.base_environment),
                **({"fits": [asdict(found) for found in run.fits]} if run.fits else {}),
                "ceilings": {dtype: dict(facts) for dtype, facts in run.ceilings.items()},
                **({"shared": msgspec.to_builtins(run.shared)} if run.shared else {}),
                "phases_s": dict(run.phases_s),
                "cells": [record.cell.id for record in run.cells],
                "without_figures": [_info(cell) for cell in run.cells if not cell.has_figures],
                "controls": [_info(control) for control in run.controls],
                "bases": [_info(base) for base in run.bases],
                "rounds": msgspec.to_builtins(flat.of_rounds(run.rounds)),
                "allotted": dict(run.allotted),
                "notes": list(run.notes),
                "gate": run.gate and dict(run.gate),
            },
        },
        "commit_info": dict(run.commit_info),
        "benchmarks": [_benchmark(cell) for cell in run.cells if cell.has_figures],
        "datetime": run.datetime,
        "version": __version__,
    }


def from_json(content: Any) -> RunRecord:
    """The run in a run file's content; raises ``RequestError`` for another schema or none."""
    found = content.get("machine_info") if isinstance(content, dict) else None
    machine_info = dict(found) if isinstance(found, dict) else {}
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
            "controls": [_cell_fields(info) for info in ours["controls"]],
            "bases": [_cell_fields(info) for info in ours["bases"]],
            "rounds": flat.rounds(ours["rounds"]),
            **{name: ours[name] for name in _KEPT_AS_THEY_ARE},
            # Of version 2 too, but not from its beginning.
            **{name: ours.get(name, {}) for name in ("ceilings", "shared")},
            "allotted": ours.get("allotted") or _as_planned(ours),
            "gate": ours.get("gate"),
            "fits": ours.get("fits", []),
            "machine_info": machine_info,
            **{name: content[name] for name in ("commit_info", "datetime")},
        },
        RunRecord,
    )
    if not isinstance(run.plan["precision"], float):
        raise TypeError("precision is no number")
    return run


def _as_planned(ours: Mapping[str, Any]) -> dict[str, int]:
    """The rounds of each group's sets, in files of a time when every plan said how many."""
    return dict.fromkeys(ours["rounds"]["group"], ours["plan"]["rounds"])


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
    """A cell's own fields; samples lie flat, each with its set, wave and round beside it."""
    return {
        "schema_version": SCHEMA_VERSION,
        **asdict(record.cell),
        **flat.of_visits(list(record.valid)),
        "voided": flat.of_visits([visit for visit in record.visits if visit.voided]),
        "setups": [dict(setup) for setup in record.setups],
        "compile_cold_s": record.compile_cold_s,
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
        "visits": [*flat.visits(info, voided=False), *flat.visits(info["voided"], voided=True)],
        **{name: info[name] for name in ("setups", "cost", "compile_cold_s", "failure")},
    }
