import itertools
import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from bench.records import journal, store
from bench.records.outcome import Outcome
from bench.records.record import CellRecord, RunRecord, Visit
from bench.report import files, frame
from bench.studies.selfcheck import scale, synthetic
from bench.studies.selfcheck.scale import LAYOUTS, Scale
from bench.studies.selfcheck.synthetic import Size
from bench.tables import as_markdown

SIZE = Size(cells=20, groups=1, samples=3_210)
STAGES = (
    scale.PLANNING,
    scale.APPLYING,
    scale.STOPPING,
    scale.WRITING,
    scale.REPLAYING,
    scale.RESUMING,
    scale.READING,
    scale.STATISTICS,
    scale.REPORTING,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scale")


@pytest.fixture(scope="module")
def result(folder: Path) -> Scale:
    """Measure by a clock that ticks at each reading, and leave the files in the folder."""
    return scale.measure_one(SIZE, folder, now=itertools.count(0.0).__next__)


@pytest.fixture(scope="module")
def run(result: Scale, folder: Path) -> RunRecord:
    assert result.size == SIZE
    return store.read(folder / files.RUN_FILE)


def in_order(records: Iterable[CellRecord]) -> list[CellRecord]:
    """Return the records with all visits in order; a run file has voided ones last."""

    def when(visit: Visit) -> tuple[int, int, int]:
        return visit.set_index, visit.wave_index, visit.round_index

    return [replace(record, visits=tuple(sorted(record.visits, key=when))) for record in records]


def test_every_stage_is_timed_by_the_clock(result: Scale) -> None:
    assert tuple(result.stages_s) == STAGES
    sets = 1 + max(visit.set_index for visit in synthetic_outcome().records()[0].visits)
    repeated = {scale.APPLYING, scale.STOPPING}  # before the first set, and in each
    assert result.stages_s == {stage: 1 + sets if stage in repeated else 1 for stage in STAGES}


def synthetic_outcome() -> Outcome:
    batches = synthetic.sets(synthetic.plan_of(SIZE), SIZE.samples)
    return Outcome.from_events(itertools.chain.from_iterable(batches))


def test_the_run_file_holds_the_whole_run(run: RunRecord) -> None:
    expected = synthetic_outcome()
    assert [record.cell for record in run.cells] == list(expected.plan.cells)
    assert in_order(run.cells) == in_order(expected.records())
    assert in_order(run.controls) == in_order(expected.controls())
    assert len(frame.samples(run)) == SIZE.samples


def test_the_journal_holds_the_whole_run(result: Scale, folder: Path) -> None:
    path = folder / journal.FILE
    outcome = Outcome.from_events(journal.read(path))
    assert outcome.records() == synthetic_outcome().records()
    assert result.journal_bytes == path.stat().st_size


def test_pytest_benchmark_writes_every_valid_sample(run: RunRecord, folder: Path) -> None:
    benchmarks = json.loads((folder / "benchmark.json").read_text())["benchmarks"]
    assert {entry["param"]: entry["stats"]["data"] for entry in benchmarks} == {
        record.cell.id: list(record.host_s) for record in run.cells
    }


def test_the_report_is_written(result: Scale, folder: Path) -> None:
    assert result.run_file_bytes == (folder / files.RUN_FILE).stat().st_size
    assert len((folder / "samples.csv").read_text().splitlines()) == 1 + SIZE.samples


def test_a_size_is_measured_in_a_process_of_its_own() -> None:
    size = Size(cells=4, groups=2, samples=100)
    (result,) = scale.measure([size])
    assert result.size == size
    assert tuple(result.stages_s) == STAGES
    assert min(result.stages_s.values()) > 0
    assert result.peak_bytes > result.run_file_bytes + result.journal_bytes


def test_every_layout_ends_with_a_thousand_cells_and_a_million_samples() -> None:
    for sizes in LAYOUTS.values():
        assert (sizes[-1].cells, sizes[-1].samples) == (1_000, 1_000_000)
        for size in sizes:
            assert len(synthetic.plan_of(size).cells) == size.cells


def powers(exponent: float, *cells: int) -> list[Scale]:
    """Return sizes in which every stage takes cells ** exponent seconds."""
    return [
        Scale(
            size=Size(cells=count, groups=1, samples=1_000 * count),
            stages_s=dict.fromkeys(STAGES, float(count**exponent)),
            peak_bytes=int(1e6 * count**exponent),
            journal_bytes=int(2e6 * count**exponent),
            run_file_bytes=int(3e6 * count**exponent),
        )
        for count in cells
    ]


@pytest.mark.parametrize("exponent", [0, 0.5, 1, 2])
@pytest.mark.parametrize("times", [2.0, 10.0, 1_000.0])
def test_growth_of_a_power_law_is_ten_to_the_exponent(exponent: float, times: float) -> None:
    growth = scale.growth(0.125, 0.125 * times**exponent, times)
    assert growth == pytest.approx(10**exponent)


@pytest.mark.parametrize("exponent", [1, 2])
def test_growth_is_between_the_two_largest_sizes(exponent: int) -> None:
    first, *last = powers(exponent, 1, 100, 10_000)
    constant = replace(first, stages_s=dict.fromkeys(STAGES, 7.0))
    rows = scale.rows([constant, *last])
    assert list(rows["growth"]) == pytest.approx([10**exponent] * len(rows))


def test_the_table_has_a_column_for_each_size_and_a_row_for_each_number() -> None:
    sizes = powers(1, 10, 100)
    table = as_markdown(scale.columns(sizes), scale.rows(sizes)).splitlines()
    head, _, *body = [[text.strip() for text in line.strip("|").split("|")] for line in table]
    assert head == [
        "",
        "10 cells, 10,000 samples",
        "100 cells, 100,000 samples",
        "× for ten times as much",
    ]
    assert body == [
        *([f"{stage}, s", "10.000", "100.000", "10.0"] for stage in STAGES),
        ["peak memory, MB", "10.000", "100.000", "10.0"],
        ["journal, MB", "20.000", "200.000", "10.0"],
        ["run file, MB", "30.000", "300.000", "10.0"],
    ]


@pytest.mark.parametrize(
    ("slowest_s", "peak_bytes", "accepted"),
    [
        (scale.ACCEPTED_S, scale.ACCEPTED_BYTES, True),
        (scale.ACCEPTED_S + 0.01, 1, False),
        (0.01, scale.ACCEPTED_BYTES + 1, False),
    ],
)
def test_the_limits_of_time_and_memory_are_inclusive(
    slowest_s: float, peak_bytes: int, accepted: bool
) -> None:
    (result,) = powers(0, 1)
    stages_s = {**result.stages_s, scale.READING: slowest_s}
    assert replace(result, stages_s=stages_s, peak_bytes=peak_bytes).is_accepted is accepted
