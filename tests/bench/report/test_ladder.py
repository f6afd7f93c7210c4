import math
from dataclasses import replace

import pytest

from bench import stats
from bench.means import Interval
from bench.records.record import BackToBack, CellRecord, Visit
from bench.records.reported import ArchCost
from bench.report import ladder, ladder_table
from googlenet.variants import VARIANTS
from tests.bench import runs
from tests.bench.report import rungs


def test_the_longest_chain_goes_from_googlenet_to_torchvision() -> None:
    path = ladder.path(VARIANTS)
    assert [path[0].before, *(step.after for step in path)] == [
        "googlenet",
        "googlenet-3x3",
        "googlenet-3x3-pool2",
        "torchvision",
    ]
    assert [step.is_same_network for step in path] == [False, False, True]


def test_steps_connect_measured_neighbours() -> None:
    steps = ladder.steps({"googlenet", "googlenet-pool2", "torchvision", "torchvision:resnet18"})
    assert [(step.before, step.after) for step in steps] == [("googlenet", "googlenet-pool2")]
    assert ladder.path({"torchvision:resnet18"}) == ()


def test_a_square_has_two_factors_alone_and_together() -> None:
    (square,) = ladder.squares(rungs.FACTORS)
    assert {square.first, square.second} == {"googlenet-3x3", "googlenet-pool2"}
    assert (square.base, square.both) == ("googlenet", "googlenet-3x3-pool2")
    assert ladder.squares({"googlenet", "googlenet-3x3", "googlenet-3x3-pool2"}) == ()
    assert ladder.squares(VARIANTS) == (square,)


def test_the_ratio_of_a_step_is_its_factor_in_spite_of_drift() -> None:
    rows = ladder_table.frame(rungs.ladder()).set_index("after")
    three = rows.loc["googlenet-3x3"]
    assert three["latency_ratio"] == pytest.approx(rungs.THREE, abs=0.005)
    assert three["latency_ratio_low"] < rungs.THREE < three["latency_ratio_high"]
    assert three["throughput_ratio"] == pytest.approx(1 / three["latency_ratio"])
    assert three["throughput_ratio_low"] == pytest.approx(1 / three["latency_ratio_high"])
    before_s = stats.latency(
        next(each for each in rungs.ladder().cells if each.cell == rungs.cell("googlenet"))
    ).estimate
    for end in ("", "_low", "_high"):
        expected = before_s * (three[f"latency_ratio{end}"] - 1)
        assert three[f"latency_delta_s{end}"] == pytest.approx(expected)
    assert three["latency_delta_s_low"] < three["latency_delta_s"] < 0
    assert three["params_delta"] == -400_000
    assert three["macs_per_image_delta"] == -80_000_000
    assert three["shown"] == "faster"
    assert rows.loc["torchvision", "shown"] == ladder_table.NOTHING_SHOWN


def test_for_readers_a_step_in_code_only_is_neither_faster_nor_slower() -> None:
    rows = ladder_table.frame(rungs.ladder())
    is_equal = rows["after"] == "torchvision"
    faster = rows.assign(shown=rows["shown"].mask(is_equal, "faster"))
    shown = ladder_table.for_readers(faster).set_index("after")["shown"]
    assert shown["torchvision"] == "same network"
    assert shown["googlenet-3x3"] == "faster"
    assert list(faster["shown"][is_equal]) == ["faster"]  # files have the figures' own word
    apart = rows.assign(shown=ladder_table.NOT_TOGETHER)
    assert set(ladder_table.for_readers(apart)["shown"]) == {ladder_table.NOT_TOGETHER}


def test_networks_of_two_waves_are_compared_through_the_reference() -> None:
    run = rungs.in_waves(rungs.ladder(), "googlenet-3x3")
    rows = ladder_table.frame(run).set_index("after")
    three = rows.loc["googlenet-3x3"]
    assert three["latency_ratio"] == pytest.approx(rungs.THREE, abs=0.01)
    assert three["sets"] == rungs.SETS
    assert three["shown"] == "faster"
    (square,) = ladder_table.interactions(run).to_dict("records")
    assert square["first_ratio"] == pytest.approx(rungs.THREE, abs=0.01)
    assert square["interaction_low"] < 1 < square["interaction_high"]


def test_networks_of_two_waves_without_a_reference_are_not_compared() -> None:
    run = replace(rungs.in_waves(rungs.ladder(), "googlenet-3x3"), controls=())
    rows = ladder_table.frame(run).set_index("after")
    assert rows.loc["googlenet-3x3", "shown"] == ladder_table.NOT_TOGETHER
    assert rows.loc["googlenet-pool2", "shown"] == "faster"
    (square,) = ladder_table.interactions(run).to_dict("records")
    assert square["shown"] == ladder_table.NOT_TOGETHER


def test_independent_factors_do_not_interact() -> None:
    (row,) = ladder_table.interactions(rungs.ladder()).to_dict("records")
    assert row["interaction_low"] < 1 < row["interaction_high"]
    assert row["shown"] == ladder_table.NOTHING_SHOWN


def test_factors_that_cost_more_together_interact() -> None:
    both = rungs.THREE * rungs.POOL * 1.1
    run = rungs.ladder(googlenet_3x3_pool2=both)
    (row,) = ladder_table.interactions(run).to_dict("records")
    assert row["interaction"] == pytest.approx(1.1, abs=0.01)
    assert row["shown"] == "cost more together"


def test_a_failed_network_has_no_steps() -> None:
    run = rungs.ladder()
    cells = [
        replace(record, failure=runs.FAILURE) if record.cell.arch == "googlenet-3x3" else record
        for record in run.cells
    ]
    rows = ladder_table.frame(replace(run, cells=tuple(cells)))
    assert list(rows["after"]) == ["torchvision", "googlenet-pool2"] or set(rows["after"]) == {
        "googlenet-pool2",
        "torchvision",
    }


def test_unknown_counts_give_no_difference() -> None:
    run = rungs.ladder()
    cells = tuple(replace(record, cost=ArchCost(error="no")) for record in run.cells)
    rows = ladder_table.frame(replace(run, cells=cells))
    assert rows["params_delta"].isna().all()


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (1.01, 1.2, "more"),
        (0.8, 0.99, "less"),
        (0.9, 1.1, ladder_table.NOTHING_SHOWN),
        (1.0, 1.1, ladder_table.NOTHING_SHOWN),
        (0.9, 1.0, ladder_table.NOTHING_SHOWN),
        (math.nan, math.nan, ladder_table.NOTHING_SHOWN),
    ],
)
def test_no_effect_is_shown_if_the_interval_contains_1(
    low: float, high: float, expected: str
) -> None:
    ratio = Interval(estimate=1.0, low=low, high=high, sets=3)
    assert ladder_table.effect_shown(ratio, above="more", below="less") == expected


def test_the_ratio_of_throughputs_is_that_of_after_to_before() -> None:
    def in_blocks(host_s: float) -> CellRecord:
        block = BackToBack(iterations=5, enqueue_s=1.0, host_s=host_s, device_s=host_s, busy_s=None)
        visits = tuple(
            Visit(set_index=index, round_index=0, host_s=(1.0,), back_to_back=block)
            for index in range(2)
        )
        return CellRecord(cell=runs.EAGER, visits=visits)

    before, after = in_blocks(10.0), in_blocks(4.0)
    ratio = ladder_table._throughput(before, after, None)
    assert ratio is not None
    assert ratio.estimate == pytest.approx(2.5)
    assert ladder_table._throughput(before, runs.measured(runs.EAGER), None) is None
