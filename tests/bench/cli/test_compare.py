import csv
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from bench.cli import main
from bench.records import store
from bench.records.record import CellRecord, RunRecord
from bench.units import MIB
from tests.bench import runs

Capture = pytest.CaptureFixture[str]
WriteRuns = Callable[..., list[str]]
SLOWER, DRIFT = 1.10, 1.08


def scaled(record: CellRecord, factor: float) -> CellRecord:
    visits = (
        replace(visit, host_s=tuple(sample * factor for sample in visit.host_s))
        for visit in record.visits
    )
    return replace(record, visits=tuple(visits))


def later(run: RunRecord) -> RunRecord:
    """Return the run on a machine that drifted, with one cell slower and one parameter larger."""
    cells = [scaled(record, DRIFT) for record in run.cells]
    index = next(i for i, record in enumerate(cells) if record.cell == runs.EAGER)
    cost = msgspec.structs.replace(cells[index].cost, params=runs.PARAMS + 1)
    cells[index] = replace(scaled(cells[index], SLOWER), cost=cost)
    controls = tuple(scaled(control, DRIFT) for control in run.controls)
    return replace(run, cells=tuple(cells), controls=controls, status="complete")


@pytest.fixture
def write_runs(tmp_path: Path) -> WriteRuns:
    """Return a function that writes runs to files and returns their paths."""

    def write(*run_records: RunRecord) -> list[str]:
        paths = [tmp_path / f"{index}.json" for index in range(len(run_records))]
        for path, run in zip(paths, run_records, strict=True):
            store.write(run, path)
        return list(map(str, paths))

    return write


def compare(capsys: Capture, *arguments: str, code: int = 0) -> str:
    assert main(["compare", *arguments]) == code
    out, err = capsys.readouterr()
    assert err == ""
    return out


def refused(capsys: Capture, *arguments: str) -> str:
    """Run an invalid request and return its single line on stderr."""
    assert main(["compare", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("googlenet-bench: ")
    assert err.count("\n") == 1
    return err


@pytest.mark.parametrize("form", ["rich", "markdown"])
def test_the_output_starts_by_saying_that_it_is_advice(
    capsys: Capture, write_runs: WriteRuns, form: str
) -> None:
    a, b = write_runs(runs.small(), later(runs.small()))
    text = " ".join(compare(capsys, a, b, "--format", form).split())
    assert text.startswith("Not measured together: this is advice")
    assert text.index("googlenet-bench gate --base REV") < text.index("fp32, batch 1, infer, cpu")
    assert "over budget." in text  # A's status
    assert "Advice is based on the ratio to torchvision eager, which itself takes" in text
    assert f"takes {DRIFT:.3f} times as long in B as in A: this is attributed to the" in text
    # Shown in full, because both are 6.999 million.
    assert f"{runs.PARAMS:,} → {runs.PARAMS + 1:,}" in text
    assert "Cells compared: 1 regressed, 2 unchanged, 2 reference." in text


def test_cells_are_sorted_by_slowdown_after_the_reference(
    capsys: Capture, write_runs: WriteRuns
) -> None:
    a, b = write_runs(runs.small(), later(runs.small()))
    lines = compare(capsys, a, b, "--format", "markdown").splitlines()
    start = lines.index("### fp32, batch 1, infer, cpu")
    rows = [line.strip("|").split("|") for line in lines[start:] if line.startswith("| ")]
    shown = [tuple(cell.strip() for cell in row[:4]) for row in rows[:4]]
    assert [row[:3] for row in shown] == [
        ("arch", "mode", "advice"),
        ("torchvision", "eager", "reference"),
        ("googlenet", "eager", "regressed"),
        ("googlenet", "compile", "unchanged"),
    ]
    # All sets drift alike, so the interval has no width.
    assert shown[2][3] == f"{SLOWER:.3f} ({SLOWER:.3f}–{SLOWER:.3f})"
    assert "### not compared" in lines


def test_the_rows_have_every_figure(capsys: Capture, write_runs: WriteRuns) -> None:
    a, b = write_runs(runs.small(), later(runs.small()))
    rows = {
        (row["cell"], row["status"]): row
        for row in json.loads(compare(capsys, a, b, "--format", "json"))
    }
    row = rows[runs.EAGER.id, "compared"]
    assert (row["advice"], row["advice_by"], row["measured_together"]) == (
        "regressed",
        "ratio",
        False,
    )
    assert row["reference_beyond_drift"] is False
    assert row["reference"] == runs.REFERENCE_EAGER.id
    assert row["ratio_b_over_a"] == pytest.approx(SLOWER)
    assert row["latency_b_over_a"] == pytest.approx(SLOWER * DRIFT)
    assert row["latency_b_over_a_low"] < SLOWER * DRIFT < row["latency_b_over_a_high"]
    assert row["latency_s_b"] / row["latency_s_a"] == pytest.approx(row["latency_b_over_a"])
    assert (row["params_a"], row["params_b"]) == (runs.PARAMS, runs.PARAMS + 1)
    assert row["macs_per_image_b"] == runs.MACS
    assert row["peak_memory_bytes_a"] == 100 * MIB
    assert rows[runs.COMPILED.id, "compared"]["compile_cold_s_b"] == runs.COLD_S
    for name in "AB":
        assert rows[runs.FAILED.id, f"no figures in {name}"]["reason"].startswith("died: a | b")
    assert rows[runs.UNVISITED.id, "no figures in B"]["reason"] == (
        "not_measured: the run was complete"
    )
    as_csv = list(csv.DictReader(io.StringIO(compare(capsys, a, b, "--format", "csv"))))
    assert [(row["cell"], row["status"]) for row in as_csv] == list(rows)
    assert list(as_csv[0]) == list(next(iter(rows.values())))


@pytest.mark.parametrize(
    ("fail_on", "code"),
    [(None, 0), ("regressed", 1), ("inconclusive", 3), ("inconclusive, regressed", 1)],
)
def test_the_exit_code_follows_fail_on(
    capsys: Capture, write_runs: WriteRuns, fail_on: str | None, code: int
) -> None:
    a, b = write_runs(runs.small(), later(runs.small()))
    compare(capsys, a, b, *(["--fail-on", fail_on] if fail_on else []), code=code)
    compare(capsys, a, a, *(["--fail-on", "regressed"] if fail_on else []), code=0)


def on_another_machine(run: RunRecord, factor: float) -> RunRecord:
    """Return the run of the same code on a machine that takes ``factor`` times as long."""
    cells, controls = (
        tuple(scaled(record, factor) for record in records) for records in (run.cells, run.controls)
    )
    return replace(later(run), cells=cells, controls=controls)


@pytest.mark.parametrize("factor", [1.5, 1 / 1.5])
def test_a_reference_beyond_drift_makes_every_cell_inconclusive(
    capsys: Capture, write_runs: WriteRuns, factor: float
) -> None:
    a, b = write_runs(runs.small(), on_another_machine(runs.small(), factor))
    for fail_on, code in (("regressed", 0), ("inconclusive", 3), ("regressed,inconclusive", 3)):
        compare(capsys, a, b, "--fail-on", fail_on, code=code)
    text = " ".join(compare(capsys, a, b).split())
    (why,) = (part for part in text.split(". ") if part.startswith("Every verdict is inconclusive"))
    for batch_size in (1, 8):
        reference = f"torchvision eager (fp32, batch {batch_size}, infer, cpu)"
        assert f"{reference} takes {factor:.3f} times as long in B as in A" in why
    after = text[text.index(why) + len(why) :]
    assert after.index("googlenet-bench gate --base REV") < after.index("fp32, batch 1, infer, cpu")
    assert "Advice is based on" not in text
    assert "Cells compared: 5 inconclusive." in text
    rows = json.loads(compare(capsys, a, b, "--format", "json"))
    compared = [row for row in rows if row["status"] == "compared"]
    assert all(row["reference_beyond_drift"] for row in compared)
    assert {row["advice"] for row in compared} == {"inconclusive"}


def test_another_cpu_of_the_same_brand_is_refused_unless_allowed(
    capsys: Capture, write_runs: WriteRuns
) -> None:
    run = runs.small()
    a, b = write_runs(
        *(runs.in_environment(run, cpu="AMD EPYC", cpu_family=family) for family in (26, 25))
    )
    sentence = "cpu_family is 26 in A and 25 in B"
    assert f"{sentence}. To compare them anyway: --across machine" in refused(capsys, a, b)
    assert f"Allowed to differ: {sentence}." in compare(capsys, a, b, "--across", "machine")


def test_allowed_differences_are_reported(capsys: Capture, write_runs: WriteRuns) -> None:
    run = runs.small()
    newer = runs.in_environment(run, torch="2.12.0")
    a, b = write_runs(run, newer)
    sentence = "torch is '2.11.0' in A and '2.12.0' in B"
    assert sentence in refused(capsys, a, b)
    text = compare(capsys, a, b, "--across", "torch,driver")
    assert f"Allowed to differ: {sentence}." in text
    assert (
        "The differences between the runs affect the reference too. Advice is based on the" in text
    )


def test_another_counter_of_macs_is_reported(capsys: Capture, write_runs: WriteRuns) -> None:
    run = runs.small()
    cells = (
        replace(
            record,
            cost=msgspec.structs.replace(
                record.cost, counter="formulas 1" if record.has_figures else None
            ),
        )
        for record in run.cells
    )
    a, b = write_runs(run, replace(run, cells=tuple(cells)))
    assert "formulas 1 in B" in compare(capsys, a, b, "--format", "markdown")
    assert "formulas 1" not in compare(capsys, a, a, "--format", "markdown")


def test_dtypes_can_be_compared_across_runs(capsys: Capture, write_runs: WriteRuns) -> None:
    run = runs.small()
    cells, controls = (
        tuple(replace(record, cell=replace(record.cell, dtype="bf16")) for record in records)
        for records in (run.cells, run.controls)
    )
    a, b = write_runs(run, replace(run, cells=cells, controls=controls))
    assert "--across dtype" in refused(capsys, a, b)
    text = compare(capsys, a, b, "--across", "dtype")
    assert "fp32 → bf16, batch 1, infer, cpu" in text
    assert "The differences between the runs affect the reference too." in text


def test_the_warnings_of_each_run_are_repeated(capsys: Capture, write_runs: WriteRuns) -> None:
    run = runs.small()
    off = replace(run, controls=(scaled(run.controls[0], 1.25), run.controls[1]))
    a, b = write_runs(run, off)
    text = " ".join(compare(capsys, a, b).split())
    assert "Warning, B: fp32/b1/infer/cpu: do not trust these figures" in text
    assert "Warning, A" not in text
    assert "2 inconclusive" in text  # the other group's cells are not inconclusive


def test_a_run_under_load_that_was_allowed_gets_no_advice(
    capsys: Capture, write_runs: WriteRuns
) -> None:
    run = runs.small()
    rounds = tuple(replace(each, foreign_cpus=1.0) for each in runs.rounds(runs.EAGER))
    plan = msgspec.structs.replace(run.plan, default_foreign_cpus=0.15)
    loaded = replace(run, rounds=rounds, plan=plan)
    a, b = write_runs(run, loaded)
    text = " ".join(compare(capsys, a, b).split())
    assert "Warning, B: fp32/b1/infer/cpu: other processes used 1.0 CPUs on average" in text
    assert "which --foreign-cpus allowed" in text
    assert "2 inconclusive" in text
    compare(capsys, a, b, "--fail-on", "inconclusive", code=3)


def test_without_a_common_reference_the_latency_decides(
    capsys: Capture, write_runs: WriteRuns
) -> None:
    run = runs.small()
    a, b = write_runs(run, replace(run, controls=()))
    assert "The runs have no measured reference in common" in compare(capsys, a, b)


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["--across", "tochr"], "no circumstance is called 'tochr'; did you mean 'torch'?"),
        (["--across", "torch,"], "--across 'torch,' has an empty name"),
        (["--fail-on", "regresed"], "did you mean 'regressed'? known: regressed, inconclusive"),
    ],
)
def test_an_unknown_name_exits_with_one_line(
    capsys: Capture, write_runs: WriteRuns, arguments: list[str], part: str
) -> None:
    assert part in refused(capsys, *write_runs(runs.small(), runs.small()), *arguments)


def test_a_missing_file_exits_with_one_line(capsys: Capture, write_runs: WriteRuns) -> None:
    (a,) = write_runs(runs.small())
    assert "no-such-run.json" in refused(capsys, a, "no-such-run.json")


@pytest.mark.parametrize(
    ("ids", "is_same"), [(("one", "one"), True), (("one", "two"), False), (("", ""), False)]
)
def test_two_files_of_the_same_run_are_named_as_such(
    capsys: Capture, write_runs: WriteRuns, ids: tuple[str, str], is_same: bool
) -> None:
    a, b = write_runs(*(replace(runs.small(), run_id=run_id) for run_id in ids))
    assert ("A and B are the same run" in compare(capsys, a, b)) is is_same
