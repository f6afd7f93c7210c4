"""The JSON Schema of the run file, made from the classes that it stores; docs/run.schema.json.

``python -m bench.records.run_schema docs/run.schema.json`` writes it. The classes below describe
what is stored in another form than the classes of record.py: they are never instantiated.
Descriptions are the docstrings of the classes and of their fields.
"""

import ast
import inspect
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType

from bench import atomic
from bench.archs import source
from bench.cells import cell, plan
from bench.cells.cell import Cell
from bench.cells.plan import Plan
from bench.machine import card, environment
from bench.machine.environment import Environment
from bench.records import code, record, reported
from bench.records.code import Code
from bench.records.record import SCHEMA_VERSION, BackToBack, Failure, Fit, Round
from bench.records.reported import ArchCost, Ceiling, Setup
from bench.records.store import ADDED_TO_CELL
from bench.records.stored_plan import StoredPlan

DIALECT = "https://json-schema.org/draft/2020-12/schema"
REFERENCE = "#/$defs/{name}"
Version = Literal[3]
_MODULES = (source, plan, cell, environment, card, code, record, reported, sys.modules[__name__])
"""Where the classes are described."""


class Places(Struct, kw_only=True):
    """The place of each sample: lists of the same length, in the order measured."""

    set: list[int]
    """Index of the sample's set."""
    wave: list[int]
    """Index of the wave in its group."""
    round: list[int]
    """Index of the round in its wave."""


class UnknownVisits(Struct, kw_only=True):
    """Visits whose disturbed iterations are unknown: lists of the same length."""

    set: list[int]
    wave: list[int]
    round: list[int]


class Disturbed(Places, kw_only=True):
    """Iterations that do not count, because other processes delayed them."""

    host_s: list[float]
    """Host times, in seconds."""
    unknown: UnknownVisits | UnsetType = UNSET
    """Missing if it is known of every visit."""


class Block(Struct, kw_only=True):
    """The back-to-back block of one visit, with the place of the visit."""

    set: int
    wave: int
    round: int


class Times(Struct, kw_only=True):
    """When each visit took place, in the order of the samples; null where it is unknown."""

    start_s: list[float | None]
    """Time of the request to the worker, in seconds since 1970 (Unix time)."""
    wall_s: list[float | None]
    """Time from the request to the reply, in seconds."""
    dropped_s: list[float | None]
    """Host time of the dropped iterations, in seconds; they come first."""


class Visits(Places, kw_only=True):
    """Visits as one list for each field."""

    device_s: list[float]
    """Times between the device's events, in seconds; empty without such events."""
    host: list[int] | UnsetType = UNSET
    """Index in ``hosts`` of the machine that measured each sample; missing if there is only one."""
    disturbed: Disturbed | UnsetType = UNSET
    """Missing if it is unknown which iterations were disturbed."""
    back_to_back: list[Block] | UnsetType = UNSET
    """Missing if nothing was measured back to back."""
    times: Times | UnsetType = UNSET
    """One entry for each visit, that is, for samples of the same set, wave and round. Missing in
    files written before it was recorded."""


class Voided(Visits, kw_only=True):
    """The samples of voided rounds, which do not count."""

    host_s: list[float]
    """Host times, in seconds."""


class Measured(Visits, kw_only=True):
    """A cell, and everything measured of it except host times: they are the benchmark's data."""

    schema_version: Version
    voided: Voided
    setups: list[Setup]
    """Facts from preparing, warming up and finishing the worker, one for each set."""
    compile_cold_s: float | None
    """Time of the first call with Inductor's cache empty; null if every call found its graph."""
    cost: ArchCost
    failure: Failure | None
    """Null if the cell did not fail."""


class MeasuredWithTimes(Measured, kw_only=True):
    """A cell that is not among the benchmarks: it has its host times itself."""

    host_s: list[float]
    """Valid host times, in seconds."""


class Rounds(Struct, kw_only=True):
    """All rounds, as one list for each field of ``Round``."""


class Run(Struct, kw_only=True):
    """The run: everything that does not belong to one benchmark."""

    schema_version: Version
    run_id: str
    """Unique id, which a run keeps if it is resumed; empty in files of earlier versions."""
    code: Code | None
    """In a gate, head's; null in files of earlier versions."""
    base_code: Code | UnsetType = UNSET
    """The code of a gate's base."""
    hosts: list[str]
    """Names of the machines that measured; an empty name in files of earlier versions."""
    status: Literal["complete", "over_budget", "interrupted", "stopped_early"]
    """``stopped_early``: all rounds of a set were voided."""
    plan: StoredPlan
    environment: Environment
    """The environment of the workers."""
    base_environment: Environment | None
    """The environment of a gate's base; null in other runs."""
    fits: list[Fit] | UnsetType = UNSET
    """The searches for the largest batches, if any."""
    ceilings: dict[str, Ceiling] | UnsetType = UNSET
    """Peak rates of the device, by dtype."""
    shared: dict[str, list[str]] | UnsetType = UNSET
    """Descriptions of other users of a CUDA device when the run began, by device."""
    phases_s: dict[str, float]
    """Wall time by phase, in seconds."""
    cells: list[str]
    """The ids of all cells, in the order of the plan."""
    without_figures: list[MeasuredWithTimes]
    """The cells that failed or were not measured; they are not among the benchmarks."""
    controls: list[MeasuredWithTimes]
    """The control of each group: a second copy of its reference."""
    bases: list[MeasuredWithTimes]
    """In a gate: the base's copy of each cell, in the order of ``cells``."""
    rounds: Rounds
    allotted: dict[str, int]
    """Planned number of valid rounds in each set, by group."""
    notes: list[str]
    """Caveats about how the run was measured, as sentences."""
    gate: dict[str, Any] | None
    """In a gate: the names of its sides and its settings; null in other runs."""
    digest: str | UnsetType = UNSET
    """SHA-256 of the file's content without the digest, as compact JSON with sorted keys. Missing
    in files written before it was added; a file that does not match its digest is not read."""


class MachineInfo(Struct, kw_only=True):
    """pytest-benchmark's facts about the machine, and the run."""

    googlenet_bench: Run


class Statistics(Struct, kw_only=True):
    """pytest-benchmark's statistics; this suite reads only ``data``."""

    data: list[float]
    """Valid host times, in seconds, in the order measured."""


class Benchmark(Struct, kw_only=True):
    """A cell with figures, as pytest-benchmark writes a benchmark."""

    group: str
    """What compared cells have in common: batch size, task, device, and usually the dtype."""
    name: str
    fullname: str
    params: dict[str, str]
    param: str
    """The id of the cell."""
    extra_info: Measured
    options: dict[str, Any]
    stats: Statistics


class RunFile(Struct, kw_only=True):
    """The file of a run of googlenet-bench: pytest-benchmark's JSON with more facts."""

    machine_info: MachineInfo
    commit_info: dict[str, Any]
    """pytest-benchmark's facts about the commit."""
    benchmarks: list[Benchmark]
    datetime: str
    """Time of writing, in ISO 8601, UTC."""
    version: str
    """The version of pytest-benchmark."""


def schema() -> dict[str, Any]:
    """Return the JSON Schema of a run file of the present schema version."""
    (top,), parts = msgspec.json.schema_components((RunFile,), ref_template=REFERENCE)
    _, stored = msgspec.json.schema_components((Cell, BackToBack, Round), ref_template=REFERENCE)
    definitions = {**stored, **parts}
    for name, of_fields in _field_docstrings().items():
        for field, text in of_fields.items():
            if name in definitions:
                definitions[name]["properties"][field]["description"] = text
    for name in ("Measured", "MeasuredWithTimes"):
        _add_fields(definitions[name], definitions["Cell"])
    _add_fields(definitions["Block"], definitions.pop("BackToBack"))
    _add_columns(definitions["Rounds"], definitions.pop("Round"))
    return {
        "$schema": DIALECT,
        "title": f"Run file of googlenet-bench, schema version {SCHEMA_VERSION}",
        **top,
        "$defs": {name: _without_title(definitions[name]) for name in sorted(definitions)},
    }


def text() -> str:
    """Return the schema as it is committed."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def _add_fields(definition: dict[str, Any], stored: Mapping[str, Any]) -> None:
    """Add all fields of a class; the run file also has those with a default, except later ones."""
    definition["properties"] = {**_without_defaults(stored), **definition["properties"]}
    always = [name for name in stored["properties"] if name not in ADDED_TO_CELL]
    definition["required"] = [*always, *definition["required"]]


def _add_columns(definition: dict[str, Any], stored: Mapping[str, Any]) -> None:
    """Add a list for each field of a class. Those without values are left out of the file."""
    definition["properties"] = {
        name: {"type": "array", "items": of_field}
        for name, of_field in _without_defaults(stored).items()
    }
    definition["required"] = list(stored["required"])


def _without_defaults(stored: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: {key: value for key, value in of_field.items() if key != "default"}
        for name, of_field in stored["properties"].items()
    }


def _without_title(definition: Mapping[str, Any]) -> dict[str, Any]:
    description = {"description": inspect.cleandoc(definition.get("description", ""))}
    given = {key: value for key, value in definition.items() if key != "title"}
    return given | description if "description" in given else given


def _field_docstrings() -> dict[str, dict[str, str]]:
    """Return the docstrings below fields, by class and field. A subclass has those of its bases."""
    docstrings: dict[str, dict[str, str]] = {}
    for module in _MODULES:
        for definition in _classes(module):
            own: dict[str, str] = {}
            for base in definition.bases:
                own |= docstrings.get(ast.unparse(base), {})
            for field, below in zip(definition.body, definition.body[1:], strict=False):
                match field, below:
                    case (
                        ast.AnnAssign(target=ast.Name(id=name)),
                        ast.Expr(value=ast.Constant(value=str(docstring))),
                    ):
                        own[name] = inspect.cleandoc(docstring).replace("\n", " ")
            docstrings[definition.name] = own
    return {**docstrings, StoredPlan.__name__: docstrings[Plan.__name__]}


def _classes(module: ModuleType) -> Iterator[ast.ClassDef]:
    tree = ast.parse(inspect.getsource(module))
    return (each for each in tree.body if isinstance(each, ast.ClassDef))


if __name__ == "__main__":
    atomic.write_text(Path(sys.argv[1]), text())
