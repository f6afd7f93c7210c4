"""The contract between a run and its host, without any worker."""

import inspect
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from itertools import combinations
from typing import Any

import pytest

from bench.cells.cell import Cell
from bench.cells.plan import Plan
from bench.engine.hosts.host import Events
from bench.engine.run import Run
from bench.engine.tasks import PreflightTask, SetTask
from bench.errors import RequestError
from bench.launch.process import WorkerError
from bench.machine.environment import Environment
from bench.records import events
from bench.records.outcome import Outcome
from bench.records.reported import ArchCost
from tests.bench import runs
from tests.bench.engine.hosts.scripted import ScriptedHost
from tests.bench.engine.running import Clock, Watcher, record_of
from tests.bench.engine.running import plan as engine_plan

CELLS = (runs.REFERENCE_EAGER, runs.EAGER)
BATCH = (runs.REFERENCE_BATCH, runs.BATCH)


def plan(*cells: Cell, sets: int = 2, **overrides: Any) -> Plan:
    """Return a plan that lets the host choose its rounds."""
    return engine_plan(*cells, sets=sets, rounds=None, precision=1.0, **overrides)


class Journal:
    """An event sink in memory."""

    def __init__(self) -> None:
        self.events: list[events.Event] = []
        self.environment: object = None

    def begin(self, environment: Environment) -> "Journal":
        self.environment = environment
        return self

    def append(self, event: events.Event) -> None:
        self.events.append(event)


def set_tasks(host: ScriptedHost) -> list[SetTask]:
    return [task for task in host.tasks if isinstance(task, SetTask)]


def test_what_is_known_is_not_asked_of_the_host_and_is_journalled() -> None:
    host, journal = ScriptedHost(), Journal()
    known = (
        events.Counted(arch=runs.EAGER.arch, cost=ArchCost(params=7)),
        events.CeilingMeasured(dtype="fp32", facts=runs.CEILINGS["fp32"]),
    )
    requested = plan(*CELLS, ceiling=True)
    outcome = Run(requested, host, Watcher(), begin=journal.begin, known=known).measure()
    other = runs.REFERENCE_EAGER.arch
    assert host.tasks[0] == PreflightTask(archs=((other, False),), dtypes=(), fits=())
    assert [record.cost.params for record in outcome.records()] == [1_000, 7]
    assert outcome.ceilings == {"fp32": runs.CEILINGS["fp32"]}
    assert tuple(journal.events[1:3]) == known


def test_a_run_on_a_host_of_its_own_is_a_run_like_any_other() -> None:
    host, journal = ScriptedHost(seconds={"googlenet": 0.5}), Journal()
    run = Run(plan(*CELLS, *BATCH), host, Watcher(), begin=journal.begin)
    outcome = run.measure()
    assert outcome.status == "complete"
    assert journal.environment == Environment(device="cpu", torch="2.13.0", threads=2)
    assert isinstance(journal.events[0], events.Began)
    for member in (*CELLS, *BATCH):
        measured = record_of(outcome, member)
        assert measured.cost.params == 1_000
        assert {visit.host for visit in measured.visits} == {"scripted"}
        assert [visit.voided for visit in measured.visits] == [True, False] * 2
    assert record_of(outcome, runs.EAGER).visits[0].host_s == (0.5,)
    # The journal holds everything that the run knows.
    assert Outcome.from_events(journal.events).records() == outcome.records()


def test_a_host_is_asked_for_what_the_run_does_not_know() -> None:
    host = ScriptedHost()
    request = plan(*CELLS, ceiling=True, fit=True)
    outcome = Run(request, host, Watcher()).measure()
    archs = tuple((cell.arch, False) for cell in CELLS)
    assert host.tasks[0] == PreflightTask(archs=archs, dtypes=("fp32",), fits=CELLS)
    assert [(task.set_index, task.rounds) for task in set_tasks(host)] == [(0, None), (1, 2)]
    first, second = set_tasks(host)
    assert set(first.cells) == {*CELLS, replace(CELLS[0], control=True)}
    assert (first.fitting, second.fitting) == ((), outcome.waves[CELLS[0].group])
    resumed = ScriptedHost()
    Run(request, resumed, Watcher(), resumed=outcome).measure()
    assert resumed.tasks[0] == PreflightTask(archs=(), dtypes=("fp32",), fits=CELLS)


def test_a_failed_cell_is_not_asked_for_again() -> None:
    failed = events.Failed(cell=runs.EAGER.id, failure=runs.FAILURE)

    class Fails(ScriptedHost):
        def measure_set(self, task: SetTask) -> Events:
            if task.set_index == 0:
                yield failed
            yield from super().measure_set(task)

    third = replace(runs.EAGER, arch="googlenet-3x3")
    host = Fails()
    Run(plan(*CELLS, third), host, Watcher()).measure()
    assert [runs.EAGER in task.cells for task in set_tasks(host)] == [True, False]
    assert all(third in task.cells for task in set_tasks(host))


def test_a_budget_is_told_to_the_host_and_ends_the_run() -> None:
    clock = Clock()

    class Slow(ScriptedHost):
        """Takes 30 s per set, and ends the wave early if that is more than the budget."""

        def measure_set(self, task: SetTask) -> Events:
            assert task.budget_left_s is not None
            for event in super().measure_set(task):
                if isinstance(event, events.WaveEnded):
                    clock.now_s += 30.0
                    if task.budget_left_s < 30.0:
                        yield events.CutShort(task.group, task.set_index)
                        return
                yield event

    host = Slow()
    request = plan(*CELLS, sets=5, budget_s=50.0)
    outcome = Run(request, host, clock, now=clock.now).measure()
    assert [task.budget_left_s for task in set_tasks(host)] == [50.0, 20.0]
    assert outcome.status == "over_budget"


@pytest.mark.parametrize("error", [KeyboardInterrupt(), WorkerError("start", "no worker")])
def test_what_was_measured_before_an_error_is_kept(error: BaseException) -> None:
    seen: list[events.Event] = []

    def stops(event: events.Event) -> None:
        if isinstance(event, events.RoundEnded) and event.set_index == 1:
            raise error
        seen.append(event)

    host, journal = ScriptedHost(before=stops), Journal()
    outcome = Run(plan(*CELLS), host, Watcher(), begin=journal.begin).measure()
    assert outcome.status == "interrupted"
    assert [event for event in journal.events if event in seen] == seen
    assert host.open_workers == 0


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError("full")])
def test_a_host_is_closed_if_an_event_cannot_be_stored(error: BaseException) -> None:
    class Full(Journal):
        def append(self, event: events.Event) -> None:
            if isinstance(event, events.Visited):
                raise error

    host = ScriptedHost()
    run = Run(plan(*CELLS), host, Watcher(), begin=Full().begin)
    with pytest.raises(OSError, match="full") if isinstance(error, OSError) else nullcontext():
        run.measure()
    assert host.open_workers == 0
    assert [inspect.getgeneratorstate(each) for each in host.generators] == ["GEN_CLOSED"]


def test_a_host_yields_the_rest_if_an_event_is_interrupted() -> None:
    class Interrupted(Journal):
        def append(self, event: events.Event) -> None:
            super().append(event)
            if isinstance(event, events.Visited) and event.set_index == 1:
                raise KeyboardInterrupt

    class Judges(ScriptedHost):
        """Judges the round that an interrupt ends."""

        def _measure(self, task: SetTask) -> Events:
            try:
                yield from super()._measure(task)
            except KeyboardInterrupt:
                yield last
                raise

    last = events.RoundEnded(
        group=CELLS[0].group,
        set_index=1,
        wave_index=0,
        round_index=0,
        wall_s=7.0,
        foreign_cpus=0.0,
        voided=False,
    )
    journal = Interrupted()
    outcome = Run(plan(*CELLS), Judges(), Watcher(), begin=journal.begin).measure()
    assert outcome.status == "interrupted"
    assert journal.events[-1] == last
    assert outcome.rounds[-1].wall_s == 7.0


def test_a_set_without_all_cells_is_no_reason_to_be_over_budget() -> None:
    """The second wave has no cell left to measure when the last visit uses up the budget."""
    clock = Clock()
    third = replace(runs.EAGER, arch="googlenet-3x3")
    split = events.Split(
        group=CELLS[0].group, waves=((runs.EAGER.id,), (third.id,)), reason="memory was short"
    )

    class Fails(ScriptedHost):
        def measure_set(self, task: SetTask) -> Events:
            yield split
            yield events.Failed(cell=third.id, failure=runs.FAILURE)
            yield from super().measure_set(task)
            clock.now_s += 60.0

    request = plan(*CELLS, third, sets=1, budget_s=50.0)
    outcome = Run(request, Fails(), clock, now=clock.now).measure()
    assert outcome.status == "complete"


def test_a_host_with_another_environment_cannot_resume_a_run() -> None:
    outcome = Run(plan(*CELLS), ScriptedHost(), Watcher()).measure()
    outcome.environment = Environment(torch="1.0")
    with pytest.raises(RequestError, match=r"torch is '2.13.0' here, but the run began with '1.0'"):
        Run(plan(*CELLS), ScriptedHost(), Watcher(), resumed=outcome).measure()


def merged(first: list[events.Event], second: list[events.Event]) -> Iterator[list[events.Event]]:
    """Yield the events of both in every order that keeps the order of each."""
    total = len(first) + len(second)
    for places in combinations(range(total), len(first)):
        of_first, of_second = iter(first), iter(second)
        yield [next(of_first if index in places else of_second) for index in range(total)]


def test_two_hosts_may_report_in_any_order() -> None:
    """Every order of their events gives the same run; only sums of seconds may round."""
    request = plan(runs.REFERENCE_EAGER, runs.REFERENCE_BATCH)
    began = events.Began(schema_version=3, plan=request, environment=Environment())
    reported = []
    for name, cell in (("one", runs.REFERENCE_EAGER), ("two", runs.REFERENCE_BATCH)):
        waves = Outcome(request).waves[cell.group]
        task = SetTask(group=cell.group, set_index=0, cells=(cell,), waves=waves, rounds=2)
        reported.append(list(ScriptedHost(name).measure_set(task)))
    results = []
    for together in merged(*reported):
        result = Outcome.from_events([began, *together])
        for group in result.waves:
            assert result.ended_waves(group, 0) == (0,)
        assert len(result.fitting_waves) == 2
        assert result.phases_s == pytest.approx({"measuring": 9.0, "idling": 31.0})
        hosts = [{visit.host for visit in record.visits} for record in result.records()]
        assert hosts == [{"one"}, {"two"}]
        results.append((result.records(), result.controls(), result.rounds, result.last_set))
    assert len(results) == 924  # 12! / (6! 6!)
    assert all(result == results[0] for result in results)
