import math
from dataclasses import replace

import msgspec
import pandas as pd
import pytest

from bench import means, stats
from bench.means import Interval
from bench.metrics import throughput
from bench.records.record import CellRecord
from bench.report import bottleneck, findings, frame, ladder_table, notes, roofline
from bench.report.sections import method
from bench.report.sections import roofline as roofline_section
from bench.units import MIB
from tests.bench import runs
from tests.bench.report.rendered import markdown


def share(estimate: float, low: float, high: float) -> Interval:
    return Interval(estimate=estimate, low=low, high=high, sets=3)


@pytest.mark.parametrize(
    ("busy", "expected"),
    [
        (share(0.3, 0.25, 0.35), throughput.LAUNCH),
        (share(0.88, 0.87, 0.899), throughput.LAUNCH),
        (share(0.88, 0.86, 0.91), throughput.UNCLEAR),
        (share(0.88, 0.86, 0.90), throughput.UNCLEAR),
        (share(0.95, 0.85, 0.99), throughput.UNCLEAR),
        (share(0.92, 0.90, 0.94), throughput.COMPUTE),
        (share(1.01, 0.99, 1.03), throughput.COMPUTE),  # the clocks changed between blocks
        (share(0.3, math.nan, math.nan), throughput.UNCLEAR),  # one set only
        (means.NO_INTERVAL, throughput.UNCLEAR),
    ],
)
def test_bottleneck_is_clear_only_if_the_interval_excludes_the_threshold(
    busy: Interval, expected: str
) -> None:
    assert throughput.classify(busy) == expected


def test_busy_share_is_busy_time_divided_by_time_in_a_block() -> None:
    busy = stats.busy_share(runs.on_cuda(0.25))
    assert busy.estimate == pytest.approx(
        0.25 * math.sqrt(1.01)
    )  # the sets have 1 and 1.01 times the share
    assert busy.sets == runs.SETS


def test_bottleneck_is_unclear_if_the_busy_time_is_unknown() -> None:
    record = runs.on_cuda(0.25)
    visits = tuple(
        replace(visit, back_to_back=replace(visit.back_to_back, busy_s=None))
        for visit in record.visits
        if visit.back_to_back
    )
    record = replace(record, visits=visits)
    assert stats.busy_share(record).sets == 0
    (sentence,) = bottleneck.sentences([record])
    assert "Unclear whether" in sentence
    assert "googlenet in eager (unknown)" in sentence


def test_throughput_comes_from_blocks_or_else_from_latency() -> None:
    record = runs.on_cuda(0.25, of=runs.BATCH)
    from_blocks = stats.throughput(record)
    firsts = [visit.host_s[0] for visit in record.visits]
    by_set = [sorted(firsts[: runs.ROUNDS])[1], sorted(firsts[runs.ROUNDS :])[1]]
    assert from_blocks.estimate == pytest.approx(8 * 10 / (5 * math.sqrt(by_set[0] * by_set[1])))
    from_latency = stats.throughput(runs.measured(runs.BATCH))
    latency_s = stats.latency(runs.measured(runs.BATCH))
    assert from_latency.estimate == pytest.approx(8 / latency_s.estimate)
    assert from_latency.low == pytest.approx(8 / latency_s.high)


def test_blocks_of_voided_visits_do_not_count() -> None:
    record = runs.on_cuda(0.25)
    first, *rest = record.visits
    assert first.back_to_back
    voided = replace(first, voided=True, back_to_back=replace(first.back_to_back, host_s=1e-9))
    with_voided = replace(record, visits=(voided, *rest))
    assert stats.throughput(with_voided) == stats.throughput(replace(record, visits=tuple(rest)))


def test_summary_of_a_gpu_run_has_host_and_device_times() -> None:
    run = runs.gpu()
    (row,) = frame.summary(run).to_dict("records")
    assert row["images_per_s_from"] == "back-to-back"
    assert row["images_per_s"] == stats.throughput(run.cells[0]).estimate
    assert row["latency_p50_s"] > row["device_p50_s"] > row["busy_p50_s"] > 0
    assert row["enqueue_p50_s"] < row["span_p50_s"]
    assert row["bottleneck"] == throughput.LAUNCH
    assert row["peak_reserved_bytes"] == 120 * MIB
    text = markdown(run)
    assert "a call returns before its work is done" in text
    assert "launch-bound" in text
    (sentences,) = (group.sentences for group in findings.find(run))
    assert sentences[-1].startswith("Launch-bound")
    assert sentences[-1].endswith(": googlenet in eager (25 %).")


def test_throughput_ratio_of_a_step_comes_from_blocks() -> None:
    before, after = runs.on_cuda(0.25), runs.on_cuda(0.25, of=runs.cell("googlenet-3x3"))
    faster = tuple(
        replace(
            visit, back_to_back=replace(visit.back_to_back, host_s=visit.back_to_back.host_s / 2)
        )
        for visit in after.visits
        if visit.back_to_back
    )
    run = replace(runs.gpu(), cells=(before, replace(after, visits=faster)))
    (row,) = ladder_table.frame(run).to_dict("records")
    assert row["latency_ratio"] == pytest.approx(1)
    assert row["throughput_ratio"] == pytest.approx(2)


def test_a_failed_cell_has_no_figures_from_blocks() -> None:
    run = runs.gpu()
    failed = CellRecord(cell=replace(runs.COMPILED, device="cuda"), failure=runs.FAILURE)
    rows = frame.summary(replace(run, cells=(*run.cells, failed)))
    assert math.isnan(rows["images_per_s"][1])
    assert pd.isna(rows["bottleneck"][1])


def test_a_cpu_run_has_no_bottleneck() -> None:
    assert "bottleneck" not in frame.summary(runs.small())
    assert "Launch-bound" not in markdown(runs.small())
    assert not any(bottleneck.sentences(runs.small().cells))


def test_headings_say_host_if_the_device_has_times_of_its_own() -> None:
    text = markdown(runs.gpu())
    for heading in ("host latency ms", "host p50 ms", "host p90 ms", "host p99 ms"):
        assert f"| {heading} " in text.replace("|   ", "| ").replace("|  ", "| ")
    assert "host latency" not in markdown(runs.small())


def test_the_explanations_are_those_of_the_metrics_that_are_shown() -> None:
    on_cpu, on_gpu = (dict(method.metrics_shown(run)) for run in (runs.small(), runs.gpu()))
    for name in ("busy p50 ms", "device busy %", "bottleneck"):
        assert name in on_gpu
        assert name not in on_cpu
    assert "latency ms" in on_cpu
    assert "host latency ms" in on_gpu


def test_back_to_back_blocks_are_explained_if_there_are_any() -> None:
    sentence = "Nothing empties the L2 cache within a block"
    assert sentence in markdown(runs.gpu())
    assert sentence not in markdown(runs.small())


def test_cells_with_reserved_memory_are_named() -> None:
    run = runs.gpu()
    (record,) = run.cells
    replayed = replace(
        record,
        cell=replace(record.cell, mode="cudagraphs"),
        setups=tuple(
            msgspec.structs.replace(setup, memory_is_reserved=True) for setup in record.setups
        ),
    )
    (note,) = (
        note for note in notes.collect(replace(run, cells=(record, replayed))) if "reserved" in note
    )
    assert note.endswith(f": {replayed.cell.id}.")
    assert not any("reserved" in note for note in notes.collect(run))


def test_rate_comes_from_blocks_and_the_explanation_says_so() -> None:
    run = replace(runs.gpu(), ceilings=runs.CEILINGS)
    (row,) = roofline.frame(run).to_dict("records")
    images_per_s = stats.throughput(run.cells[0])
    assert row["achieved_mac_per_s"] == pytest.approx(runs.MACS * images_per_s.estimate)
    assert row["achieved_mac_per_s_low"] == pytest.approx(runs.MACS * images_per_s.low)
    assert frame.summary(run)["mac_per_s"][0] == row["achieved_mac_per_s"]
    assert "back-to-back blocks" in roofline_section.explain(run)
    assert "divided by its latency" in roofline_section.explain(runs.small())
