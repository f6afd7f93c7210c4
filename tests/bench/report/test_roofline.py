import math
from dataclasses import replace
from typing import Any

import msgspec
import pandas as pd
import pytest

from bench import stats
from bench.cells.cell import Cell
from bench.metrics.roofline import best, compute
from bench.records.record import CellRecord, RunRecord
from bench.records.reported import ArchCost, Ceiling
from bench.report import roofline
from tests.bench import runs

CEILING = 100e9  # the best of runs.CEILINGS
BANDWIDTH = 20e9  # of runs.CEILINGS
# The geometric mean over two sets of the median over three rounds of medians of four iterations.
MIDDLE = math.sqrt(1.1 * 1.4) * 1.015
MEASURED = [runs.REFERENCE_EAGER, runs.REFERENCE_BATCH, runs.EAGER, runs.BATCH, runs.COMPILED]


def with_ceilings(**replaced: Any) -> RunRecord:
    rates = msgspec.structs.replace(runs.CEILINGS["fp32"], **replaced)
    return replace(runs.small(), ceilings={"fp32": rates})


def row(run: RunRecord, cell: Cell = runs.EAGER) -> dict[str, Any]:
    rows = roofline.frame(run)
    matching = rows[(rows["arch"] == cell.arch) & (rows["mode"] == cell.mode)]
    (values,) = matching[matching["batch_size"] == cell.batch_size].to_dict("records")
    return {str(name): value for name, value in values.items()}


def changed(cost: ArchCost, **cell: Any) -> CellRecord:
    """Return the eager cell with another cost and other fields."""
    record = runs.measured(runs.EAGER)
    return replace(record, cell=replace(record.cell, **cell), cost=cost)


def intensity(batch_size: int) -> float:
    elements = runs.PARAMS + 2 * runs.ACTIVATIONS * batch_size
    return runs.MACS * batch_size / (4 * elements)


def test_rates_and_shares_are_written_in_the_units_of_their_headings() -> None:
    figures = {"GMAC/s": (61.3e9, "61.3"), "GB/s": (20e9, "20.0"), "% of": (0.42, "42")}
    for column in (*roofline.COLUMNS, *roofline.CEILING_COLUMNS):
        for unit, (value, text) in figures.items():
            if unit in column.heading:
                assert column.write(value) == text, column.name


def test_the_best_rate_of_a_kind_is_in_any_place() -> None:
    facts = runs.CEILINGS["fp32"]
    expected = {"product": 90e9, "convolution": 100e9, "channels_last_convolution": 95e9}
    reverse = msgspec.structs.replace(facts, probes=tuple(reversed(facts.probes)))
    assert best(facts) == best(reverse) == expected


def test_each_measured_cell_has_a_row() -> None:
    rows = roofline.frame(with_ceilings())
    names = list(zip(rows["arch"], rows["mode"], rows["batch_size"], strict=True))
    assert names == [(cell.arch, cell.mode, cell.batch_size) for cell in MEASURED]
    assert {column.name for column in roofline.COLUMNS} <= set(rows.columns)


@pytest.mark.parametrize("cell", MEASURED, ids=lambda cell: cell.id)
def test_a_cell_bound_by_compute(cell: Cell) -> None:
    values = row(with_ceilings(), cell)
    achieved = runs.MACS * cell.batch_size / (runs.BASE_S[cell] * MIDDLE)
    assert values["achieved_mac_per_s"] == pytest.approx(achieved)
    assert values["share_of_ceiling"] == pytest.approx(achieved / CEILING)
    assert values["intensity_mac_per_byte"] == pytest.approx(intensity(cell.batch_size))
    assert intensity(cell.batch_size) * BANDWIDTH > CEILING
    assert values["attainable_mac_per_s"] == values["ceiling_mac_per_s"] == CEILING
    assert values["share_of_attainable"] == values["share_of_ceiling"]
    assert values["bound"] == "compute"
    assert values["reason"] is None


def test_a_cell_bound_by_memory() -> None:
    values = row(with_ceilings(bytes_per_s=1e9))
    attainable = intensity(1) * 1e9
    assert attainable < CEILING
    assert values["attainable_mac_per_s"] == pytest.approx(attainable)
    achieved = runs.MACS / (runs.BASE_S[runs.EAGER] * MIDDLE)
    assert values["share_of_attainable"] == pytest.approx(achieved / attainable)
    assert values["share_of_ceiling"] == pytest.approx(achieved / CEILING)
    assert values["bound"] == "memory"


def test_fewer_bytes_per_element_give_a_higher_intensity() -> None:
    values = row(with_ceilings(bytes_per_element=2))
    assert values["intensity_mac_per_byte"] == pytest.approx(2 * intensity(1))


def test_intervals_follow_from_those_of_the_latency() -> None:
    values, latency = row(with_ceilings()), stats.latency(runs.measured(runs.EAGER))
    assert values["achieved_mac_per_s_low"] == pytest.approx(runs.MACS / latency.high)
    assert values["achieved_mac_per_s_high"] == pytest.approx(runs.MACS / latency.low)
    for share in ("share_of_ceiling", "share_of_attainable"):
        assert values[f"{share}_low"] == pytest.approx(runs.MACS / latency.high / CEILING)
        assert values[f"{share}_low"] < values[share] < values[f"{share}_high"]


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (changed(runs.COST, task="train"), "a training step's multiply-accumulates are not"),
        (changed(runs.COST, dtype="bf16"), "the ceiling of bf16 is unknown: no such kernel"),
        (changed(runs.COST, dtype="fp16"), "the ceiling of fp16 is unknown: it was not measured"),
        (changed(ArchCost(error="cannot count x")), "its cost is unknown: cannot count x"),
        (changed(ArchCost()), "its cost is unknown: it was not counted"),
    ],
)
def test_unknown_values_are_blank_with_a_reason(record: CellRecord, reason: str) -> None:
    run = replace(with_ceilings(), cells=(record,))
    run = replace(run, ceilings={**run.ceilings, "bf16": Ceiling(error="no such kernel")})
    (values,) = roofline.frame(run).to_dict("records")
    assert values["reason"].startswith(reason)
    assert pd.isna(values["share_of_ceiling"])
    assert pd.isna(values["share_of_attainable"])
    assert values["bound"] is None


def test_uncounted_activations_leave_only_the_share_of_the_ceiling() -> None:
    cost = msgspec.structs.replace(runs.COST, activations_per_image=None)
    values = row(replace(with_ceilings(), cells=(changed(cost),)))
    assert values["share_of_ceiling"] > 0
    assert pd.isna(values["intensity_mac_per_byte"])
    assert pd.isna(values["share_of_attainable"])
    assert values["reason"] == "its activations were not counted"


def test_a_network_without_multiplications_has_no_share() -> None:
    cost = ArchCost(macs_per_image=0, params=0, activations_per_image=0)
    values = row(replace(with_ceilings(), cells=(changed(cost),)))
    assert values["achieved_mac_per_s"] == 0
    assert pd.isna(values["share_of_attainable"])


def test_a_rate_does_not_need_a_ceiling() -> None:
    record = runs.measured(runs.EAGER)
    values = compute(record, {})
    assert values.achieved_mac_per_s.estimate == pytest.approx(
        runs.MACS / (runs.BASE_S[runs.EAGER] * MIDDLE)
    )
    assert math.isnan(values.share_of_ceiling.estimate)


def test_ceilings_are_the_best_probe_of_each_kind() -> None:
    run = with_ceilings()
    run = replace(run, ceilings={**run.ceilings, "bf16": Ceiling(error="no such kernel")})
    (values,) = roofline.ceilings(run).to_dict("records")
    assert values == {
        "dtype": "fp32",
        "product_mac_per_s": 90e9,
        "convolution_mac_per_s": CEILING,
        "channels_last_convolution_mac_per_s": 95e9,
        "best": "convolution 3×3, 8×192×28×28",
        "bandwidth_bytes_per_s": BANDWIDTH,
    }


def test_a_run_without_ceilings_has_none() -> None:
    assert roofline.ceilings(runs.small()).empty
