"""The run file: pytest-benchmark's JSON, with everything of ours inside its two free places.

A benchmark's ``extra_info`` holds its cell, ``machine_info["googlenet_bench"]`` the run: readers of
that format take the file as it is. Schema versions:

1. The first.
2. Sets are waves of live workers: samples have a wave; controls, rounds with their foreign load,
   voided samples, cold compilations and notes are kept.
"""

import json
import math
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, fields, replace
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import msgspec

from bench.cells.cell import Cell
from bench.names import RequestError
from bench.records.record import SCHEMA_VERSION, BackToBack, CellRecord, Round, RunRecord, Visit

OURS = "googlenet_bench"
TEST_NAME = "test_cell"
TEST_FILE = "bench/suite/test_cells.py"
_KEPT_AS_THEY_ARE = ("environment", "base_environment", "plan", "status", "phases_s", "notes")
_NOT_EVERY_ROUND_S = frozenset({"reasons", "card"})  # of version 2 too, not from its beginning
_WHERE = ("set", "wave", "round")  # of a sample; each is the index of a ``Visit``


def write(run: RunRecord, path: Path) -> None:
    """Write a run file, whole or not at all. Needs pytest-benchmark, for its statistics."""
    # On one line: json's fast encoder cannot indent, and there may be a million samples.
    write_text(path, json.dumps(to_json(run), allow_nan=False) + "\n")


def read(path: Path) -> RunRecord:
    """Read a run file; raises ``RequestError`` in a sentence for what is not one."""
    try:
        content = msgspec.json.decode(path.read_bytes())
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
                "base_environment": run.base_environment and dict(run.base_environment),
                **({"fits": [asdict(found) for found in run.fits]} if run.fits else {}),
                "ceilings": {dtype: dict(facts) for dtype, facts in run.ceilings.items()},
                **({"shared": msgspec.to_builtins(run.shared)} if run.shared else {}),
                "phases_s": dict(run.phases_s),
                "cells": [record.cell.id for record in run.cells],
                "without_figures": [_info(cell) for cell in run.cells if not cell.has_figures],
                "controls": [_info(control) for control in run.controls],
                "bases": [_info(base) for base in run.bases],
                "rounds": msgspec.to_builtins(_columns(run.rounds)),
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
            "controls": [_cell_fields(info) for info in ours["controls"]],
            "bases": [_cell_fields(info) for info in ours["bases"]],
            "rounds": _rows(ours["rounds"]),
            **{name: ours[name] for name in _KEPT_AS_THEY_ARE},
            # Of version 2 too, but not from its beginning.
            **{name: ours.get(name, {}) for name in ("ceilings", "shared")},
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
        **_flat(list(record.valid)),
        "voided": _flat([visit for visit in record.visits if visit.voided]),
        "setups": [dict(setup) for setup in record.setups],
        "compile_cold_s": record.compile_cold_s,
        "cost": dict(record.cost),
        "failure": asdict(record.failure) if record.failure else None,
    }


def _flat(visits: Sequence[Visit]) -> dict[str, Any]:
    """The samples of visits, one after the other, and where each is from."""
    return {
        **_placed(visits),
        "device_s": [sample for visit in visits for sample in visit.device_s],
        **_disturbed(visits),
        **_blocks(visits),
    }


def _disturbed(visits: Sequence[Visit]) -> dict[str, dict[str, list[Any]]]:
    """The iterations that do not count, in the same way; no key where nothing is known of any."""
    found = [
        replace(visit, host_s=visit.disturbed_s)
        for visit in visits
        if visit.disturbed_s is not None
    ]
    return {"disturbed": _placed(found)} if found else {}


def _placed(visits: Sequence[Visit]) -> dict[str, list[Any]]:
    return {
        **{
            name: [getattr(visit, f"{name}_index") for visit in visits for _ in visit.host_s]
            for name in _WHERE
        },
        "host_s": [sample for visit in visits for sample in visit.host_s],
    }


def _blocks(visits: Sequence[Visit]) -> dict[str, list[Any]]:
    """The back-to-back block of each visit, and where it is from; no key where there is none."""
    found = [
        {
            **{name: getattr(visit, f"{name}_index") for name in _WHERE},
            **asdict(visit.back_to_back),
        }
        for visit in visits
        if visit.back_to_back
    ]
    return {"back_to_back": found} if found else {}


def _with_samples(benchmark: Mapping[str, Any]) -> dict[str, Any]:
    return {**benchmark["extra_info"], "host_s": benchmark["stats"]["data"]}


def _cell_fields(info: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a ``CellRecord``, and its cell's id."""
    cell = msgspec.convert({field.name: info[field.name] for field in fields(Cell)}, Cell)
    return {
        "id": cell.id,
        "cell": asdict(cell),
        "visits": [*_visits(info, voided=False), *_visits(info["voided"], voided=True)],
        **{name: info[name] for name in ("setups", "cost", "compile_cold_s", "failure")},
    }


def _visits(flat: Mapping[str, Any], *, voided: bool) -> Iterator[dict[str, Any]]:
    """The fields of each ``Visit``: neighbours that share a set, wave and round, together again."""
    blocks = _blocks_read(flat.get("back_to_back", ()))
    disturbed = dict(_together(flat["disturbed"])) if "disturbed" in flat else None
    device_s = _checked(flat["device_s"])
    start = 0
    for key, host_s in _together(flat):
        end = start + len(host_s)
        yield {
            **{f"{name}_index": index for name, index in zip(_WHERE, key, strict=True)},
            "host_s": host_s,
            "device_s": device_s[start:end],
            "disturbed_s": None if disturbed is None else disturbed.pop(key, ()),
            "voided": voided,
            "back_to_back": blocks.get(key),
        }
        start = end
    if disturbed:
        raise ValueError(f"disturbed iterations of a visit that is not there: {min(disturbed)}")
    if device_s and len(device_s) != start:
        raise ValueError(f"{len(device_s)} samples of the device, and {start} of the host")


def _together(
    flat: Mapping[str, Sequence[Any]],
) -> Iterator[tuple[tuple[Any, ...], tuple[float, ...]]]:
    """Samples lying flat: those of each set, wave and round."""
    keys = zip(*(flat[name] for name in _WHERE), strict=True)
    samples = zip(keys, _checked(flat["host_s"]), strict=True)
    for key, together in groupby(samples, key=itemgetter(0)):
        yield key, tuple(sample for _, sample in together)


def _checked(samples: Sequence[float]) -> Sequence[float]:
    for sample in samples:
        if not 0 < sample < math.inf:
            raise ValueError(f"a sample of {sample!r} seconds")
    return samples


def _blocks_read(found: Sequence[Mapping[str, Any]]) -> dict[tuple[Any, ...], dict[str, Any]]:
    """The fields of each ``BackToBack``, by its visit's set, wave and round."""
    blocks = {}
    for block in found:
        fields_of = {field.name: block[field.name] for field in fields(BackToBack)}
        for name, value in fields_of.items():
            if not (value is None and name == "busy_s") and not 0 < value < math.inf:
                raise ValueError(f"a back-to-back block whose {name} is {value!r}")
        blocks[tuple(block[name] for name in _WHERE)] = fields_of
    return blocks


def _columns(rounds: Sequence[Round]) -> dict[str, list[Any]]:
    """Rounds as a list for each of their fields; what none of them has is left out."""
    columns = {field.name: [getattr(r, field.name) for r in rounds] for field in fields(Round)}
    return {
        name: values
        for name, values in columns.items()
        if name not in _NOT_EVERY_ROUND_S or any(values)
    }


def _rows(columns: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The fields of each ``Round``."""
    names = [
        field.name
        for field in fields(Round)
        if field.name in columns or field.name not in _NOT_EVERY_ROUND_S
    ]
    rows = zip(*(columns[name] for name in names), strict=True)
    return [dict(zip(names, row, strict=True)) for row in rows]
