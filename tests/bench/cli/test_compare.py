import csv
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bench.cli import main
from bench.records import store
from bench.records.record import CellRecord, RunRecord
from bench.units import MIB
from tests.bench import runs

Capture = pytest.CaptureFixture[str]
Written = Callable[..., list[str]]
SLOWER, DRIFT = 1.10, 1.08


def scaled(record: CellRecord, factor: float) -> CellRecord:
    visits = (
        replace(visit, host_s=tuple(sample * factor for sample in visit.host_s))
        for visit in record.visits
    )
    return replace(record, visits=tuple(visits))


def later(run: RunRecord) -> RunRecord:
    """On a machine that has drifted, with one cell slower than that and a parameter larger."""
    cells = [scaled(record, DRIFT) for record in run.cells]
    index = next(i for i, record in enumerate(cells) if record.cell == runs.EAGER)
    cost = {**cells[index].cost, "params": runs.PARAMS + 1}
    cells[index] = replace(scaled(cells[index], SLOWER), cost=cost)
    controls = tuple(scaled(control, DRIFT) for control in run.controls)
    return replace(run, cells=tuple(cells), controls=controls, status="complete")


@pytest.fixture
def written(tmp_path: Path) -> Written:
    """Writes runs to files, and gives their paths."""

    def write(*found: RunRecord) -> list[str]:
        paths = [tmp_path / f"{index}.json" for index in range(len(found))]
        for path, run in zip(paths, found, strict=True):
            store.write(run, path)
        return list(map(str, paths))

    return write


def told(capsys: Capture, *arguments: str, code: int = 0) -> str:
    assert main(["compare", *arguments]) == code
    out, err = capsys.readouterr()
    assert err == ""
    return out


def refused(capsys: Capture, *arguments: str) -> str:
    """The one line on stderr that a wrong request gets."""
    assert main(["compare", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("googlenet-bench: ")
    assert err.count("\n") == 1
    return err


@pytest.mark.parametrize("form", ["rich", "markdown"])
def test_it_first_says_that_this_is_advice(capsys: Capture, written: Written, form: str) -> None:
    a, b = written(runs.small(), later(runs.small()))
    text = " ".join(told(capsys, a, b, "--format", form).split())
    assert text.startswith("Not measured together: this is advice")
    assert text.index("nox -s gate -- --base REV") < text.index("fp32, batch 1, infer, cpu")
    assert "over budget." in text  # A's status
    assert "Advice goes by the ratio to torchvision eager, which itself takes" in text
    assert f"takes {DRIFT:.3f} times as long in B as in A: that is taken for the" in text
    # In millions both are 6.999.
    assert f"{runs.PARAMS:,} → {runs.PARAMS + 1:,}" in text
    assert "Cells compared: 1 regressed, 2 unchanged, 2 reference." in text


def test_the_slowest_are_first_after_the_reference(capsys: Capture, written: Written) -> None:
    a, b = written(runs.small(), later(runs.small()))
    lines = told(capsys, a, b, "--format", "markdown").splitlines()
    start = lines.index("## fp32, batch 1, infer, cpu")
    rows = [line.strip("|").split("|") for line in lines[start:] if line.startswith("| ")]
    shown = [tuple(cell.strip() for cell in row[:4]) for row in rows[:4]]
    assert [row[:3] for row in shown] == [
        ("arch", "mode", "advice"),
        ("torchvision", "eager", "reference"),
        ("googlenet", "eager", "regressed"),
        ("googlenet", "compile", "unchanged"),
    ]
    # The sets drift alike, so that there is nothing to be unsure of.
    assert shown[2][3] == f"{SLOWER:.3f} ({SLOWER:.3f}–{SLOWER:.3f})"
    assert "## not compared" in lines


def test_every_figure_is_in_the_rows(capsys: Capture, written: Written) -> None:
    a, b = written(runs.small(), later(runs.small()))
    rows = {
        (row["cell"], row["status"]): row
        for row in json.loads(told(capsys, a, b, "--format", "json"))
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
    as_csv = list(csv.DictReader(io.StringIO(told(capsys, a, b, "--format", "csv"))))
    assert [(row["cell"], row["status"]) for row in as_csv] == list(rows)
    assert list(as_csv[0]) == list(next(iter(rows.values())))


@pytest.mark.parametrize(
    ("fail_on", "code"),
    [(None, 0), ("regressed", 1), ("inconclusive", 3), ("inconclusive, regressed", 1)],
)
def test_it_fails_only_where_asked_to(
    capsys: Capture, written: Written, fail_on: str | None, code: int
) -> None:
    a, b = written(runs.small(), later(runs.small()))
    told(capsys, a, b, *(["--fail-on", fail_on] if fail_on else []), code=code)
    told(capsys, a, a, *(["--fail-on", "regressed"] if fail_on else []), code=0)


def on_another_machine(run: RunRecord, factor: float) -> RunRecord:
    """The same code, where all of it takes this many times as long."""
    cells, controls = (
        tuple(scaled(record, factor) for record in found) for found in (run.cells, run.controls)
    )
    return replace(later(run), cells=cells, controls=controls)


@pytest.mark.parametrize("factor", [1.5, 1 / 1.5])
def test_a_reference_beyond_drift_is_told_with_its_figure_and_never_fails_as_regressed(
    capsys: Capture, written: Written, factor: float
) -> None:
    a, b = written(runs.small(), on_another_machine(runs.small(), factor))
    for fail_on, code in (("regressed", 0), ("inconclusive", 3), ("regressed,inconclusive", 3)):
        told(capsys, a, b, "--fail-on", fail_on, code=code)
    text = " ".join(told(capsys, a, b).split())
    (why,) = (part for part in text.split(". ") if part.startswith("Every verdict is inconclusive"))
    for batch_size in (1, 8):
        reference = f"torchvision eager (fp32, batch {batch_size}, infer, cpu)"
        assert f"{reference} takes {factor:.3f} times as long in B as in A" in why
    after = text[text.index(why) + len(why) :]
    assert after.index("nox -s gate -- --base REV") < after.index("fp32, batch 1, infer, cpu")
    assert "Advice goes by" not in text
    assert "Cells compared: 5 inconclusive." in text
    rows = json.loads(told(capsys, a, b, "--format", "json"))
    compared = [row for row in rows if row["status"] == "compared"]
    assert all(row["reference_beyond_drift"] for row in compared)
    assert {row["advice"] for row in compared} == {"inconclusive"}


def test_another_cpu_of_the_same_brand_is_refused_unless_it_may_differ(
    capsys: Capture, written: Written
) -> None:
    run = runs.small()
    a, b = written(
        *(
            replace(run, environment={**run.environment, "cpu": "AMD EPYC", "cpu_family": family})
            for family in (26, 25)
        )
    )
    sentence = "cpu_family is 26 in A and 25 in B"
    assert f"{sentence}. To compare them nevertheless: --across machine" in refused(capsys, a, b)
    assert f"Allowed to differ: {sentence}." in told(capsys, a, b, "--across", "machine")


def test_what_may_differ_is_told(capsys: Capture, written: Written) -> None:
    run = runs.small()
    newer = replace(run, environment={**run.environment, "torch": "2.12.0"})
    a, b = written(run, newer)
    sentence = "torch is '2.11.0' in A and '2.12.0' in B"
    assert sentence in refused(capsys, a, b)
    text = told(capsys, a, b, "--across", "torch,driver")
    assert f"Allowed to differ: {sentence}." in text
    assert "What differs between the runs acts on the reference too. Advice goes by the" in text


def test_another_counter_of_macs_is_told(capsys: Capture, written: Written) -> None:
    run = runs.small()
    cells = (
        replace(one, cost={**one.cost, "counter": "formulas 1"} if one.has_figures else one.cost)
        for one in run.cells
    )
    a, b = written(run, replace(run, cells=tuple(cells)))
    assert "formulas 1 in B" in told(capsys, a, b, "--format", "markdown")
    assert "formulas 1" not in told(capsys, a, a, "--format", "markdown")


def test_dtypes_are_compared_side_by_side(capsys: Capture, written: Written) -> None:
    run = runs.small()
    cells, controls = (
        tuple(replace(one, cell=replace(one.cell, dtype="bf16")) for one in found)
        for found in (run.cells, run.controls)
    )
    a, b = written(run, replace(run, cells=cells, controls=controls))
    assert "--across dtype" in refused(capsys, a, b)
    text = told(capsys, a, b, "--across", "dtype")
    assert "fp32 → bf16, batch 1, infer, cpu" in text
    assert "What differs between the runs acts on the reference too." in text


def test_the_warnings_of_each_run_are_repeated(capsys: Capture, written: Written) -> None:
    run = runs.small()
    off = replace(run, controls=(scaled(run.controls[0], 1.25), run.controls[1]))
    a, b = written(run, off)
    text = " ".join(told(capsys, a, b).split())
    assert "Warning, B: fp32/b1/infer/cpu: do not trust these figures" in text
    assert "Warning, A" not in text
    assert "2 inconclusive" in text  # the other group's are not


def test_without_a_reference_it_says_why_the_latency_decides(
    capsys: Capture, written: Written
) -> None:
    run = runs.small()
    a, b = written(run, replace(run, controls=()))
    assert "The runs have no measured reference in common" in told(capsys, a, b)


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["--across", "tochr"], "no circumstance is called 'tochr'; did you mean 'torch'?"),
        (["--across", "torch,"], "--across 'torch,' has an empty name"),
        (["--fail-on", "regresed"], "did you mean 'regressed'? known: regressed, inconclusive"),
    ],
)
def test_an_unknown_name_is_one_line(
    capsys: Capture, written: Written, arguments: list[str], part: str
) -> None:
    assert part in refused(capsys, *written(runs.small(), runs.small()), *arguments)


def test_a_missing_file_is_one_line(capsys: Capture, written: Written) -> None:
    (a,) = written(runs.small())
    assert "no-such-run.json" in refused(capsys, a, "no-such-run.json")
