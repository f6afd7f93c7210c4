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

from bench.names import RequestError
from bench.records import store
from bench.records.record import SCHEMA_VERSION, CellRecord, Visit
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


def test_what_is_read_is_what_was_written(path: Path) -> None:
    run = runs.small()
    store.write(run, path)
    assert store.read(path) == run


def test_device_samples_survive(path: Path) -> None:
    run = runs.small()
    visits = tuple(
        Visit(set_index=0, round_index=index, host_s=(0.5, 0.25), device_s=(0.4, 0.2 + index))
        for index in range(2)
    )
    run = replace(run, cells=(CellRecord(cell=runs.EAGER, visits=visits),))
    store.write(run, path)
    assert store.read(path) == run


def test_disturbed_iterations_survive_each_with_its_visit(path: Path) -> None:
    visits = tuple(
        Visit(
            set_index=0,
            round_index=index,
            host_s=(0.5, 0.25),
            disturbed_s=(1.0 + index,) * (index % 3),
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
    assert '"disturbed"' not in path.read_text(encoding="utf-8")  # as in files from before


def test_a_run_on_a_cpu_has_no_word_of_cards(content: dict[str, Any]) -> None:
    """As files have none that were written before cards were known: they read as before."""
    ours = content["machine_info"][store.OURS]
    assert "shared" not in ours
    assert not {"reasons", "card"} & ours["rounds"].keys()
    assert store.from_json(content) == runs.small()


def test_blocks_survive_each_with_its_visit(path: Path) -> None:
    run = runs.gpu()
    first, second, *others = run.cells[0].visits
    visits = (replace(first, voided=True), replace(second, back_to_back=None), *others)
    in_order = tuple(sorted(visits, key=lambda visit: visit.voided))
    run = replace(run, cells=(replace(run.cells[0], visits=in_order),))
    store.write(run, path)
    assert store.read(path) == run


@pytest.mark.parametrize(
    ("field", "value", "is_damaged"),
    [("host_s", 0.0, True), ("iterations", -1, True), ("enqueue_s", None, True),
     ("busy_s", -0.5, True), ("busy_s", None, False)],
)  # fmt: skip
def test_a_block_that_is_none_is_refused(
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


def test_a_file_has_no_blocks_where_there_are_none(content: dict[str, Any]) -> None:
    assert "back_to_back" not in json.dumps(content)


def test_fits_survive(path: Path) -> None:
    run = runs.fitted()
    store.write(run, path)
    assert store.read(path) == run
    assert "fits" not in ours(store.to_json(runs.small()))


def test_ceilings_survive(path: Path) -> None:
    run = replace(runs.small(), ceilings={**runs.CEILINGS, "bf16": {"error": "no kernel"}})
    store.write(run, path)
    assert store.read(path) == run


def test_a_file_in_which_the_plan_says_how_many_rounds_is_read() -> None:
    content = store.to_json(runs.small())
    del content["machine_info"][store.OURS]["allotted"]
    assert store.from_json(content).allotted == runs.small().allotted


def test_a_file_from_before_there_were_ceilings_is_read(
    path: Path, content: dict[str, Any]
) -> None:
    del ours(content)["ceilings"]
    assert store.read(put(path, content)) == runs.small()


def test_a_run_without_any_figures_survives(path: Path) -> None:
    run = replace(runs.small(), cells=(CellRecord(cell=runs.UNVISITED),))
    store.write(run, path)
    assert store.read(path) == run


def test_pytest_benchmark_compares_the_file(path: Path, tmp_path: Path) -> None:
    store.write(runs.small(), path)
    done = subprocess.run(
        [sys.executable, "-m", "pytest_benchmark", "compare", str(path), "--columns=median"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for cell in FIGURES:
        assert cell.id in done.stdout
    assert runs.FAILED.id not in done.stdout
    assert runs.UNVISITED.id not in done.stdout


def test_benchmarks_are_named_and_grouped_as_the_suites_items(content: dict[str, Any]) -> None:
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


def test_statistics_are_pytest_benchmarks_own(content: dict[str, Any]) -> None:
    for cell, benchmark in zip(FIGURES, content["benchmarks"], strict=True):
        expected = Stats()
        for sample in runs.samples_s(cell):
            expected.update(sample)
        assert benchmark["stats"] == {
            **expected.as_dict(),
            "data": runs.samples_s(cell),
            "iterations": 1,
        }


def test_ours_lies_in_the_two_free_places(content: dict[str, Any]) -> None:
    assert set(content) == {"machine_info", "commit_info", "benchmarks", "datetime", "version"}
    assert content["machine_info"][store.OURS]["schema_version"] == SCHEMA_VERSION
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


def test_a_failed_cell_is_no_benchmark_and_keeps_its_samples(content: dict[str, Any]) -> None:
    assert [benchmark["param"] for benchmark in content["benchmarks"]] == [c.id for c in FIGURES]
    read = {record.cell: record for record in store.from_json(content).cells}
    assert read[runs.FAILED].failure == runs.FAILURE
    kept = runs.samples_s(runs.FAILED)[: runs.ROUNDS * runs.ITERATIONS]
    assert read[runs.FAILED].host_s == tuple(kept)
    assert read[runs.UNVISITED] == CellRecord(cell=runs.UNVISITED)


def refused(path: Path) -> str:
    with pytest.raises(RequestError) as raised:
        store.read(path)
    message = str(raised.value)
    assert str(path) in message
    assert "\n" not in message
    return message


@pytest.mark.parametrize("version", [SCHEMA_VERSION + 1, 0, "1", None])
def test_another_schema_version_is_refused(
    path: Path, content: dict[str, Any], version: Any
) -> None:
    content["machine_info"][store.OURS]["schema_version"] = version
    assert (
        f"schema version {version!r} where this googlenet-bench reads {SCHEMA_VERSION}: "
        "make the report with the version that made the run"
    ) in refused(put(path, content))


@pytest.mark.parametrize(
    "other", [[], [1], {}, "text", 3, None, {"machine_info": {"node": "x"}}, {"machine_info": [1]}]
)
def test_json_of_something_else_is_refused(path: Path, other: Any) -> None:
    assert "this is no run file of googlenet-bench" in refused(put(path, other))


def test_a_plain_pytest_benchmark_file_is_refused(path: Path, content: dict[str, Any]) -> None:
    del content["machine_info"][store.OURS]
    assert "no run file of googlenet-bench: it has no schema version" in refused(put(path, content))


@pytest.mark.parametrize("text", ["", "not JSON", "{", "{} {}"])
def test_what_is_not_json_is_refused(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    assert "is not JSON" in refused(path)


def test_what_is_not_text_is_refused(path: Path) -> None:
    path.write_bytes(b"\xff\xfe\x00\x01")
    assert "is not JSON" in refused(path)


def test_a_truncated_file_is_refused(path: Path) -> None:
    store.write(runs.small(), path)
    whole = path.read_text(encoding="utf-8")
    path.write_text(whole[: len(whole) // 2], encoding="utf-8")
    assert "is not JSON" in refused(path)


def test_a_folder_is_refused_with_what_it_holds(path: Path) -> None:
    assert "holds no .json" in refused(path.parent)
    store.write(runs.small(), path)
    assert refused(path.parent) == f"{path.parent} is a folder; in it there is {path.name}"


def test_a_missing_file_is_refused(path: Path) -> None:
    assert "No such file" in refused(path)


Pick = Callable[[dict[str, Any]], dict[str, Any]]


def top(content: dict[str, Any]) -> dict[str, Any]:
    return content


def ours(content: dict[str, Any]) -> dict[str, Any]:
    part: dict[str, Any] = content["machine_info"][store.OURS]
    return part


def plan(content: dict[str, Any]) -> dict[str, Any]:
    part: dict[str, Any] = ours(content)["plan"]
    return part


def info(content: dict[str, Any]) -> dict[str, Any]:
    part: dict[str, Any] = content["benchmarks"][0]["extra_info"]
    return part


def benchmark(content: dict[str, Any]) -> dict[str, Any]:
    part: dict[str, Any] = content["benchmarks"][0]
    return part


def failed(content: dict[str, Any]) -> dict[str, Any]:
    part: dict[str, Any] = ours(content)["without_figures"][0]
    return part


NEEDED = [
    *((top, name) for name in ("machine_info", "benchmarks", "commit_info", "datetime")),
    *(
        (ours, name)
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
def test_a_field_that_is_missing_is_refused_by_name(
    path: Path, content: dict[str, Any], pick: Pick, name: str
) -> None:
    damaged = copy.deepcopy(content)
    del pick(damaged)[name]
    message = refused(put(path, damaged))
    if name == "machine_info":  # what is ours is in there: nothing tells such a file from others
        assert "no run file of googlenet-bench" in message
    else:
        assert "damaged" in message
        assert name in message


def test_a_cell_that_is_listed_and_not_there_is_refused(
    path: Path, content: dict[str, Any]
) -> None:
    content["benchmarks"].pop()
    assert "damaged" in refused(put(path, content))


def test_samples_without_their_round_are_refused(path: Path, content: dict[str, Any]) -> None:
    info(content)["round"].pop()
    assert "damaged" in refused(put(path, content))


@pytest.mark.parametrize(("visited", "samples"), [(0, [-1.0]), (0, [1.0, 2.0]), (99, [1.0])])
def test_disturbed_iterations_that_are_none_are_refused(
    path: Path, content: dict[str, Any], visited: int, samples: list[float]
) -> None:
    info(content)["disturbed"] = {"set": [0], "wave": [0], "round": [visited], "host_s": samples}
    assert "damaged" in refused(put(path, content))


@pytest.mark.parametrize("samples", [[0.1], [0.1] * 1000])
def test_samples_of_the_device_are_as_many_as_the_host_s(
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
        (ours, "environment", []),
        (ours, "ceilings", {"fp32": None}),
        (ours, "status", ["complete"]),
        (ours, "phases_s", {"measuring": "long"}),
    ],
)
def test_a_field_of_another_kind_is_refused(
    path: Path, content: dict[str, Any], pick: Pick, name: str, value: Any
) -> None:
    pick(content)[name] = value
    assert "damaged" in refused(put(path, content))


@pytest.mark.parametrize("sample", ["0.1", 0.0, -0.5, None, math.nan])
def test_a_latency_that_is_none_is_refused(
    path: Path, content: dict[str, Any], sample: Any
) -> None:
    benchmark(content)["stats"]["data"][0] = sample
    words = "is not JSON" if sample is math.nan else "damaged"
    assert words in refused(put(path, content))


def test_json_too_deep_to_read_is_refused(path: Path) -> None:
    path.write_text("[" * 200_000, encoding="utf-8")
    assert "is not JSON" in refused(path) or "is damaged" in refused(path)
