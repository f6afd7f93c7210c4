"""The trace has the structure that Perfetto and chrome://tracing read."""

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from bench.errors import RequestError
from bench.records import store
from bench.records.record import BackToBack, CellRecord, RunRecord, Visit, VisitTime
from bench.report.exports import EXPORTS, trace
from tests.bench import runs

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "run.json"
BEGIN_S = 1_767_323_045.123456
WALL_S, DROPPED_S, DISTURBED_S, BLOCK_S = 0.25, 0.0312, 0.04, 0.05
CELLS = (runs.REFERENCE_EAGER, runs.EAGER)


def recorded() -> RunRecord:
    """Return a run whose second cell was visited first; the second round of each set is void."""
    records = []
    for position, cell in enumerate((*CELLS, replace(runs.REFERENCE_EAGER, control=True))):
        visits = [
            replace(
                visit,
                time=VisitTime(
                    start_s=round(BEGIN_S + (3 * index + [1, 0, 2][position]) * 0.3, 6),
                    wall_s=WALL_S,
                    dropped_s=DROPPED_S,
                ),
                disturbed_s=(DISTURBED_S,),
                back_to_back=BackToBack(
                    iterations=2, enqueue_s=0.01, host_s=BLOCK_S, device_s=0.04
                ),
                voided=visit.round_index == 1,
            )
            for index, visit in enumerate(runs.visits(cell))
        ]
        records.append(CellRecord(cell=cell, visits=tuple(visits)))
    reference, eager, control = records
    rounds = tuple(
        replace(
            each,
            voided=each.round_index == 1,
            reasons=("foreign_load",) if each.round_index == 1 else (),
            foreign_cpus=0.5 if each.round_index == 1 else runs.FOREIGN_CPUS,
        )
        for each in runs.rounds(runs.EAGER)
    )
    return replace(
        runs.small("complete"), cells=(reference, eager), controls=(control,), rounds=rounds
    )


def exported(run: RunRecord) -> Any:
    return json.loads(EXPORTS["trace"].render(run))


def slices(content: Any, category: str) -> list[Any]:
    found = [event for event in content["traceEvents"] if event.get("cat") == category]
    return sorted(found, key=lambda event: event["ts"])


def counter(content: Any, name: str) -> list[Any]:
    return [
        event for event in content["traceEvents"] if event["ph"] == "C" and event["name"] == name
    ]


def names(content: Any, what: str) -> dict[tuple[int, int], str]:
    return {
        (event["pid"], event["tid"]): event["args"]["name"]
        for event in content["traceEvents"]
        if event["name"] == what
    }


def end(event: Any) -> float:
    """Return the end in microseconds, computed as viewers do."""
    end_us: float = event["ts"] + event["dur"]
    return end_us


def nested_by_track(content: Any) -> Iterator[list[Any]]:
    """Yield the slices of each track, in order, with enclosing ones first."""
    tracks = defaultdict(list)
    for event in content["traceEvents"]:
        if event["ph"] == "X":
            tracks[event["pid"], event["tid"]].append(event)
    for track in tracks.values():
        yield sorted(track, key=lambda event: (event["ts"], -event["dur"]))


with_runs = pytest.mark.parametrize(
    "run",
    [recorded(), runs.small(), runs.gpu(), store.read(GOLDEN)],
    ids=["recorded", "small", "gpu", "golden"],
)


@with_runs
def test_every_event_has_the_fields_of_its_phase(run: RunRecord) -> None:
    content = exported(run)
    assert content["displayTimeUnit"] == "ms"
    needed = {
        "X": {"name", "cat", "ts", "dur", "pid", "tid"},
        "C": {"name", "ts", "pid", "args"},
        "M": {"name", "pid", "args"},
    }
    for event in content["traceEvents"]:
        assert needed[event["ph"]] <= event.keys()
        assert not {"start_s", "end_s"} & event.keys()
        assert event.get("ts", 0) >= 0
        assert event.get("dur", 0) >= 0
    assert {event["ph"] for event in content["traceEvents"]} == {"X", "C", "M"}


@with_runs
def test_slices_of_a_track_are_nested_and_never_overlap(run: RunRecord) -> None:
    for track in nested_by_track(exported(run)):
        open_slices: list[Any] = []
        for event in track:
            while open_slices and end(open_slices[-1]) <= event["ts"]:
                open_slices.pop()
            assert not open_slices or end(event) <= end(open_slices[-1])
            open_slices.append(event)


@with_runs
def test_every_track_is_named(run: RunRecord) -> None:
    content = exported(run)
    tracks = {
        (event["pid"], event["tid"]) for event in content["traceEvents"] if event["ph"] == "X"
    }
    assert tracks <= names(content, "thread_name").keys()
    processes = {event["pid"] for event in content["traceEvents"]}
    assert processes == {pid for pid, _ in names(content, "process_name")}


def test_a_worker_is_a_track_of_its_set_and_a_visit_is_a_slice() -> None:
    run = recorded()
    content = exported(run)
    visits = slices(content, "visit")
    assert len(visits) == 3 * runs.SETS * runs.ROUNDS
    threads, processes = names(content, "thread_name"), names(content, "process_name")
    for visit in visits:
        assert threads[visit["pid"], visit["tid"]] == visit["args"]["cell"]
        expected = f"set {visit['args']['set']}, wave 0, {runs.EAGER.group}"
        assert processes[visit["pid"], 0] == expected
    workers = {(visit["pid"], visit["tid"]) for visit in visits}
    assert len(workers) == 3 * runs.SETS


def test_recorded_visits_are_where_they_took_place() -> None:
    content = exported(recorded())
    visits = slices(content, "visit")
    assert [visit["args"]["cell"] for visit in visits[:3]] == [
        runs.EAGER.id,
        runs.REFERENCE_EAGER.id,
        f"{runs.REFERENCE_EAGER.id}/control",
    ]
    assert [visit["ts"] for visit in visits[:4]] == pytest.approx([0, 3e5, 6e5, 9e5], abs=1)
    assert visits[0]["dur"] == pytest.approx(WALL_S * 1e6)
    assert content["otherData"]["times"] == trace.RECORDED
    assert content["otherData"]["begin_s"] == BEGIN_S


def test_a_visit_contains_its_iterations_in_order() -> None:
    content = exported(recorded())
    first = slices(content, "visit")[0]
    inside = [
        event
        for event in slices(content, "iterations")
        if (event["pid"], event["tid"]) == (first["pid"], first["tid"]) and event["ts"] < end(first)
    ]
    assert [event["name"] for event in inside] == [
        "dropped",
        *(f"iteration {index}" for index in range(runs.ITERATIONS)),
        "disturbed",
        "2 back to back",
    ]
    host_s = runs.visits(runs.EAGER)[0].host_s
    assert [event["dur"] for event in inside] == pytest.approx(
        [second * 1e6 for second in (DROPPED_S, *host_s, DISTURBED_S, BLOCK_S)], abs=1e-3
    )
    assert all(end(before) == after["ts"] for before, after in pairwise(inside))


def test_voided_rounds_are_marked_with_the_reason_and_the_load() -> None:
    content = exported(recorded())
    rounds = slices(content, "round")
    assert [event["name"] for event in rounds] == runs.SETS * [
        "round 0",
        "round 1 (voided)",
        "round 2",
    ]
    assert rounds[1]["args"]["reasons"] == ["foreign_load"]
    assert rounds[1]["args"]["foreign_cpus"] == 0.5
    of_round = [event for event in slices(content, "visit") if event["args"]["round"] == 1]
    assert {event["name"] for event in of_round} == {"visit 1 (voided)"}
    assert all(event["args"]["voided"] for event in of_round)
    load = counter(content, "CPUs used by others")
    assert [event["args"]["foreign_cpus"] for event in load] == runs.SETS * [
        runs.FOREIGN_CPUS,
        0.5,
        runs.FOREIGN_CPUS,
    ]
    assert [event["ts"] for event in load] == [event["ts"] for event in rounds]


def test_voided_rounds_are_counted_from_their_ends() -> None:
    content = exported(recorded())
    rounds = slices(content, "round")
    counted = counter(content, "voided rounds")
    assert [event["args"]["voided"] for event in counted] == [0, *range(1, runs.SETS + 1)]
    ends = [end(event) for event in rounds if event["args"]["voided"]]
    assert [event["ts"] for event in counted] == [rounds[0]["ts"], *ends]
    without = exported(runs.small())
    assert [event["args"] for event in counter(without, "voided rounds")] == [{"voided": 0}]


def test_a_round_lasts_from_its_first_visit_to_its_last() -> None:
    content = exported(recorded())
    visits = [event for event in slices(content, "visit") if event["args"]["round"] == 0][:3]
    first = slices(content, "round")[0]
    assert first["ts"] == visits[0]["ts"]
    assert end(first) == end(visits[-1])


def test_without_times_the_rounds_follow_each_other_and_the_trace_says_so() -> None:
    content = exported(runs.small())
    assert content["otherData"]["times"] == trace.DERIVED
    assert "begin_s" not in content["otherData"]
    rounds = slices(content, "round")
    starts = [event["ts"] for event in rounds]
    assert starts == sorted(set(starts))
    assert rounds[1]["ts"] - rounds[0]["ts"] == pytest.approx(1.5e6)  # ``wall_s`` of each round
    visits = slices(content, "visit")
    assert all(end(before) <= after["ts"] for before, after in pairwise(visits))


def test_workers_of_both_sides_of_a_gate_are_tracks() -> None:
    run = recorded()
    base = replace(run.cells[1], cell=replace(runs.EAGER, base=True))
    content = exported(replace(run, bases=(base,)))
    assert f"{runs.EAGER.id}/base" in names(content, "thread_name").values()


def test_each_machine_has_its_own_load() -> None:
    run = recorded()

    def on_hosts(record: CellRecord) -> CellRecord:
        visits = tuple(replace(visit, host=f"host{visit.set_index}") for visit in record.visits)
        return replace(record, visits=visits)

    content = exported(
        replace(
            run,
            cells=tuple(map(on_hosts, run.cells)),
            controls=tuple(map(on_hosts, run.controls)),
        )
    )
    machines = {
        pid: name
        for (pid, _), name in names(content, "process_name").items()
        if name.startswith("machine")
    }
    assert machines == {0: "machine host0", 1: "machine host1"}
    load = [event["pid"] for event in counter(content, "CPUs used by others")]
    assert load == [0] * runs.ROUNDS + [1] * runs.ROUNDS
    voided = [
        (event["pid"], event["args"]["voided"]) for event in counter(content, "voided rounds")
    ]
    assert voided == [(0, 0), (0, 1), (1, 0), (1, 1)]


def test_a_run_whose_rounds_are_all_void_is_drawn_and_one_without_visits_is_refused() -> None:
    run = recorded()
    visits = tuple(replace(visit, voided=True) for visit in run.cells[1].visits)
    voided = replace(run, cells=(replace(run.cells[1], visits=visits),), controls=())
    assert len(slices(exported(voided), "visit")) == len(visits)
    empty = replace(run, cells=(CellRecord(cell=runs.EAGER),), controls=(), status="interrupted")
    with pytest.raises(RequestError, match="no visits, and its status is interrupted"):
        exported(empty)


def test_a_visit_without_a_judged_round_is_drawn() -> None:
    visit = Visit(set_index=0, round_index=0, host_s=(0.5,))
    later = Visit(set_index=0, round_index=7, host_s=(0.25,), voided=True)
    run = replace(
        runs.small("interrupted"),
        cells=(CellRecord(cell=runs.EAGER, visits=(visit, later)),),
        controls=(),
    )
    assert [event["name"] for event in slices(exported(run), "visit")][-1] == "visit 7 (voided)"
