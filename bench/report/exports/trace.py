"""A trace of the visits, in Chrome's trace event format, for Perfetto and chrome://tracing.

https://ui.perfetto.dev opens it, and https://perfetto.dev/docs/getting-started/other-formats has a
link to the format. Each wave of a set is a process of the trace, and each of its workers a thread,
with a slice for each visit and slices for its iterations inside. The first thread of a wave has the
rounds. Foreign load and the number of voided rounds so far are counters of the machine.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate, pairwise
from typing import Any, TypeAlias

from bench.errors import RequestError
from bench.records.record import CellRecord, Round, RunRecord, Visit
from bench.report.exports.export import Export

RECORDED = (
    "The start and the length of each visit were recorded. Inside a visit, iterations are drawn "
    "without gaps, after the dropped ones; disturbed iterations come last, although they happened "
    "among the others."
)
DERIVED = (
    "This run has no times of visits: the lengths are measured, but the starts are not. Rounds are "
    "drawn in the order of the run, without gaps, and the visits of a round in the order of the "
    "plan, although that order was random."
)
_US_PER_S = 1e6
_TICK_US = 2**-10  # about a nanosecond
_VOIDED = "terrible"  # Chrome's name of a red colour; Perfetto chooses its own colours
Event: TypeAlias = dict[str, Any]
_WaveKey: TypeAlias = tuple[str, int, int]
"""Group, set and wave."""


@dataclass(frozen=True, kw_only=True)
class _Placed:
    """A visit at its place in the trace."""

    record: CellRecord
    visit: Visit
    start_s: float
    """Start in seconds after the first visit."""
    wall_s: float = 0.0
    dropped_s: float = 0.0

    @property
    def wave(self) -> _WaveKey:
        return self.record.cell.group, self.visit.set_index, self.visit.wave_index

    @cached_property
    def parts(self) -> tuple[tuple[str, float, float], ...]:
        """The name, the start and the end of each part, in seconds, as they are drawn."""
        visit, block = self.visit, self.visit.back_to_back
        durations = [
            *([("dropped", self.dropped_s)] if self.dropped_s else []),
            *((f"iteration {index}", host_s) for index, host_s in enumerate(visit.host_s)),
            *(("disturbed", host_s) for host_s in visit.disturbed_s or ()),
            *([(f"{block.iterations} back to back", block.host_s)] if block else []),
        ]
        names = [name for name, _ in durations]
        ends_s = accumulate((duration_s for _, duration_s in durations), initial=self.start_s)
        return tuple(
            (name, *between) for name, between in zip(names, pairwise(ends_s), strict=True)
        )

    @property
    def end_s(self) -> float:
        """Its end; the parts last longer than the visit only by a rounding error."""
        return max([self.start_s + self.wall_s, *(end_s for *_, end_s in self.parts)])


def render(run: RunRecord) -> str:
    """Return the trace. Times are in microseconds since the first visit.

    Voided visits are enough, because the trace shows why they are void. Raises ``RequestError`` if
    there is no visit.
    """
    visits = [
        (record, visit)
        for record in (*run.cells, *run.controls, *run.bases)
        for visit in record.visits
    ]
    if not visits:
        raise RequestError(
            f"there is nothing to draw: the run has no visits, and its status is "
            f"{run.status.replace('_', ' ')}"
        )
    starts_s = [visit.time.start_s for _, visit in visits if visit.time]
    are_recorded = len(starts_s) == len(visits)
    placed = list(
        _recorded(visits, min(starts_s)) if are_recorded else _derived(visits, run.rounds)
    )
    about = {
        "times": RECORDED if are_recorded else DERIVED,
        "run_id": run.run_id,
        "written": run.datetime,
        **({"begin_s": min(starts_s)} if are_recorded else {}),
    }
    events = list(map(_in_microseconds, _events(placed, run.rounds)))
    trace = {"traceEvents": events, "displayTimeUnit": "ms", "otherData": about}
    return json.dumps(trace, ensure_ascii=False, allow_nan=False)


def _recorded(visits: Sequence[tuple[CellRecord, Visit]], begin_s: float) -> Iterator[_Placed]:
    for record, visit in visits:
        if visit.time is not None:
            yield _Placed(
                record=record,
                visit=visit,
                start_s=visit.time.start_s - begin_s,
                wall_s=visit.time.wall_s,
                dropped_s=visit.time.dropped_s,
            )


def _derived(
    visits: Sequence[tuple[CellRecord, Visit]], rounds: Sequence[Round]
) -> Iterator[_Placed]:
    """Yield the visits one after the other, in the order of the rounds."""
    walls_s = {
        ((each.group, each.set_index, each.wave_index), each.round_index): each.wall_s
        for each in rounds
    }
    by_round: dict[tuple[_WaveKey, int], list[_Placed]] = {key: [] for key in walls_s}
    for record, visit in visits:
        unplaced = _Placed(record=record, visit=visit, start_s=0.0)
        by_round.setdefault((unplaced.wave, visit.round_index), []).append(unplaced)
    round_start_s = 0.0
    for key, together in by_round.items():
        start_s = round_start_s
        for each in together:
            placed = replace(each, start_s=start_s)
            yield placed
            start_s = placed.end_s
        round_start_s = max(start_s, round_start_s + walls_s.get(key, 0.0))


def _events(placed: Sequence[_Placed], rounds: Sequence[Round]) -> Iterator[Event]:
    """Yield the events; slices have ``start_s`` and ``end_s`` instead of the format's times."""
    hosts = list(dict.fromkeys(each.visit.host for each in placed))
    for pid, host in enumerate(hosts):
        yield _named("process_name", pid, 0, f"machine {host}".strip())
    in_order = sorted(placed, key=lambda each: each.start_s)
    waves = list(dict.fromkeys(each.wave for each in in_order))
    pids = {wave: len(hosts) + index for index, wave in enumerate(waves)}
    for (group, set_index, wave_index), pid in pids.items():
        yield _named("process_name", pid, 0, f"set {set_index}, wave {wave_index}, {group}")
        yield {"ph": "M", "name": "process_sort_index", "pid": pid, "args": {"sort_index": pid}}
        yield _named("thread_name", pid, 0, "rounds")
    tids: dict[tuple[_WaveKey, str], int] = {}
    for each in placed:
        worker = (each.wave, each.record.cell.id)
        if worker not in tids:
            tids[worker] = len(tids) + 1
            yield _named("thread_name", pids[each.wave], tids[worker], each.record.cell.id)
        yield from _visit_events(each, pids[each.wave], tids[worker])
    yield from _round_events(in_order, rounds, pids, hosts)


def _visit_events(placed: _Placed, pid: int, tid: int) -> Iterator[Event]:
    visit = placed.visit
    void = " (voided)" if visit.voided else ""
    place = {"pid": pid, "tid": tid, **({"cname": _VOIDED} if visit.voided else {})}
    yield {
        "ph": "X",
        "cat": "visit",
        "name": f"visit {visit.round_index}{void}",
        "start_s": placed.start_s,
        "end_s": placed.end_s,
        **place,
        "args": {
            "cell": placed.record.cell.id,
            "set": visit.set_index,
            "wave": visit.wave_index,
            "round": visit.round_index,
            "voided": visit.voided,
        },
    }
    for name, start_s, end_s in placed.parts:
        slice_s = {"start_s": start_s, "end_s": end_s}
        yield {"ph": "X", "cat": "iterations", "name": name, **slice_s, **place}


def _round_events(
    in_order: Sequence[_Placed],
    rounds: Sequence[Round],
    pids: Mapping[_WaveKey, int],
    hosts: Sequence[str],
) -> Iterator[Event]:
    """Yield each round from its first visit to its last, and the counters of its machine.

    The foreign load is that of the round, so its value counts from the start; a round is voided at
    its end.
    """
    voided: Counter[int] = Counter()
    for each_round, visits in _with_visits(rounds, in_order):
        start_s, end_s = visits[0].start_s, max(visit.end_s for visit in visits)
        pid = hosts.index(visits[0].visit.host)
        yield _round_slice(each_round, pids[visits[0].wave], start_s, end_s)
        yield {
            "ph": "C",
            "name": "CPUs used by others",
            "start_s": start_s,
            "pid": pid,
            "args": {"foreign_cpus": each_round.foreign_cpus},
        }
        if pid not in voided:
            yield _voided_so_far(pid, start_s, 0)
        voided[pid] += each_round.voided
        if each_round.voided:
            yield _voided_so_far(pid, end_s, voided[pid])


def _with_visits(
    rounds: Sequence[Round], in_order: Sequence[_Placed]
) -> list[tuple[Round, list[_Placed]]]:
    """Return the rounds that have visits, each with its visits, in the order of their start."""
    together: dict[tuple[_WaveKey, int], list[_Placed]] = {}
    for each in in_order:
        together.setdefault((each.wave, each.visit.round_index), []).append(each)
    with_visits = []
    for each_round in rounds:
        wave = (each_round.group, each_round.set_index, each_round.wave_index)
        if visits := together.get((wave, each_round.round_index)):
            with_visits.append((each_round, visits))
    return sorted(with_visits, key=lambda each: each[1][0].start_s)


def _round_slice(each_round: Round, pid: int, start_s: float, end_s: float) -> Event:
    void = " (voided)" if each_round.voided else ""
    return {
        "ph": "X",
        "cat": "round",
        "name": f"round {each_round.round_index}{void}",
        "start_s": start_s,
        "end_s": end_s,
        "pid": pid,
        "tid": 0,
        **({"cname": _VOIDED} if each_round.voided else {}),
        "args": {
            "wall_s": each_round.wall_s,
            "foreign_cpus": each_round.foreign_cpus,
            "voided": each_round.voided,
            "reasons": list(each_round.reasons),
        },
    }


def _voided_so_far(pid: int, start_s: float, count: int) -> Event:
    return {
        "ph": "C",
        "name": "voided rounds",
        "start_s": start_s,
        "pid": pid,
        "args": {"voided": count},
    }


def _named(what: str, pid: int, tid: int, name: str) -> Event:
    return {"ph": "M", "name": what, "pid": pid, "tid": tid, "args": {"name": name}}


def _in_microseconds(event: Event) -> Event:
    """Return an event with the times of the format, as multiples of ``_TICK_US``.

    Viewers add ``ts`` and ``dur``. The sum of these is exact in floating point, so a slice ends
    where the next one begins, and inside the slice around it.
    """
    times_us = {
        name: round(event[name] * _US_PER_S / _TICK_US) * _TICK_US
        for name in ("start_s", "end_s")
        if name in event
    }
    scaled = {name: value for name, value in event.items() if name not in times_us}
    if "start_s" in times_us:
        scaled["ts"] = times_us["start_s"]
    if "end_s" in times_us:
        scaled["dur"] = times_us["end_s"] - times_us["start_s"]
    return scaled


TRACE = Export(name="trace", what="Chrome's trace events, for ui.perfetto.dev", render=render)
