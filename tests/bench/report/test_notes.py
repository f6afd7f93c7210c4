from dataclasses import replace

import pytest

from bench.records.record import CellRecord
from bench.report import notes
from tests.bench import runs
from tests.bench.report import rungs


@pytest.mark.parametrize(
    ("counted", "sentence"),
    [
        ("recompiled_graphs", "compiled 2 more graphs while it was measured."),
        ("recompiled_in_warm_up", "compiled 2 more graphs while it was warmed up."),
        ("cudagraph_skips", "Inductor cannot replay 2 of its graphs as CUDA graphs."),
    ],
)
def test_what_a_worker_counted_is_noted_and_not_said_twice(counted: str, sentence: str) -> None:
    run = runs.small()
    setups = (runs.setup(0), {**runs.setup(1), counted: 2})
    cells = [replace(record, setups=setups) for record in run.cells[:1]]
    noted = f"{cells[0].cell.id}: {sentence}"
    assert noted in notes.collect(replace(run, cells=tuple(cells)))
    failed = replace(cells[0], failure=replace(runs.FAILURE, kind="recompiled"))
    assert noted not in notes.collect(replace(run, cells=(failed,)))


def test_a_ratio_of_a_trimmed_mean_is_named() -> None:
    def stretched(record: CellRecord) -> CellRecord:
        """Of eight sets, the last wild for one cell alone."""
        wild = 2.0 if record.cell.arch == "googlenet" else 1.0
        visits = tuple(
            replace(
                visit,
                set_index=visit.set_index + 4 * half,
                host_s=tuple(
                    one * (wild if visit.set_index + 4 * half == 7 else 1.0) for one in visit.host_s
                ),
            )
            for half in (0, 1)
            for visit in record.visits
        )
        return replace(record, visits=visits)

    run = rungs.ladder()
    (said,) = (
        note
        for note in notes.collect(replace(run, cells=tuple(map(stretched, run.cells))))
        if "trimmed" in note
    )
    told = said.partition(" at each end: ")[2].rstrip(".").split(", ")
    assert told == [
        "googlenet in eager to torchvision in eager",
        "googlenet-3x3 in eager to googlenet in eager",
        "googlenet-pool2 in eager to googlenet in eager",
    ]
    assert not [note for note in notes.collect(run) if "trimmed" in note]


def test_an_arch_whose_macs_are_a_lower_bound_is_named_once() -> None:
    run = runs.small()
    cost = {**runs.COST, "uncounted": {"aten::foo": 3}}
    found = notes.collect(replace(run, cells=tuple(replace(one, cost=cost) for one in run.cells)))
    archs = {record.cell.arch for record in run.cells if record.has_figures}
    bounds = [note for note in found if "3 × aten::foo, not counted" in note]
    assert sorted(note.partition(":")[0] for note in bounds) == sorted(archs)
