import copy
import json
import math
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pytest_benchmark.stats import Stats

from bench.errors import RequestError
from bench.records import store
from bench.records.code import Code
from bench.records.record import SCHEMA_VERSION, CellRecord, Visit, VisitTime
from bench.records.reported import Ceiling
from bench.report.frame import samples
from tests.bench import runs

FIGURES = [record.cell for record in runs.small().cells if record.cell in runs.BASE_S]
FIGURES.remove(runs.FAILED)


@pytest.fixture
def content() -> dict[str, Any]:
    return store.to_json(runs.small())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.json"


def put(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_run_is_read_as_written(path: Path) -> None:
    run = runs.small()
    store.write(run, path)
    assert store.read(path) == run


def test_voided_visits_keep_their_place_among_the_others(path: Path) -> None:
    """The file has valid and voided visits in two lists; ``samples.csv`` has them in one order."""
    places = [(set_index, wave, each) for set_index in (0, 1) for wave in (0, 1) for each in (0, 1)]
    visits = tuple(
        Visit(set_index=set_index, wave_index=wave, round_index=each, host_s=(0.5,), voided=voided)
        for voided, (set_index, wave, each) in zip(4 * [True, False], places, strict=True)
    )
    run = replace(runs.small(), cells=(CellRecord(cell=runs.EAGER, visits=visits),))
    store.write(run, path)
    again = store.read(path)
    assert again == run
    assert samples(again).equals(samples(run))


def test_cells_that_are_compared_across_dtypes_are_read_as_written(path: Path) -> None:
    run = runs.across_dtypes()
    store.write(run, path)
    assert store.read(path) == run


def test_device_samples_are_read_as_written(path: Path) -> None:
    run = runs.small()
    visits = tuple(
        Visit(set_index=0, round_index=index, host_s=(0.5, 0.25), device_s=(0.4, 0.2 + index))
        for index in range(2)
    )
    run = replace(run, cells=(CellRecord(cell=runs.EAGER, visits=visits),))
    store.write(run, path)
    assert store.read(path) == run


def test_disturbed_iterations_keep_their_visit(path: Path) -> None:
    visits = tuple(
        Visit(
            set_index=0,
            round_index=index,
            host_s=(0.5, 0.25),
            disturbed_s=None if index in {1, 6} else (1.0 + index,) * (index % 3),
            voided=index > 4,
        )
        for index in range(8)
    )
    run = replace(runs.small(), cells=(CellRecord(cell=runs.EAGER, visits=visits),))
    store.write(run, path)
    assert store.read(path) == run
    for known in (None, ()):
        same = tuple(replace(visit, disturbed_s=known) for visit in visits)
        run = replace(runs.small(), cells=(CellRecord(cell=runs.EAGER, visits=same),))
        store.write(run, path)
        assert store.read(path) == run
    store.write(runs.small(), path)
    assert '"disturbed"' not in path.read_text(encoding="utf-8")  # as in earlier files


def test_times_of_visits_are_read_as_written(path: Path) -> None:
    times = [VisitTime(start_s=10.5 + i, wall_s=0.25, dropped_s=0.0625 * i) for i in range(4)]
    visits = tuple(
        Visit(set_index=0, round_index=i, host_s=(0.5, 0.25)[: 1 + i % 2], time=time, voided=i > 2)
        for i, time in enumerate([times[0], None, *times[2:]])
    )
    run = replace(runs.small(), cells=(CellRecord(cell=runs.EAGER, visits=visits),))
    store.write(run, path)
    assert store.read(path) == run
    store.write(runs.small(), path)
    assert '"times"' not in path.read_text(encoding="utf-8")  # as in earlier files


@pytest.mark.parametrize(
    ("times", "why"),
    [
        ({"start_s": [1.0], "wall_s": [0.5], "dropped_s": [0.0]}, "times of 1 visits, but samples"),
        ({"start_s": [1.0], "wall_s": [], "dropped_s": []}, "shorter than argument 1"),
        ({"start_s": 6 * [1.0], "wall_s": 6 * [-0.5], "dropped_s": 6 * [0.0]}, "wall_s is -0.5"),
        ({"start_s": 6 * [1.0], "wall_s": 6 * [None], "dropped_s": 6 * [0.0]}, "wall_s"),
        ({"start_s": 6 * ["now"], "wall_s": 6 * [0.5], "dropped_s": 6 * [0.0]}, "'<='"),
    ],
)
def test_damaged_times_are_refused(path: Path, times: dict[str, Any], why: str) -> None:
    content = store.to_json(runs.small())
    content["benchmarks"][0]["extra_info"]["times"] = times
    message = refused(put(path, content))
    assert "is damaged" in message
    assert why in message


def test_cpu_run_file_has_no_keys_about_cards(content: dict[str, Any]) -> None:
    """Like files from before cards were recorded, which must stay readable."""
    run_info = content["machine_info"][store.RUN_KEY]
    assert "shared" not in run_info
    assert not {"reasons", "card"} & run_info["rounds"].keys()
    assert store.from_json(content) == runs.small()


def test_blocks_keep_their_visit(path: Path) -> None:
    run = runs.gpu()
    first, second, *rest = run.cells[0].visits
    visits = (replace(first, voided=True), replace(second, back_to_back=None), *rest)
    run = replace(run, cells=(replace(run.cells[0], visits=visits),))
    store.write(run, path)
    assert store.read(path) == run


@pytest.mark.parametrize(
    ("field", "value", "is_damaged"),
    [("host_s", 0.0, True), ("iterations", -1, True), ("enqueue_s", None, True),
     ("busy_s", -0.5, True), ("busy_s", None, False)],
)  # fmt: skip
def test_invalid_block_is_refused(
    path: Path, field: str, value: float | None, is_damaged: bool
) -> None:
    content = store.to_json(runs.gpu())
    content["benchmarks"][0]["extra_info"]["back_to_back"][1][field] = value
    put(path, content)
    if not is_damaged:
        assert store.read(path).cells[0].has_blocks
        return
    with pytest.raises(RequestError, match="damaged"):
        store.read(path)


def test_file_without_blocks_has_no_block_key(content: dict[str, Any]) -> None:
    assert "back_to_back" not in json.dumps(content)


def test_fits_are_read_as_written(path: Path) -> None:
    run = runs.fitted()
    store.write(run, path)
    assert store.read(path) == run
    assert "fits" not in run_info(store.to_json(runs.small()))


def test_ceilings_are_read_as_written(path: Path) -> None:
    run = replace(runs.small(), ceilings={**runs.CEILINGS, "bf16": Ceiling(error="no kernel")})
    store.write(run, path)
    assert store.read(path) == run


def test_file_with_the_number_of_rounds_in_its_plan_is_read() -> None:
    content = store.to_json(runs.small())
    content["machine_info"][store.RUN_KEY]["schema_version"] = 2
    del content["machine_info"][store.RUN_KEY]["allotted"]
    assert store.from_json(content).allotted == runs.small().allotted


def test_file_without_ceilings_is_read(path: Path, content: dict[str, Any]) -> None:
    del run_info(content)["ceilings"]
    assert store.read(put(path, content)) == runs.small()


def test_run_without_figures_is_read_as_written(path: Path) -> None:
    run = replace(runs.small(), cells=(CellRecord(cell=runs.UNVISITED),))
    store.write(run, path)
    assert store.read(path) == run


def test_pytest_benchmark_can_compare_the_file(path: Path, tmp_path: Path) -> None:
    store.write(runs.small(), path)
    result = subprocess.run(
        [sys.executable, "-m", "pytest_benchmark", "compare", str(path), "--columns=median"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    for cell in FIGURES:
        assert cell.id in result.stdout
    assert runs.FAILED.id not in result.stdout
    assert runs.UNVISITED.id not in result.stdout


def test_benchmarks_have_the_names_and_groups_of_the_suite(content: dict[str, Any]) -> None:
    named = [(b["name"], b["fullname"], b["group"], b["param"]) for b in content["benchmarks"]]
    assert named == [
        (
            f"test_cell[{cell.id}]",
            f"bench/suite/test_cells.py::test_cell[{cell.id}]",
            cell.group,
            cell.id,
        )
        for cell in FIGURES
    ]


def test_statistics_are_computed_by_pytest_benchmark(content: dict[str, Any]) -> None:
    for cell, benchmark in zip(FIGURES, content["benchmarks"], strict=True):
        expected = Stats()
        for sample in runs.samples_s(cell):
            expected.update(sample)
        assert benchmark["stats"] == {
            **expected.as_dict(),
            "data": runs.samples_s(cell),
            "iterations": 1,
        }


def test_our_data_is_in_machine_info_and_extra_info(content: dict[str, Any]) -> None:
    assert set(content) == {"machine_info", "commit_info", "benchmarks", "datetime", "version"}
    assert content["machine_info"][store.RUN_KEY]["schema_version"] == SCHEMA_VERSION
    assert content["machine_info"]["node"] == runs.small().machine_info["node"]
    for cell, benchmark in zip(FIGURES, content["benchmarks"], strict=True):
        info = benchmark["extra_info"]
        assert info["schema_version"] == SCHEMA_VERSION
        assert (info["arch"], info["mode"], info["dtype"]) == (cell.arch, cell.mode, cell.dtype)
        assert info["cost"]["macs_per_image"] == runs.MACS
        per_set = runs.ROUNDS * runs.ITERATIONS
        assert info["set"] == [0] * per_set + [1] * per_set
        rounds = [index for index in range(runs.ROUNDS) for _ in range(runs.ITERATIONS)]
        assert info["round"] == rounds * runs.SETS
        assert "host_s" not in info  # the samples are the benchmark's own data


def test_failed_cell_is_not_a_benchmark_but_keeps_its_samples(content: dict[str, Any]) -> None:
    assert [benchmark["param"] for benchmark in content["benchmarks"]] == [c.id for c in FIGURES]
    read = {record.cell: record for record in store.from_json(content).cells}
    assert read[runs.FAILED].failure == runs.FAILURE
    samples_s = runs.samples_s(runs.FAILED)[: runs.ROUNDS * runs.ITERATIONS]
    assert read[runs.FAILED].host_s == tuple(samples_s)
    assert read[runs.UNVISITED] == CellRecord(cell=runs.UNVISITED)


def refused(path: Path) -> str:
    with pytest.raises(RequestError) as raised:
        store.read(path)
    message = str(raised.value)
    assert str(path) in message
    assert "\n" not in message
    return message


@pytest.mark.parametrize("version", [SCHEMA_VERSION + 1, 0, "3", None])
def test_other_schema_version_is_refused(path: Path, content: dict[str, Any], version: Any) -> None:
    content["machine_info"][store.RUN_KEY]["schema_version"] = version
    assert (
        f"schema version is {version!r}, but this googlenet-bench reads 1, 2 and {SCHEMA_VERSION}: "
        "make the report with the version that made the run"
    ) in refused(put(path, content))


@pytest.mark.parametrize(
    "other", [[], [1], {}, "text", 3, None, {"machine_info": {"node": "x"}}, {"machine_info": [1]}]
)
def test_other_json_is_refused(path: Path, other: Any) -> None:
    assert "this is not a run file of googlenet-bench" in refused(put(path, other))


def test_plain_pytest_benchmark_file_is_refused(path: Path, content: dict[str, Any]) -> None:
    del content["machine_info"][store.RUN_KEY]
    assert "not a run file of googlenet-bench: it has no schema" in refused(put(path, content))


@pytest.mark.parametrize("text", ["", "not JSON", "{", "{} {}"])
def test_text_that_is_not_json_is_refused(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    assert "is not JSON" in refused(path)


def test_an_integer_of_more_than_64_bits_is_refused(path: Path) -> None:
    content = store.to_json(runs.small())
    content["benchmarks"][0]["extra_info"]["cost"]["params"] = 10**400
    refusal = refused(put(path, content))
    assert refusal == f"{path}: it has an integer of more than 64 bits"


def test_binary_file_is_refused(path: Path) -> None:
    path.write_bytes(b"\xff\xfe\x00\x01")
    assert "is not JSON" in refused(path)


def test_truncated_file_is_refused(path: Path) -> None:
    store.write(runs.small(), path)
    text = path.read_text(encoding="utf-8")
    path.write_text(text[: len(text) // 2], encoding="utf-8")
    assert "is not JSON" in refused(path)


def test_folder_is_refused_with_its_json_files(path: Path) -> None:
    assert "contains no .json file" in refused(path.parent)
    store.write(runs.small(), path)
    assert refused(path.parent) == f"{path.parent} is a folder; it contains {path.name}"


def test_missing_file_is_refused(path: Path) -> None:
    assert "No such file" in refused(path)


Pick = Callable[[dict[str, Any]], dict[str, Any]]


def top(content: dict[str, Any]) -> dict[str, Any]:
    return content


def run_info(content: dict[str, Any]) -> dict[str, Any]:
    part: dict[str, Any] = content["machine_info"][store.RUN_KEY]
    return part


def plan(content: dict[str, Any]) -> dict[str, Any]:
    part: dict[str, Any] = run_info(content)["plan"]
    return part


def info(content: dict[str, Any]) -> dict[str, Any]:
    part: dict[str, Any] = content["benchmarks"][0]["extra_info"]
    return part


def benchmark(content: dict[str, Any]) -> dict[str, Any]:
    part: dict[str, Any] = content["benchmarks"][0]
    return part


def failed(content: dict[str, Any]) -> dict[str, Any]:
    part: dict[str, Any] = run_info(content)["without_figures"][0]
    return part


NEEDED = [
    *((top, name) for name in ("machine_info", "benchmarks", "commit_info", "datetime")),
    *(
        (run_info, name)
        for name in (
            "schema_version",
            "status",
            "plan",
            "environment",
            "phases_s",
            "cells",
            "without_figures",
        )
    ),
    (plan, "precision"),
    *((benchmark, name) for name in ("extra_info", "stats")),
    *(
        (info, name)
        for name in (
            *("arch", "mode", "dtype", "batch_size", "task", "device"),
            *("set", "wave", "round", "device_s", "voided", "setups", "cost", "failure"),
        )
    ),
    (failed, "host_s"),
]


@pytest.mark.parametrize(("pick", "name"), NEEDED)
def test_missing_field_is_refused_by_name(
    path: Path, content: dict[str, Any], pick: Pick, name: str
) -> None:
    damaged = copy.deepcopy(content)
    del pick(damaged)[name]
    message = refused(put(path, damaged))
    if name == "machine_info":  # it contains the key that identifies a run file
        assert "not a run file of googlenet-bench" in message
    else:
        assert "damaged" in message
        assert name in message


def test_listed_cell_without_data_is_refused(path: Path, content: dict[str, Any]) -> None:
    content["benchmarks"].pop()
    assert "damaged" in refused(put(path, content))


def test_samples_without_a_round_are_refused(path: Path, content: dict[str, Any]) -> None:
    info(content)["round"].pop()
    assert "damaged" in refused(put(path, content))


@pytest.mark.parametrize(("visited", "samples"), [(0, [-1.0]), (0, [1.0, 2.0]), (99, [1.0])])
def test_invalid_disturbed_iterations_are_refused(
    path: Path, content: dict[str, Any], visited: int, samples: list[float]
) -> None:
    info(content)["disturbed"] = {"set": [0], "wave": [0], "round": [visited], "host_s": samples}
    assert "damaged" in refused(put(path, content))


@pytest.mark.parametrize(("visited", "message"), [(99, "which is missing"), (0, "unknown ones")])
def test_unknown_disturbed_iterations_must_be_those_of_a_visit(
    path: Path, content: dict[str, Any], visited: int, message: str
) -> None:
    """That of a visit that is not there, or whose disturbed iterations are listed, is damage."""
    unknown = {"set": [0], "wave": [0], "round": [visited]}
    one = {"set": [0], "wave": [0], "round": [0], "host_s": [1.0]}
    info(content)["disturbed"] = {**one, "unknown": unknown}
    assert message in refused(put(path, content))


@pytest.mark.parametrize("samples", [[0.1], [0.1] * 1000])
def test_different_number_of_device_samples_is_refused(
    path: Path, content: dict[str, Any], samples: list[float]
) -> None:
    info(content)["device_s"] = samples
    assert "damaged" in refused(put(path, content))


@pytest.mark.parametrize(
    ("pick", "name", "value"),
    [
        (info, "batch_size", "1"),
        (info, "setups", ["text"]),
        (info, "cost", None),
        (run_info, "environment", []),
        (run_info, "ceilings", {"fp32": None}),
        (run_info, "status", ["complete"]),
        (run_info, "phases_s", {"measuring": "long"}),
    ],
)
def test_field_of_a_wrong_type_is_refused(
    path: Path, content: dict[str, Any], pick: Pick, name: str, value: Any
) -> None:
    pick(content)[name] = value
    assert "damaged" in refused(put(path, content))


@pytest.mark.parametrize("sample", ["0.1", 0.0, -0.5, None, math.nan])
def test_invalid_latency_is_refused(path: Path, content: dict[str, Any], sample: Any) -> None:
    benchmark(content)["stats"]["data"][0] = sample
    words = "is not JSON" if sample is math.nan else "damaged"
    assert words in refused(put(path, content))


@pytest.mark.parametrize("text", ["[" * 200_000, *("[" * n + "]" * n for n in (600, 900))])
def test_too_deeply_nested_json_is_refused(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    assert refused(path) in {
        f"{path}: it is nested too deeply",
        f"{path}: this is not a run file of googlenet-bench: it has no schema version",
    }


@pytest.mark.parametrize("names", [("a",), ("a", "b")])
def test_every_visit_keeps_its_host(path: Path, names: tuple[str, ...]) -> None:
    visits = tuple(
        Visit(
            set_index=index,
            round_index=0,
            host_s=(0.5, 0.25)[: 1 + index % 2],
            voided=index > 4,
            host=names[index % len(names)],
        )
        for index in range(8)
    )
    record = CellRecord(cell=runs.EAGER, visits=visits)
    run = replace(runs.small(), cells=(record,), controls=(), rounds=())
    store.write(run, path)
    assert store.read(path) == run
    assert ('"host"' in path.read_text(encoding="utf-8")) is (len(names) > 1)


def test_a_run_keeps_its_id_and_the_version_of_its_code(path: Path) -> None:
    run = replace(runs.small(), run_id="0f" * 16, code=Code(commit="c" * 40, digest="d" * 64))
    store.write(run, path)
    assert store.read(path) == run


def test_every_changed_byte_of_a_run_file_is_detected(path: Path) -> None:
    run = runs.small()
    store.write(run, path)
    intact = path.read_bytes()
    for index in range(0, len(intact) - 1, 7):  # 7 and the length have no common factor
        byte = intact[index] ^ 1 << index % 7
        path.write_bytes(intact[:index] + bytes([byte]) + intact[index + 1 :])
        try:
            again = store.read(path)
        except RequestError:
            continue
        assert again == run  # a changed digest's name, or other white space


def test_a_run_file_may_be_written_in_another_layout(path: Path) -> None:
    run = runs.small()
    store.write(run, path)
    content = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(content, indent=2, sort_keys=True), encoding="utf-8")
    assert store.read(path) == run
    content["benchmarks"][0]["stats"]["data"][0] *= 2
    assert "does not match its digest" in refused(put(path, content))


def test_text_of_a_run_file_can_be_shown(path: Path) -> None:
    run = replace(runs.small(), notes=("a\x1b[31mb",))
    store.write(run, path)
    assert store.read(path).notes == ("a\\x1b[31mb",)
