from dataclasses import replace

import msgspec
import pytest

from bench.records.record import CellRecord
from bench.report import notes
from tests.bench import runs
from tests.bench.report import rungs


@pytest.mark.parametrize(
    ("name", "count", "sentence"),
    [
        ("recompiled_graphs", 2, "compiled 2 more graphs during the measurement."),
        ("recompiled_graphs", 1, "compiled 1 more graph during the measurement."),
        ("late_graph_breaks", 1, "had 1 more graph break during the measurement."),
        ("graph_breaks", 1, "has 1 graph break."),
        ("graph_breaks", 2, "has 2 graph breaks."),
        ("recompiled_in_warm_up", 2, "compiled 2 more graphs during warm-up."),
        ("recompiled_in_warm_up", 1, "compiled 1 more graph during warm-up."),
        ("cudagraph_skips", 2, "Inductor cannot replay 2 of its graphs as CUDA graphs."),
    ],
)
def test_counts_of_workers_are_noted_unless_the_failure_says_so(
    name: str, count: int, sentence: str
) -> None:
    run = runs.small()
    setups = (runs.setup(0), msgspec.structs.replace(runs.setup(1), **{name: count}))
    cells = [replace(record, setups=setups) for record in run.cells[:1]]
    note = f"{cells[0].cell.id}: {sentence}"
    assert note in notes.collect(replace(run, cells=tuple(cells)))
    failed = replace(cells[0], failure=replace(runs.FAILURE, kind="recompiled"))
    assert note not in notes.collect(replace(run, cells=(failed,)))


def test_ratios_that_are_trimmed_means_are_named() -> None:
    def with_outlier(record: CellRecord) -> CellRecord:
        """Return the cell with eight sets; the last is an outlier for one arch only."""
        factor = 2.0 if record.cell.arch == "googlenet" else 1.0
        visits = tuple(
            replace(
                visit,
                set_index=visit.set_index + 4 * half,
                host_s=tuple(
                    sample * (factor if visit.set_index + 4 * half == 7 else 1.0)
                    for sample in visit.host_s
                ),
            )
            for half in (0, 1)
            for visit in record.visits
        )
        return replace(record, visits=visits)

    run = rungs.ladder()
    (sentence,) = (
        note
        for note in notes.collect(replace(run, cells=tuple(map(with_outlier, run.cells))))
        if "trimmed" in note
    )
    names = sentence.partition(" at each end: ")[2].rstrip(".").split(", ")
    assert names == [
        "googlenet in eager to torchvision in eager",
        "googlenet-3x3 in eager to googlenet in eager",
        "googlenet-pool2 in eager to googlenet in eager",
    ]
    assert not [note for note in notes.collect(run) if "trimmed" in note]


def test_an_arch_with_a_lower_bound_of_macs_is_noted_once() -> None:
    run = runs.small()
    cost = msgspec.structs.replace(runs.COST, uncounted={"aten::foo": 3})
    all_notes = notes.collect(
        replace(run, cells=tuple(replace(record, cost=cost) for record in run.cells))
    )
    archs = {record.cell.arch for record in run.cells if record.has_figures}
    bounds = [note for note in all_notes if "3 × aten::foo, not counted" in note]
    assert sorted(note.partition(":")[0] for note in bounds) == sorted(archs)


def test_devices_that_took_turns_are_named_with_their_sets() -> None:
    run = runs.small()
    plan = msgspec.structs.replace(run.plan, devices=("cuda:0", "cuda:1", "cuda:2"))
    sets = sorted({visit.set_index for record in run.cells for visit in record.visits})
    assert sets == [0, 1]
    assert (
        "The sets were distributed over 3 devices of the same model in turn: cuda:0 set 1; cuda:1 "
        "set 2. The intervals include the differences between the devices."
    ) in notes.collect(replace(run, plan=plan))
    one = replace(run, plan=msgspec.structs.replace(run.plan, devices=("cuda:0",)))
    assert not [note for note in notes.collect(one) if "distributed" in note]
