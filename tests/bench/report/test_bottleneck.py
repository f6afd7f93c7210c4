import math
from dataclasses import replace

import pandas as pd
import pytest

from bench import means, stats
from bench.means import Interval
from bench.records.record import CellRecord
from bench.report import bottleneck, explanations, findings, frame, ladder, markdown, roofline
from bench.units import MIB
from tests.bench import runs


def share(estimate: float, low: float, high: float) -> Interval:
    return Interval(estimate=estimate, low=low, high=high, sets=3)


@pytest.mark.parametrize(
    ("busy", "expected"),
    [
        (share(0.3, 0.25, 0.35), bottleneck.LAUNCH),
        (share(0.88, 0.87, 0.899), bottleneck.LAUNCH),
        (share(0.88, 0.86, 0.91), bottleneck.UNCLEAR),
        (share(0.92, 0.90, 0.94), bottleneck.COMPUTE),
        (share(1.01, 0.99, 1.03), bottleneck.COMPUTE),  # clocks that changed
        (share(0.3, math.nan, math.nan), bottleneck.UNCLEAR),  # of one set
        (means.NOTHING, bottleneck.UNCLEAR),
    ],
)
def test_a_whole_interval_on_one_side_tells(busy: Interval, expected: str) -> None:
    assert bottleneck.classify(busy) == expected


def test_the_share_is_an_iteration_that_waits_for_nothing_over_one_of_a_block() -> None:
    busy = stats.busy_share(runs.on_cuda(0.25))
    assert busy.estimate == pytest.approx(0.25 * math.sqrt(1.01))  # of sets of 1 and 1.01 times it
    assert busy.sets == runs.SETS


def test_where_the_host_waited_for_the_device_nothing_is_told() -> None:
    record = runs.on_cuda(0.25)
    visits = tuple(
        replace(visit, back_to_back=replace(visit.back_to_back, busy_s=None))
        for visit in record.visits
        if visit.back_to_back
    )
    record = replace(record, visits=visits)
    assert stats.busy_share(record).sets == 0
    (sentence,) = bottleneck.sentences([record])
    assert "Not told" in sentence
    assert "googlenet in eager (unknown)" in sentence


def test_throughput_is_of_blocks_where_there_are_any_else_at_the_latency() -> None:
    record = runs.on_cuda(0.25, of=runs.BATCH)
    found = stats.throughput(record)
    firsts = [visit.host_s[0] for visit in record.visits]
    by_set = [sorted(firsts[: runs.ROUNDS])[1], sorted(firsts[runs.ROUNDS :])[1]]
    assert found.estimate == pytest.approx(8 * 10 / (5 * math.sqrt(by_set[0] * by_set[1])))
    at_latency = stats.throughput(runs.measured(runs.BATCH))
    latency_s = stats.latency(runs.measured(runs.BATCH))
    assert at_latency.estimate == pytest.approx(8 / latency_s.estimate)
    assert at_latency.low == pytest.approx(8 / latency_s.high)


def test_a_voided_visit_s_block_does_not_count() -> None:
    record = runs.on_cuda(0.25)
    first, *others = record.visits
    assert first.back_to_back
    wild = replace(first, voided=True, back_to_back=replace(first.back_to_back, host_s=1e-9))
    found = replace(record, visits=(wild, *others))
    assert stats.throughput(found) == stats.throughput(replace(record, visits=tuple(others)))


def test_a_run_on_a_gpu_tells_its_times_apart() -> None:
    run = runs.gpu()
    (row,) = frame.summary(run).to_dict("records")
    assert row["images_per_s_from"] == "back-to-back"
    assert row["images_per_s"] == stats.throughput(run.cells[0]).estimate
    assert row["latency_p50_s"] > row["device_p50_s"] > row["busy_p50_s"] > 0
    assert row["enqueue_p50_s"] < row["span_p50_s"]
    assert row["bottleneck"] == bottleneck.LAUNCH
    assert row["peak_reserved_bytes"] == 120 * MIB
    text = markdown.render(run)
    assert "a call returns before its work is done" in text
    assert "launch-bound" in text
    (said,) = (found.sentences for found in findings.find(run))
    assert said[-1].startswith("Launch-bound")
    assert said[-1].endswith(": googlenet in eager (25 %).")


def test_a_step_s_throughput_is_of_blocks_too() -> None:
    before, after = runs.on_cuda(0.25), runs.on_cuda(0.25, of=runs.cell("googlenet-3x3"))
    quicker = tuple(
        replace(
            visit, back_to_back=replace(visit.back_to_back, host_s=visit.back_to_back.host_s / 2)
        )
        for visit in after.visits
        if visit.back_to_back
    )
    run = replace(runs.gpu(), cells=(before, replace(after, visits=quicker)))
    (row,) = ladder.frame(run).to_dict("records")
    assert row["latency_ratio"] == pytest.approx(1)
    assert row["throughput_ratio"] == pytest.approx(2)


def test_a_cell_that_failed_has_no_figures_of_blocks_either() -> None:
    run = runs.gpu()
    failed = CellRecord(cell=replace(runs.COMPILED, device="cuda"), failure=runs.FAILURE)
    found = frame.summary(replace(run, cells=(*run.cells, failed)))
    assert math.isnan(found["images_per_s"][1])
    assert pd.isna(found["bottleneck"][1])


def test_a_run_on_a_cpu_has_none_of_it() -> None:
    assert "bottleneck" not in frame.summary(runs.small())
    assert "Launch-bound" not in markdown.render(runs.small())
    assert not any(bottleneck.sentences(runs.small().cells))


def test_host_time_is_called_so_where_the_device_has_times_of_its_own() -> None:
    text = markdown.render(runs.gpu())
    for heading in ("host latency ms", "host p50 ms", "host p90 ms", "host p99 ms"):
        assert f"| {heading} " in text.replace("|   ", "| ").replace("|  ", "| ")
    assert "host latency" not in markdown.render(runs.small())


def test_a_run_with_blocks_has_one_account_of_images_s_and_of_memory() -> None:
    text = explanations.how_to_read(runs.gpu())
    assert "images/s is the batch size over the latency" not in text
    assert "on a CPU the bytes of parameters" not in text
    assert "(allocated)" in text
    assert "(reserved)" not in text
    assert "Nothing empties the\nL2 cache within a block" in text


def test_cells_whose_memory_is_reserved_are_named() -> None:
    run = runs.gpu()
    (record,) = run.cells
    replayed = replace(
        record,
        cell=replace(record.cell, mode="cudagraphs"),
        setups=tuple({**setup, "memory_is_reserved": True} for setup in record.setups),
    )
    text = explanations.how_to_read(replace(run, cells=(record, replayed)))
    assert f"So it is of {replayed.cell.id}." in text


def test_a_rate_is_of_blocks_where_there_are_any_and_the_text_says_so() -> None:
    run = replace(runs.gpu(), ceilings=runs.CEILINGS)
    (row,) = roofline.frame(run).to_dict("records")
    images_per_s = stats.throughput(run.cells[0])
    assert row["achieved_mac_per_s"] == pytest.approx(runs.MACS * images_per_s.estimate)
    assert row["achieved_mac_per_s_low"] == pytest.approx(runs.MACS * images_per_s.low)
    assert frame.summary(run)["mac_per_s"][0] == row["achieved_mac_per_s"]
    assert "back-to-back blocks" in explanations.of_roofline(run)
    assert "over its latency" in explanations.of_roofline(runs.small())
