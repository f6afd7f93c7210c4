"""What a history stores of a run."""

import math
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from bench.cells.cell import Cell
from bench.errors import RequestError
from bench.history import from_run
from bench.history.entry import GATE, RUN, Figure
from bench.records import store
from bench.records.code import Code
from bench.report import frame
from tests.bench import runs
from tests.bench.gate import gates
from tests.bench.history import made

GOLDEN = Path(__file__).parents[1] / "report" / "golden" / "run.json"
SCHEMA_1 = Path(__file__).parents[1] / "records" / "files" / "schema-1.json"
TEXTS = ("status", "reason", "arch", "mode", "dtype", "task", "device")


@pytest.mark.parametrize("path", [GOLDEN, SCHEMA_1], ids=["version 2", "version 1"])
def test_a_cell_has_every_number_of_the_summary(path: Path) -> None:
    run = store.read(path)
    entry = from_run.entry(run)
    rows = frame.summary(run)
    numbers = [
        name
        for name in rows.select_dtypes(include=["number", "bool"]).columns
        if name != "batch_size"
    ]
    for record, (_, row) in zip(run.cells, rows.iterrows(), strict=True):
        found: dict[str, float] = {}
        for name, figure in made.figures(entry, record.cell.id).items():
            found[name] = figure.value
            if figure.low is not None and figure.high is not None:
                found |= {f"{name}_low": figure.low, f"{name}_high": figure.high}
        expected = {name: float(row[name]) for name in numbers if math.isfinite(row[name])}
        assert found == expected


def test_the_facts_of_a_run_are_those_of_its_file() -> None:
    run = replace(made.run(3), code=Code(commit="c" * 40, digest="d" * 64))
    entry = from_run.entry(run)
    assert (entry.run_id, entry.kind, entry.status) == (run.run_id, RUN, "complete")
    assert entry.when == made.FIRST + timedelta(days=3)
    assert (entry.commit, entry.branch, entry.dirty) == (f"{3:040x}", "main", False)
    assert (entry.code, entry.command) == ("d" * 64, run.plan.command)
    assert (entry.torch, entry.python, entry.threads) == ("2.11.0", "3.11.9", None)
    assert entry.machine.name == "AMD EPYC"


def test_without_a_checkout_the_commit_is_that_of_the_code() -> None:
    run = replace(
        made.run(0),
        commit_info={"id": "unversioned", "branch": "(unknown)"},
        code=Code(commit="c" * 40, digest="d" * 64),
    )
    entry = from_run.entry(run)
    assert (entry.commit, entry.branch, entry.dirty) == ("c" * 40, None, None)


def test_cells_without_figures_have_the_reason() -> None:
    entry = made.entry(0)
    assert made.named(entry, runs.FAILED.id).status == runs.FAILURE.kind
    assert made.named(entry, runs.UNVISITED.id).status == "not measured"
    measured = [cell for cell in entry.cells if cell.status == "measured"]
    assert len(measured) == len(entry.cells) - 2
    assert made.RATIO not in made.figures(entry, runs.FAILED.id)


@pytest.mark.parametrize(
    ("cell", "reference"),
    [(runs.EAGER, runs.REFERENCE_EAGER), (runs.BATCH, runs.REFERENCE_BATCH)],
)
def test_the_ratio_is_to_the_run_s_own_reference(cell: Cell, reference: Cell) -> None:
    entry = made.entry(0)
    assert made.named(entry, cell.id).reference == reference.id
    figure = made.figures(entry, cell.id)[made.RATIO]
    assert figure.value == pytest.approx(runs.BASE_S[reference] / runs.BASE_S[cell])
    assert made.figures(entry, reference.id)[made.RATIO] == Figure(metric=made.RATIO, value=1.0)


def test_a_run_without_an_id_has_that_of_its_samples() -> None:
    run = replace(made.run(0), run_id="")
    entry = from_run.entry(run)
    assert len(entry.run_id) == 32
    assert from_run.entry(replace(run, notes=("another note",))).run_id == entry.run_id
    slower = replace(run, cells=made.run(0, 1.1).cells)
    assert from_run.entry(slower).run_id != entry.run_id


def test_a_machine_is_identified_by_its_hardware() -> None:
    digest = made.entry(0).machine.digest
    assert made.entry(1).machine.digest == digest
    for facts in ({"cpu_model": 17}, {"cpu_microcode": "0x1"}, {"physical_cores": 4}):
        other = from_run.entry(runs.in_environment(made.run(0), **facts))
        assert other.machine.digest != digest
    software = runs.in_environment(made.run(0), torch="2.12.0", python="3.12.0")
    assert from_run.entry(software).machine.digest == digest


def test_the_size_of_images_is_that_of_the_run_if_workers_did_not_report_it() -> None:
    assert {cell.image_size for cell in made.entry(0).cells} == {"224"}
    smaller = from_run.entry(runs.with_plan(made.run(0), image_size=192))
    assert {cell.image_size for cell in smaller.cells} == {"192"}


def test_a_gate_has_the_cells_of_head() -> None:
    gate = gates.run({runs.EAGER: [0.1, 0.1]})
    entry = from_run.entry(replace(gate, gate={"head": "a"}))
    assert entry.kind == GATE
    assert [cell.cell for cell in entry.cells] == [runs.EAGER.id]
    assert entry.code == gates.HEAD_CODE.digest


@pytest.mark.parametrize("text", ["", "yesterday"])
def test_a_run_without_a_date_has_no_place(text: str) -> None:
    with pytest.raises(RequestError, match=f"its date is '{text}'"):
        from_run.entry(replace(made.run(0), datetime=text))
