import math
from dataclasses import replace
from statistics import median
from typing import Any

import msgspec
import pandas as pd
import pytest

from bench.cells.cell import Cell
from bench.records.record import CellRecord, Visit
from bench.report import frame, roofline
from bench.report import summary as in_groups
from bench.report.charts import ratios
from bench.units import MIB
from tests.bench import runs
from tests.bench.report.rendered import markdown

COLUMNS = [
    *("arch", "mode", "dtype", "batch_size", "task", "device", "status"),
    *("latency_s", "latency_s_low", "latency_s_high"),
    *("latency_p50_s", "latency_p90_s", "latency_p99_s", "device_p50_s"),
    *("images_per_s", "images_per_s_low", "images_per_s_high"),
    *(
        f"speedup_over_reference{which}{bound}"
        for which in ("", "_same_mode")
        for bound in ("", "_low", "_high")
    ),
    *("params", "params_with_aux", "macs_per_image", "flops_per_image"),
    *("macs_is_lower_bound", "uncounted", "fvcore_total_per_image"),
    *("mac_per_s", "share_of_ceiling", "share_of_attainable"),
    *("peak_reserved_bytes", "peak_memory_bytes", "peak_allocated_bytes", "peak_resident_bytes"),
    "resident_before_build_bytes",
    *("compile_cold_s", "compile_warm_s"),
    *("graph_breaks", "late_graph_breaks", "recompiled_graphs"),
    *("output_error", "error_bound", "gradient_error", "sets", "samples", "reason"),
]


def test_cells_of_several_dtypes_are_in_one_group_and_have_ratios_to_one_reference() -> None:
    run = runs.across_dtypes()
    ((title, rows),) = in_groups.groups(frame.summary(run))
    assert title == "batch 1, infer, cpu"
    labels = ["eager (fp32)", "eager (bf16)", "compile (fp32)", "compile (bf16)"]
    assert list(rows["mode"]) == labels
    assert list(rows["dtype"]) == ["fp32", "bf16"] * 2
    reference = in_groups.reference(run, rows)
    assert reference == run.cells[0].cell
    over = dict(zip(labels, rows["speedup_over_reference"], strict=True))
    expected = dict(zip(labels, (1.0, 2.0, 2.0, 4.0), strict=True))
    assert over == pytest.approx(expected)
    # It would compare dtypes too.
    assert rows["speedup_over_reference_same_mode"].isna().all()


def test_a_report_names_the_dtype_beside_the_mode_if_a_group_has_several() -> None:
    text = markdown(runs.across_dtypes())
    for shown in ("batch 1, infer, cpu", "torchvision in compile (bf16)", "4.00"):
        assert shown in text
    (chart,) = ratios.charts(runs.across_dtypes())
    assert "torchvision in eager (fp32)" in chart.caption
    modes = {row["mode"] for data in chart.spec["datasets"].values() for row in data}
    assert {"eager (fp32)", "compile (bf16)"} <= modes


@pytest.fixture
def summary() -> pd.DataFrame:
    return frame.summary(runs.small())


def row(cell: Cell, rows: pd.DataFrame | None = None) -> dict[str, Any]:
    if rows is None:
        rows = frame.summary(runs.small())
    index = [record.cell for record in runs.small().cells].index(cell)
    values = {str(name): value for name, value in rows.iloc[index].items()}
    assert (values["arch"], values["mode"]) == (cell.arch, cell.mode)
    return values


def test_columns_and_rows(summary: pd.DataFrame) -> None:
    assert list(summary.columns) == COLUMNS
    fields = ["arch", "mode", "dtype", "batch_size", "task", "device"]
    expected = [
        tuple(getattr(record.cell, field) for field in fields) for record in runs.small().cells
    ]
    assert list(summary[fields].itertuples(index=False, name=None)) == expected


def test_flops_are_twice_the_macs() -> None:
    values = row(runs.EAGER)
    assert values["macs_per_image"] == runs.MACS
    assert values["flops_per_image"] == 2 * runs.MACS
    assert values["fvcore_total_per_image"] == runs.FVCORE


@pytest.mark.parametrize("cell", [runs.EAGER, runs.BATCH, runs.COMPILED])
def test_latency_and_throughput(cell: Cell) -> None:
    values, samples_s = row(cell), runs.samples_s(cell)
    samples = sorted(samples_s)
    assert values["status"] == "measured"
    assert values["samples"] == len(samples) == runs.SETS * runs.ROUNDS * runs.ITERATIONS
    assert values["latency_p50_s"] == pytest.approx(median(samples))
    each = runs.ROUNDS * runs.ITERATIONS
    by_round = [samples_s[at : at + runs.ITERATIONS] for at in range(0, 2 * each, runs.ITERATIONS)]
    medians = [median(samples) for samples in by_round]
    latency_s = math.sqrt(median(medians[: runs.ROUNDS]) * median(medians[runs.ROUNDS :]))
    assert values["latency_s"] == pytest.approx(latency_s)
    assert values["latency_s_low"] < latency_s < values["latency_s_high"]
    assert values["images_per_s"] == pytest.approx(cell.batch_size / latency_s)
    rank = 0.9 * (len(samples) - 1)
    below = samples[math.floor(rank)]
    p90 = below + (rank % 1) * (samples[math.floor(rank) + 1] - below)
    assert values["latency_p90_s"] == pytest.approx(p90)
    assert p90 < values["latency_p99_s"] < samples[-1]
    assert math.isnan(values["device_p50_s"])
    assert values["reason"] == ""


@pytest.mark.parametrize("cell", [runs.EAGER, runs.COMPILED, runs.REFERENCE_EAGER])
def test_speedup_over_the_reference_in_eager(cell: Cell) -> None:
    expected = runs.BASE_S[runs.REFERENCE_EAGER] / runs.BASE_S[cell]
    assert row(cell)["speedup_over_reference"] == pytest.approx(expected, rel=1e-12)


def test_shares_of_the_device_limits() -> None:
    run = replace(runs.small(), ceilings=runs.CEILINGS)
    expected = roofline.frame(run).iloc[2]
    values = row(runs.EAGER, frame.summary(run))
    assert (expected["arch"], expected["mode"], expected["batch_size"]) == ("googlenet", "eager", 1)
    assert values["mac_per_s"] == runs.MACS / values["latency_s"] == expected["achieved_mac_per_s"]
    for share in ("share_of_ceiling", "share_of_attainable"):
        assert 0 < values[share] == expected[share]
    assert row(runs.EAGER)["mac_per_s"] == values["mac_per_s"]
    assert math.isnan(row(runs.EAGER)["share_of_ceiling"])
    assert math.isnan(row(runs.FAILED, frame.summary(run))["mac_per_s"])


def test_speedup_is_taken_within_the_group() -> None:
    expected = runs.BASE_S[runs.REFERENCE_BATCH] / runs.BASE_S[runs.BATCH]
    values = row(runs.BATCH)
    assert values["speedup_over_reference"] == pytest.approx(expected, rel=1e-12)
    assert values["speedup_over_reference_same_mode"] == pytest.approx(expected, rel=1e-12)


def test_no_speedup_over_a_reference_without_figures() -> None:
    assert math.isnan(row(runs.COMPILED)["speedup_over_reference_same_mode"])


def test_no_speedup_over_a_reference_that_failed() -> None:
    run = runs.small()
    first = replace(run.cells[0], failure=runs.FAILURE)
    rows = frame.summary(replace(run, cells=(first, *run.cells[1:])))
    assert first.cell == runs.REFERENCE_EAGER
    assert math.isnan(row(runs.EAGER, rows)["speedup_over_reference"])


def test_setups_of_all_sets_are_aggregated() -> None:
    values = row(runs.COMPILED)
    assert values["peak_resident_bytes"] == 500 * MIB  # the lower of two
    assert values["resident_before_build_bytes"] == (300 + runs.SETS - 1) * MIB
    assert values["output_error"] == runs.SETS * 1e-6
    assert values["graph_breaks"] == 0
    assert values["compile_cold_s"] == runs.COLD_S
    calls_s = [runs.setup(index).first_call_s or 0 for index in range(runs.SETS)]
    assert values["compile_warm_s"] == median(calls_s)
    assert values["peak_memory_bytes"] == 100 * MIB


def test_memory_is_the_median_over_the_sets() -> None:
    run = runs.small()
    setups = tuple(
        msgspec.structs.replace(runs.setup(0), peak_memory_bytes=size) for size in (7, 900, 5, 6, 8)
    )
    first = replace(run.cells[0], setups=setups)
    rows = frame.summary(replace(run, cells=(first, *run.cells[1:])))
    assert row(first.cell, rows)["peak_memory_bytes"] == 7


def test_cells_that_are_not_compiled_have_no_compile_time() -> None:
    values = row(runs.EAGER)
    assert pd.isna(values["compile_cold_s"])
    assert pd.isna(values["compile_warm_s"])


def test_a_failed_cell_has_no_latency_but_a_reason() -> None:
    values = row(runs.FAILED)
    assert values["status"] == "failed"
    assert values["samples"] == 0
    for name in ("latency_p50_s", "latency_p90_s", "latency_p99_s", "images_per_s"):
        assert math.isnan(values[name])
    assert math.isnan(values["speedup_over_reference"])
    assert pd.isna(values["params"])
    assert values["reason"] == runs.HOSTILE


def test_a_cell_without_visits_has_no_latency() -> None:
    values = row(runs.UNVISITED)
    assert (values["status"], values["samples"]) == ("not measured", 0)
    assert math.isnan(values["latency_p50_s"])


def test_samples_are_tidy_and_in_order() -> None:
    rows = frame.samples(runs.small())
    assert list(rows.columns) == [
        *("cell", "set", "wave", "round", "iteration"),
        *("latency_s", "device_s", "disturbed", "voided"),
    ]
    assert not rows["disturbed"].any()
    assert not rows["voided"].any()
    expected = [
        (record.cell.id, set_index, round_index, iteration)
        for record in (*runs.small().cells, *runs.small().controls)
        if replace(record.cell, control=False) in runs.BASE_S
        for set_index in range(1 if record.cell == runs.FAILED else runs.SETS)
        for round_index in range(runs.ROUNDS)
        for iteration in range(runs.ITERATIONS)
    ]
    keys = rows[["cell", "set", "round", "iteration"]].itertuples(index=False, name=None)
    assert list(keys) == expected
    of_cell = rows[rows["cell"] == runs.BATCH.id]
    assert list(of_cell["latency_s"]) == runs.samples_s(runs.BATCH)
    assert rows["device_s"].isna().all()


def test_device_samples_are_in_the_rows_of_host_samples() -> None:
    visit = Visit(set_index=0, round_index=0, host_s=(0.5, 0.25), device_s=(0.4, 0.2))
    record = CellRecord(cell=runs.EAGER, visits=(visit,))
    run = replace(runs.small(), cells=(record,), controls=())
    rows = frame.samples(run)
    assert list(rows["latency_s"]) == [0.5, 0.25]
    assert list(rows["device_s"]) == [0.4, 0.2]
    assert frame.summary(run)["device_p50_s"].item() == pytest.approx((0.4 + 0.2) / 2)


def test_disturbed_iterations_are_marked_and_do_not_count() -> None:
    visits = (
        Visit(set_index=0, round_index=0, host_s=(0.5, 0.25), disturbed_s=(0.75,)),
        Visit(set_index=0, round_index=1, host_s=(0.25,), device_s=(0.2,), disturbed_s=(1.0, 2.0)),
    )
    record = CellRecord(cell=runs.EAGER, visits=visits)
    run = replace(runs.small(), cells=(record,), controls=())
    rows = frame.samples(run)
    assert list(rows["latency_s"]) == [0.5, 0.25, 0.75, 0.25, 1.0, 2.0]
    assert list(rows["disturbed"]) == [False, False, True, False, True, True]
    assert list(rows["round"]) == [0, 0, 0, 1, 1, 1]
    assert list(rows["device_s"].dropna()) == [0.2]
    assert frame.summary(run)["samples"].item() == 3


def test_samples_of_an_empty_run_have_the_columns() -> None:
    rows = frame.samples(
        replace(runs.small(), cells=(CellRecord(cell=runs.UNVISITED),), controls=())
    )
    assert rows.empty
    assert "latency_s" in rows.columns


def test_failures_are_the_cells_without_figures() -> None:
    rows = frame.failures(runs.small("interrupted")).to_dict("records")
    assert rows == [
        {
            "cell": runs.FAILED.id,
            "phase": "measuring",
            "kind": "died",
            "reason": runs.HOSTILE,
            "stderr": runs.STDERR,
        },
        {
            "cell": runs.UNVISITED.id,
            "phase": "",
            "kind": "not_measured",
            "reason": "the run was interrupted",
            "stderr": "",
        },
    ]


def test_a_cell_with_only_voided_rounds_has_no_figures() -> None:
    record = runs.measured(runs.EAGER)
    voided = replace(record, visits=tuple(replace(v, voided=True) for v in record.visits))
    run = replace(runs.small(), cells=(voided,), controls=())
    assert frame.summary(run)["status"].item() == "voided"
    assert frame.failures(run)["kind"].item() == "voided"
    assert "other processes used the CPUs" in frame.failures(run)["reason"].item()
    assert frame.samples(run)["voided"].all()


def test_a_run_without_failed_cells_has_no_failures() -> None:
    run = replace(runs.small(), cells=(runs.measured(runs.EAGER),))
    assert frame.failures(run).empty
