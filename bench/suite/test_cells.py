"""The suite's items: one for each cell, so that -k, -x and --junitxml work as usual."""

from collections.abc import Mapping

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench.cells.cell import Cell
from bench.records import store
from bench.records.record import CellRecord
from bench.suite.replay import replay_clock


@pytest.mark.benchmark(timer=replay_clock)
# The tests turn warnings into errors; here a library's warning would discard minutes of measuring.
# The ignored warning is raised for a cell that failed.
@pytest.mark.filterwarnings("default", "ignore:Benchmark fixture was not used")
def test_cell(
    cell: Cell,
    googlenet_bench_records: Mapping[Cell, CellRecord],
    benchmark: BenchmarkFixture,
) -> None:
    """Pass a cell's samples to pytest-benchmark, or report why there are none."""
    record = googlenet_bench_records[cell]
    if record.failure is not None:
        failure = record.failure
        pytest.fail(f"{failure.phase}: {failure.message}\n{failure.stderr}", pytrace=False)
    if not record.visits:
        pytest.skip("not measured: the run ended before this cell's turn")
    if not record.has_figures:
        pytest.skip("every round was voided: the machine was too busy")
    benchmark.group = cell.group
    benchmark.extra_info.update(store.extra_info(record))
    replay_clock.play(benchmark, record.host_s)
    assert all(sample > 0 for sample in record.host_s), "a latency of zero or less"
