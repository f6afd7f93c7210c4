import math
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

from bench import stats
from bench.cells.cell import Cell
from bench.records.record import CellRecord, RunRecord
from bench.report import roofline
from tests.bench import runs

CEILING = 100e9  # the best of runs.CEILINGS
BANDWIDTH = runs.CEILINGS["fp32"]["bytes_per_s"]
# Of the geometric mean over two sets of the median of three rounds' medians of four iterations.
MIDDLE = math.sqrt(1.1 * 1.4) * 1.015
MEASURED = [runs.REFERENCE_EAGER, runs.REFERENCE_BATCH, runs.EAGER, runs.BATCH, runs.COMPILED]


def with_ceilings(**changed: Any) -> RunRecord:
    facts = {**runs.CEILINGS["fp32"], **changed}
    return replace(runs.small(), ceilings={"fp32": facts})


def row(run: RunRecord, of: Cell = runs.EAGER) -> dict[str, Any]:
    rows = roofline.frame(run)
    found = rows[(rows["arch"] == of.arch) & (rows["mode"] == of.mode)]
    (only,) = found[found["batch_size"] == of.batch_size].to_dict("records")
    return {str(name): value for name, value in only.items()}


def changed(cost: dict[str, Any], **cell: Any) -> CellRecord:
    """The eager cell, otherwise."""
    record = runs.measured(runs.EAGER)
    return replace(record, cell=replace(record.cell, **cell), cost=cost)


def intensity(batch_size: int) -> float:
    elements = runs.PARAMS + 2 * runs.ACTIVATIONS * batch_size
    return runs.MACS * batch_size / (4 * elements)


def test_a_row_for_each_measured_cell() -> None:
    rows = roofline.frame(with_ceilings())
    names = list(zip(rows["arch"], rows["mode"], rows["batch_size"], strict=True))
    assert names == [(cell.arch, cell.mode, cell.batch_size) for cell in MEASURED]
    assert {column.name for column in roofline.COLUMNS} <= set(rows.columns)


@pytest.mark.parametrize("cell", MEASURED, ids=lambda cell: cell.id)
def test_a_cell_that_compute_bounds(cell: Cell) -> None:
    found = row(with_ceilings(), cell)
    achieved = runs.MACS * cell.batch_size / (runs.BASE_S[cell] * MIDDLE)
    assert found["achieved_mac_per_s"] == pytest.approx(achieved)
    assert found["share_of_ceiling"] == pytest.approx(achieved / CEILING)
    assert found["intensity_mac_per_byte"] == pytest.approx(intensity(cell.batch_size))
    assert intensity(cell.batch_size) * BANDWIDTH > CEILING
    assert found["attainable_mac_per_s"] == found["ceiling_mac_per_s"] == CEILING
    assert found["share_of_attainable"] == found["share_of_ceiling"]
    assert found["bound"] == "compute"
    assert found["reason"] is None


def test_a_cell_that_memory_bounds() -> None:
    found = row(with_ceilings(bytes_per_s=1e9))
    attainable = intensity(1) * 1e9
    assert attainable < CEILING
    assert found["attainable_mac_per_s"] == pytest.approx(attainable)
    achieved = runs.MACS / (runs.BASE_S[runs.EAGER] * MIDDLE)
    assert found["share_of_attainable"] == pytest.approx(achieved / attainable)
    assert found["share_of_ceiling"] == pytest.approx(achieved / CEILING)
    assert found["bound"] == "memory"


def test_fewer_bytes_an_element_are_a_higher_intensity() -> None:
    found = row(with_ceilings(bytes_per_element=2))
    assert found["intensity_mac_per_byte"] == pytest.approx(2 * intensity(1))


def test_intervals_are_the_latency_s() -> None:
    found, latency = row(with_ceilings()), stats.latency(runs.measured(runs.EAGER))
    assert found["achieved_mac_per_s_low"] == pytest.approx(runs.MACS / latency.high)
    assert found["achieved_mac_per_s_high"] == pytest.approx(runs.MACS / latency.low)
    for share in ("share_of_ceiling", "share_of_attainable"):
        assert found[f"{share}_low"] == pytest.approx(runs.MACS / latency.high / CEILING)
        assert found[f"{share}_low"] < found[share] < found[f"{share}_high"]


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (changed(runs.COST, task="train"), "a training step's multiply-accumulates are not"),
        (changed(runs.COST, dtype="bf16"), "the ceiling of bf16 is not known: no such kernel"),
        (changed(runs.COST, dtype="fp16"), "the ceiling of fp16 is not known: it was not measured"),
        (changed({"error": "cannot count x"}), "its cost is not known: cannot count x"),
        (changed({}), "its cost is not known: it was not counted"),
    ],
)
def test_what_is_not_known_is_blank_and_says_why(record: CellRecord, reason: str) -> None:
    run = replace(with_ceilings(), cells=(record,))
    run = replace(run, ceilings={**run.ceilings, "bf16": {"error": "no such kernel"}})
    (found,) = roofline.frame(run).to_dict("records")
    assert found["reason"].startswith(reason)
    assert pd.isna(found["share_of_ceiling"])
    assert pd.isna(found["share_of_attainable"])
    assert found["bound"] is None


def test_activations_that_were_not_counted_leave_the_ceiling() -> None:
    cost = {name: of for name, of in runs.COST.items() if name != "activations_per_image"}
    found = row(replace(with_ceilings(), cells=(changed(cost),)))
    assert found["share_of_ceiling"] > 0
    assert pd.isna(found["intensity_mac_per_byte"])
    assert pd.isna(found["share_of_attainable"])
    assert found["reason"] == "its activations were not counted"


def test_a_network_that_multiplies_nothing_has_no_share() -> None:
    cost = {**runs.COST, "macs_per_image": 0, "params": 0, "activations_per_image": 0}
    found = row(replace(with_ceilings(), cells=(changed(cost),)))
    assert found["achieved_mac_per_s"] == 0
    assert pd.isna(found["share_of_attainable"])


def test_a_rate_needs_no_ceiling() -> None:
    record = runs.measured(runs.EAGER)
    found = roofline.compute(record, {}, stats.latency(record))
    assert found.achieved_mac_per_s.estimate == pytest.approx(
        runs.MACS / (runs.BASE_S[runs.EAGER] * MIDDLE)
    )
    assert math.isnan(found.share_of_ceiling.estimate)


def test_ceilings_are_the_best_of_each_kind() -> None:
    run = with_ceilings()
    run = replace(run, ceilings={**run.ceilings, "bf16": {"error": "no such kernel"}})
    (found,) = roofline.ceilings(run).to_dict("records")
    assert found == {
        "dtype": "fp32",
        "product_mac_per_s": 90e9,
        "convolution_mac_per_s": CEILING,
        "channels_last_convolution_mac_per_s": 95e9,
        "best": "convolution 3×3, 8×192×28×28",
        "bandwidth_bytes_per_s": BANDWIDTH,
    }


def test_a_run_without_ceilings_has_none() -> None:
    assert roofline.ceilings(runs.small()).empty
