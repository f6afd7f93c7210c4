"""The committed JSON Schema describes the run files that are written, completely."""

import copy
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from bench.machine.card import Around, CardReading
from bench.records import run_schema, store
from bench.records.code import Code
from bench.records.record import CellRecord, RunRecord, VisitTime
from tests.bench import runs

ROOT = Path(__file__).resolve().parents[3]
COMMITTED = ROOT / "docs" / "run.schema.json"
RUN_FILES = [
    ROOT / "tests" / "bench" / "report" / "golden" / "run.json",
    Path(__file__).with_name("files") / "schema-1.json",
    *sorted((ROOT / "reports").glob("*/run.json")),
]
# pytest-benchmark adds fields to these, and plans have fields that no reader of a run needs.
OPEN = {"RunFile", "MachineInfo", "Benchmark", "Statistics", "PlanFields"}


def validator(schema: Mapping[str, Any]) -> jsonschema.Draft202012Validator:
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


SCHEMA = run_schema.schema()
VALIDATOR = validator(SCHEMA)


def closed() -> dict[str, Any]:
    """Return the schema without room for fields that it does not describe."""
    schema = copy.deepcopy(SCHEMA)
    for name, definition in schema["$defs"].items():
        if name not in OPEN:
            definition["additionalProperties"] = False
    return schema


def with_everything() -> RunRecord:
    """Return a run that has every optional part of a run file."""
    run = runs.gpu()
    reading = CardReading(sm_hz=1_000_000_000, throttled_s={"power_cap": 0.5}, energy_j=20.0)
    disturbed = [
        replace(
            visit,
            disturbed_s=(0.5,) if index else None,
            host=f"host {visit.set_index}",
            voided=index == 1,
            time=VisitTime(start_s=1e9 + index, wall_s=0.5, dropped_s=0.0) if index else None,
        )
        for index, visit in enumerate(run.cells[0].visits)
    ]
    record = replace(run.cells[0], visits=tuple(disturbed))
    return replace(
        run,
        cells=(record, CellRecord(cell=runs.FAILED, failure=runs.FAILURE)),
        bases=(replace(record, cell=replace(record.cell, base=True, across_dtypes=True)),),
        rounds=tuple(
            replace(each, reasons=("thermal",), card=Around(before=reading, after=reading))
            for each in run.rounds
        ),
        fits=runs.fitted().fits,
        ceilings=runs.CEILINGS,
        shared={"cuda": ("process 7 (python)",)},
        base_environment=run.environment,
        gate={"head": "work", "base": "main"},
        code=Code(commit="0123", digest="abcd"),
        base_code=Code(commit=None, digest="dcba"),
        run_id="1",
    )


def test_the_committed_schema_is_up_to_date() -> None:
    """The lowest version of msgspec orders alternatives in another way."""
    committed = json.loads(COMMITTED.read_text(encoding="utf-8"))
    assert in_order(committed) == in_order(json.loads(run_schema.text())), (
        "run: python -m bench.records.run_schema docs/run.schema.json"
    )


def in_order(schema: Any) -> Any:
    """Return a schema in which the alternatives of each value are in one order."""
    if isinstance(schema, dict):
        return {
            name: sorted(map(in_order, each), key=json.dumps) if name == "anyOf" else in_order(each)
            for name, each in schema.items()
        }
    return [in_order(each) for each in schema] if isinstance(schema, list) else schema


@pytest.mark.parametrize("path", RUN_FILES, ids=lambda path: path.parent.name)
def test_run_files_are_valid_in_the_present_schema(path: Path) -> None:
    VALIDATOR.validate(as_stored(store.read(path)))


@pytest.mark.parametrize(
    "run",
    [runs.small(), runs.fitted(), runs.gpu(), with_everything()],
    ids=["small", "fitted", "gpu", "everything"],
)
def test_every_stored_field_is_described(run: RunRecord) -> None:
    validator(closed()).validate(as_stored(run))


def test_the_run_with_everything_has_every_described_field() -> None:
    run_info = as_stored(with_everything())["machine_info"][store.RUN_KEY]
    assert run_info.keys() == SCHEMA["$defs"]["Run"]["properties"].keys()
    assert run_info["rounds"].keys() == SCHEMA["$defs"]["Rounds"]["properties"].keys()
    (base,) = run_info["bases"]
    assert base.keys() == SCHEMA["$defs"]["MeasuredWithTimes"]["properties"].keys()
    assert base["back_to_back"][0].keys() == SCHEMA["$defs"]["Block"]["properties"].keys()


@pytest.mark.parametrize(
    ("names", "value", "message"),
    [
        (("benchmarks", 0, "extra_info", "set", 0), "first", "'first' is not of type 'integer'"),
        (("benchmarks", 0, "extra_info", "schema_version"), 2, "2 is not one of [3]"),
        (("machine_info", store.RUN_KEY, "status"), "fine", "'fine' is not one of"),
        (("machine_info", store.RUN_KEY, "rounds", "wall_s"), 1.0, "is not of type 'array'"),
        (("machine_info", store.RUN_KEY, "plan"), None, "None is not of type 'object'"),
        (("machine_info", store.RUN_KEY, "plan", "sets"), "3", "'3' is not valid under any"),
        (("machine_info", store.RUN_KEY, "environment"), [], "[] is not of type 'object'"),
    ],
)
def test_wrong_values_are_invalid(names: tuple[Any, ...], value: Any, message: str) -> None:
    content = as_stored(runs.small())
    place: Any = content
    for name in names[:-1]:
        place = place[name]
    place[names[-1]] = value
    errors = [error.message for error in VALIDATOR.iter_errors(content)]
    assert len(errors) == 1
    assert message in errors[0]


def test_descriptions_are_docstrings() -> None:
    definitions = SCHEMA["$defs"]
    assert definitions["Measured"]["properties"]["control"]["description"] == (
        "Whether it is the control: the reference's second copy, whose ratio to it should be 1."
    )
    assert definitions["Rounds"]["properties"]["foreign_cpus"]["items"]["description"] == (
        "CPU time of other processes divided by wall time, on the CPUs that the run may use."
    )
    assert all("description" in definition for definition in definitions.values())


def as_stored(run: RunRecord) -> Any:
    """Return a run file's content as a reader of JSON sees it."""
    return json.loads(store.text(run))
