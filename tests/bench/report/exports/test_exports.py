"""Exports: the figures of a run in the formats of other programs."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from bench import stats
from bench.cli import main
from bench.errors import RequestError
from bench.records import store
from bench.records.record import CellRecord, RunRecord
from bench.report.exports import EXPORTS
from tests.bench import runs

Capture = pytest.CaptureFixture[str]
GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "run.json"
# https://bencher.dev/docs/reference/bencher-metric-format/ has this schema.
BMF_SCHEMA: dict[str, Any] = {
    "type": "object",
    "patternProperties": {
        ".+": {
            "type": "object",
            "patternProperties": {
                ".+": {
                    "type": "object",
                    "properties": {
                        "value": {"type": "number"},
                        "lower_value": {"type": "number"},
                        "upper_value": {"type": "number"},
                    },
                    "required": ["value"],
                }
            },
        }
    },
}
# ``BenchmarkResult`` in src/extract.ts of github-action-benchmark.
ACTION_SCHEMA: dict[str, Any] = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "unit": {"type": "string"},
            "value": {"type": "number"},
            "range": {"type": "string"},
            "extra": {"type": "string"},
        },
        "required": ["name", "unit", "value"],
        "additionalProperties": False,
    },
}


def exported(run: RunRecord, name: str) -> Any:
    return json.loads(EXPORTS[name].render(run))


def one_set() -> RunRecord:
    run = runs.small("complete")
    cells = (
        replace(record, visits=tuple(visit for visit in record.visits if visit.set_index == 0))
        for record in run.cells
    )
    return replace(run, cells=tuple(cells))


@pytest.mark.parametrize("run", [runs.small(), one_set(), store.read(GOLDEN)])
@pytest.mark.parametrize(
    ("name", "schema"), [("bmf", BMF_SCHEMA), ("github-action-benchmark", ACTION_SCHEMA)]
)
def test_an_export_conforms_to_the_schema(
    run: RunRecord, name: str, schema: dict[str, Any]
) -> None:
    jsonschema.Draft7Validator(schema).validate(exported(run, name))


def test_bmf_has_latency_in_nanoseconds_and_throughput_with_the_interval() -> None:
    run = runs.small()
    record = next(record for record in run.cells if record.cell == runs.BATCH)
    latency, throughput = stats.latency(record), stats.throughput(record)
    assert exported(run, "bmf")[runs.BATCH.id] == {
        "latency": {
            "value": pytest.approx(latency.estimate * 1e9),
            "lower_value": pytest.approx(latency.low * 1e9),
            "upper_value": pytest.approx(latency.high * 1e9),
        },
        "throughput": {
            "value": pytest.approx(8 / latency.estimate),
            "lower_value": pytest.approx(throughput.low),
            "upper_value": pytest.approx(throughput.high),
        },
    }


def test_bmf_of_one_set_has_no_bounds() -> None:
    figures = exported(one_set(), "bmf")[runs.EAGER.id]
    assert {frozenset(metric) for metric in figures.values()} == {frozenset({"value"})}


def test_github_action_benchmark_has_milliseconds_and_the_interval() -> None:
    run = runs.small()
    record = next(record for record in run.cells if record.cell == runs.EAGER)
    (entry,) = (
        entry
        for entry in exported(run, "github-action-benchmark")
        if entry["name"] == runs.EAGER.id
    )
    # The medians of the visits of set s and round r are 24 ms × (1 + 0.3 s + 0.1 r) × 1.015.
    assert entry["value"] == pytest.approx(24 * 1.015 * (1.1 * 1.4) ** 0.5, rel=1e-3)
    assert entry["value"] == pytest.approx(stats.latency(record).estimate * 1e3)
    assert entry["range"].startswith("95 % interval ")
    assert entry["unit"] == "ms"
    assert entry["extra"].split("\n") == ["33.1 images/s", "2 sets", "24 samples", "torch 2.11.0"]


def test_github_action_benchmark_of_one_set_has_no_range() -> None:
    assert all("range" not in entry for entry in exported(one_set(), "github-action-benchmark"))


@pytest.mark.parametrize("name", ["bmf", "github-action-benchmark"])
def test_failed_cells_are_left_out_and_a_run_without_figures_is_refused(name: str) -> None:
    assert runs.FAILED.id not in EXPORTS[name].render(runs.small())
    empty = replace(runs.small("interrupted"), cells=(CellRecord(cell=runs.EAGER),))
    with pytest.raises(RequestError, match=r"no cell of the run has figures.*is interrupted"):
        EXPORTS[name].render(empty)


def test_an_export_is_printed_without_writing_files(capsys: Capture, tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    store.write(runs.small(), path)
    assert main(["report", str(path), "--export", "bmf"]) == 0
    assert json.loads(capsys.readouterr().out) == exported(runs.small(), "bmf")
    assert [file.name for file in tmp_path.iterdir()] == ["run.json"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--export", "bm"], "bmf"),
        (["run.json", "--export", "bmf"], "--export prints one run, but there are 2"),
        (["--export", "bmf", "--table", "summary"], "omit --table"),
        (["--export", "bmf", "--report-dir", "folder"], "omit --report-dir"),
        (["--export", "bmf", "--labels", "a,b"], "omit --labels"),
        (["--export", "bmf", "--format", "csv"], "omit --format"),
    ],
)
def test_wrong_requests_are_refused(capsys: Capture, arguments: list[str], expected: str) -> None:
    assert main(["report", str(GOLDEN), *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert expected in err
    assert err.count("\n") == 1
