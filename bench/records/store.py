"""The run file: pytest-benchmark's JSON, with this suite's data in its two free places.

A benchmark's ``extra_info`` contains its cell, and ``machine_info["googlenet_bench"]`` the run.
Readers of pytest-benchmark's format can use the file unchanged. earlier_schemas.py lists the schema
versions and reads the earlier ones.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from operator import itemgetter
from pathlib import Path
from typing import Any

import msgspec

from bench import atomic, json_input, paths
from bench.cells.cell import Cell
from bench.errors import RequestError
from bench.records import earlier_schemas, flat
from bench.records.record import SCHEMA_VERSION, CellRecord, RunRecord

RUN_KEY = "googlenet_bench"
TEST_NAME = "test_cell"
TEST_FILE = "bench/suite/test_cells.py"
ADDED_TO_CELL = frozenset({"across_dtypes"})
"""Fields of cells that were added during version 3; the file has them only if they are set."""
_PLAIN_FIELDS = (
    "run_id",
    "code",
    "allotted",
    "environment",
    "base_environment",
    "plan",
    "status",
    "phases_s",
    "notes",
)


def write(run: RunRecord, path: Path) -> None:
    """Write a run file atomically. Needs pytest-benchmark for its statistics."""
    atomic.write_text(path, text(run))


def text(run: RunRecord) -> str:
    """Return a run file as text. Needs pytest-benchmark for its statistics."""
    content = to_json(run)
    content["machine_info"][RUN_KEY]["digest"] = digest(content)
    # On one line, because json's fast encoder cannot indent and there may be a million samples.
    return json.dumps(content, allow_nan=False) + "\n"


def digest(content: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a run file's content, whatever its indentation and order of keys.

    The digest that the content has itself is left out.
    """
    machine_info = content["machine_info"]
    run_info = {key: value for key, value in machine_info[RUN_KEY].items() if key != "digest"}
    without = {**content, "machine_info": {**machine_info, RUN_KEY: run_info}}
    return hashlib.sha256(msgspec.json.encode(without, order="sorted")).hexdigest()


def read(path: Path) -> RunRecord:
    """Read a run file. Raises ``RequestError`` if it is not a valid one."""
    content = decode(path)
    try:
        return from_json(content)
    except RequestError as error:
        raise RequestError(f"{path}: {error}") from error
    except (msgspec.ValidationError, LookupError, TypeError, ValueError, AttributeError) as error:
        raise RequestError(
            f"{path} is damaged: {type(error).__name__} {error} while reading it as a run file"
        ) from error


def decode(path: Path) -> Any:
    """Return the content of a JSON file, in which all text can be shown.

    Raises ``RequestError`` if it cannot be read, or if it is a run file that was changed after it
    was written.
    """
    try:
        content = json_input.decode(paths.usable(path).read_bytes())
        shown = json_input.cleaned(content)
    except IsADirectoryError as error:
        files = sorted(file.name for file in path.glob("*.json"))
        more = f"; it contains {' and '.join(files)}" if files else ", and contains no .json file"
        raise RequestError(f"{path} is a folder{more}") from error
    except OSError as error:
        raise RequestError(f"cannot read {path}: {error.strerror}") from error
    except json_input.JsonError as error:
        raise RequestError(f"{path}: {error}") from error
    if not _is_as_written(content):
        raise RequestError(
            f"{path} was changed or damaged after it was written: its content does not match its "
            "digest"
        )
    return shown


def is_of_pytest_benchmark(content: Any) -> bool:
    """Whether a file's content is that of pytest-benchmark from another project."""
    if not isinstance(content, dict) or "benchmarks" not in content:
        return False
    machine_info = content.get("machine_info", {})
    return not isinstance(machine_info, dict) or RUN_KEY not in machine_info


def to_json(run: RunRecord) -> dict[str, Any]:
    """Return a run as pytest-benchmark would have written it."""
    from pytest_benchmark import __version__

    hosts = tuple(dict.fromkeys(visit.host for record in _all(run) for visit in record.visits))
    # A failed cell is not among the benchmarks, because services would read it as a valid one.
    return {
        "machine_info": {
            **run.machine_info,
            RUN_KEY: {
                "schema_version": SCHEMA_VERSION,
                "run_id": run.run_id,
                "code": msgspec.to_builtins(run.code),
                **({"base_code": msgspec.to_builtins(run.base_code)} if run.base_code else {}),
                "hosts": hosts or [""],
                "status": run.status,
                "plan": msgspec.to_builtins(run.plan),
                "environment": msgspec.to_builtins(run.environment),
                "base_environment": msgspec.to_builtins(run.base_environment),
                **({"fits": [asdict(fit) for fit in run.fits]} if run.fits else {}),
                "ceilings": msgspec.to_builtins(dict(run.ceilings)),
                **({"shared": msgspec.to_builtins(run.shared)} if run.shared else {}),
                "phases_s": dict(run.phases_s),
                "cells": [record.cell.id for record in run.cells],
                "without_figures": [
                    _info(cell, hosts) for cell in run.cells if not cell.has_figures
                ],
                "controls": [_info(control, hosts) for control in run.controls],
                "bases": [_info(base, hosts) for base in run.bases],
                "rounds": msgspec.to_builtins(flat.flatten_rounds(run.rounds)),
                "allotted": dict(run.allotted),
                "notes": list(run.notes),
                "gate": run.gate and dict(run.gate),
            },
        },
        "commit_info": dict(run.commit_info),
        "benchmarks": [_benchmark(cell, hosts) for cell in run.cells if cell.has_figures],
        "datetime": run.datetime,
        "version": __version__,
    }


def from_json(content: Any) -> RunRecord:
    """Return the run in a run file's content. Raises ``RequestError`` if it has another schema."""
    machine_info, run_info = _checked_schema(content)
    infos = [
        *(_with_samples(entry) for entry in content["benchmarks"]),
        *run_info["without_figures"],
    ]
    earlier_schemas.upgrade(run_info, infos)
    hosts = run_info["hosts"]
    cells = {cell["id"]: cell for cell in (_cell_fields(info, hosts) for info in infos)}
    run = msgspec.convert(
        {
            "cells": [cells[name] for name in run_info["cells"]],
            "controls": [_cell_fields(info, hosts) for info in run_info["controls"]],
            "bases": [_cell_fields(info, hosts) for info in run_info["bases"]],
            "rounds": flat.read_rounds(run_info["rounds"]),
            **{name: run_info[name] for name in _PLAIN_FIELDS},
            # Added during version 2.
            **{name: run_info.get(name, {}) for name in ("ceilings", "shared")},
            "gate": run_info.get("gate"),
            "base_code": run_info.get("base_code"),  # added during version 3
            "fits": run_info.get("fits", []),
            "machine_info": machine_info,
            **{name: content[name] for name in ("commit_info", "datetime")},
        },
        RunRecord,
    )
    if run.plan.precision is None:
        raise TypeError("the plan has no precision")
    return run


def _checked_schema(content: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the facts about the machine, and those about the run in a schema that we read."""
    machine = content.get("machine_info") if isinstance(content, dict) else None
    machine_info = dict(machine) if isinstance(machine, dict) else {}
    run_info = machine_info.pop(RUN_KEY, None)
    if run_info is None:
        raise RequestError(
            "this is not a run file of googlenet-bench: it has no schema version"
            + (
                "; only report FILE and compare A B show other files"
                if is_of_pytest_benchmark(content)
                else ""
            )
        )
    version = run_info["schema_version"]
    if version not in earlier_schemas.READABLE:
        *others, last = earlier_schemas.READABLE
        raise RequestError(
            f"schema version is {version!r}, but this googlenet-bench reads "
            f"{', '.join(map(str, others))} and {last}: make the report with the version that made "
            "the run"
        )
    return machine_info, run_info


def _is_as_written(content: Any) -> bool:
    """Whether content matches the digest in it; True if there is none, as in earlier files."""
    machine_info = content.get("machine_info") if isinstance(content, dict) else None
    run_info = machine_info.get(RUN_KEY) if isinstance(machine_info, dict) else None
    written = run_info.get("digest") if isinstance(run_info, dict) else None
    return written is None or bool(written == digest(content))


def _all(run: RunRecord) -> tuple[CellRecord, ...]:
    return (*run.cells, *run.controls, *run.bases)


def _benchmark(record: CellRecord, hosts: Sequence[str]) -> dict[str, Any]:
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
        "extra_info": extra_info(record, hosts),
        "options": {},
        "stats": {**statistics.as_dict(), "data": statistics.data, "iterations": 1},
    }


def extra_info(record: CellRecord, hosts: Sequence[str] = ()) -> dict[str, Any]:
    """Return a benchmark's ``extra_info``, without the samples: they are the benchmark's data.

    ``hosts``: the names of the run's machines.
    """
    return {name: value for name, value in _info(record, hosts).items() if name != "host_s"}


def _info(record: CellRecord, hosts: Sequence[str]) -> dict[str, Any]:
    """Return a cell's fields, with samples in the flat form of bench/records/flat.py."""
    return {
        "schema_version": SCHEMA_VERSION,
        **_stored(record.cell),
        **flat.flatten_visits(list(record.valid), hosts),
        "voided": flat.flatten_visits([visit for visit in record.visits if visit.voided], hosts),
        "setups": msgspec.to_builtins(record.setups),
        "compile_cold_s": record.compile_cold_s,
        "cost": msgspec.to_builtins(record.cost),
        "failure": asdict(record.failure) if record.failure else None,
    }


def _stored(cell: Cell) -> dict[str, Any]:
    """Return the fields of a cell, without those of ``ADDED_TO_CELL`` that are not set."""
    return {
        name: value for name, value in asdict(cell).items() if value or name not in ADDED_TO_CELL
    }


def _with_samples(benchmark: Mapping[str, Any]) -> dict[str, Any]:
    return {**benchmark["extra_info"], "host_s": benchmark["stats"]["data"]}


def _cell_fields(info: Mapping[str, Any], hosts: Sequence[str]) -> dict[str, Any]:
    """Return the fields of a ``CellRecord``, and its cell's id."""
    names = {each.name for each in fields(Cell)} - (ADDED_TO_CELL - info.keys())
    cell = msgspec.convert({name: info[name] for name in names}, Cell)
    return {
        "id": cell.id,
        "cell": asdict(cell),
        "visits": _in_order(
            *flat.read_visits(info, hosts, voided=False),
            *flat.read_visits(info["voided"], hosts, voided=True),
        ),
        **{name: info[name] for name in ("setups", "cost", "compile_cold_s", "failure")},
    }


def _in_order(*visits: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the fields of a cell's visits in the order measured, which the file does not have."""
    return sorted(visits, key=itemgetter("set_index", "wave_index", "round_index"))
