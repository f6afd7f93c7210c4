"""Runs whose jobs are processes of their own: like local ones, whatever ends a process."""

import os
import signal
from dataclasses import replace

import pytest

from bench.engine.run import Run
from bench.engine.tasks import PreflightTask
from bench.errors import RequestError
from bench.launch.launchers import Launcher
from bench.launch.process import WorkerError
from bench.records import events
from bench.records.code import Code
from bench.records.outcome import Outcome
from tests.bench.engine.remote.direct import DirectHost, Sink, interrupts, keys, plan
from tests.bench.engine.running import Watcher, cell, run

pytestmark = pytest.mark.workers

CELLS = (cell("works"), cell("raises_when_called"))
ROUNDS = 2


def test_a_run_in_other_processes_is_like_a_local_one(fork_server: Launcher) -> None:
    request = plan(*CELLS, rounds=ROUNDS)
    watcher, sink, local_watcher = Watcher(), Sink(), Watcher()
    outcome = Run(request, DirectHost(request, watcher), watcher, begin=sink.begin).measure()
    here = run(request, fork_server, local_watcher).measure()
    assert outcome.status == here.status == "complete"
    works, fails = outcome.records()
    assert keys(outcome, CELLS[0]) == keys(here, CELLS[0]) == [(0, 0, 0), (0, 0, 1)]
    assert {visit.host for visit in works.visits} == {"direct"}
    assert works.cost == here.records()[0].cost
    expected = here.records()[1].failure
    assert fails.failure is not None
    assert expected is not None
    assert (fails.failure.kind, fails.failure.message) == (expected.kind, expected.message)
    assert watcher.failures.keys() == local_watcher.failures.keys() == {"raises_when_called"}
    assert {*local_watcher.phases} <= {*watcher.phases}
    assert Outcome.from_events(sink.events).records() == outcome.records()


@pytest.mark.slow
def test_a_set_whose_process_is_killed_is_measured_again_and_counted_once() -> None:
    request = plan(CELLS[0], replace(CELLS[0], batch_size=2), sets=2, rounds=ROUNDS)
    watcher = Watcher()
    host = DirectHost(request, watcher)

    def kill_once(event: events.Event) -> None:
        if isinstance(event, events.Visited) and event.set_index == 1 and len(host.jobs) == 4:
            os.killpg(host.connections[-1].process.pid, signal.SIGKILL)

    outcome = Run(request, host, watcher, begin=Sink(kill_once).begin).measure()
    assert outcome.status == "complete"
    assert len(host.jobs) == 1 + 2 * 2 + 1  # the preflight, the sets of two groups, one once more
    expected = [(set_index, 0, round_index) for set_index in range(2) for round_index in range(2)]
    for measured in request.cells:
        assert keys(outcome, measured) == expected
    (note,) = [note for note in outcome.notes if "measured again" in note]
    assert "SIGKILL" in note
    assert note.startswith("Set 2 of fp32/b1/infer/cpu is measured again")


@pytest.mark.slow
def test_an_interrupt_keeps_the_visits_and_the_judgement_of_their_round() -> None:
    request = plan(CELLS[0], rounds=50)
    watcher = Watcher()
    host = DirectHost(request, watcher)

    sink = interrupts(lambda each: isinstance(each, events.Visited) and each.round_index == 3)
    outcome = Run(request, host, watcher, begin=sink.begin).measure()
    assert outcome.status == "interrupted"
    visited = {each.round_index for each in sink.events if isinstance(each, events.Visited)}
    judged = {each.round_index for each in sink.events if isinstance(each, events.RoundEnded)}
    assert 3 in visited
    assert judged == visited
    assert len(judged) < 50

    resumed = DirectHost(request, watcher)
    again = Run(request, resumed, watcher, resumed=Outcome.from_events(sink.events)).measure()
    assert again.status == "complete"
    assert len(resumed.jobs) == 2
    assert keys(again, CELLS[0]) == [(0, 0, index) for index in range(50)]


def test_a_job_that_always_ends_its_process_is_not_repeated_forever() -> None:
    request = plan(CELLS[0])

    class Killed(DirectHost):
        def connect(self, job):  # type: ignore[no-untyped-def]
            connection = super().connect(job)
            os.killpg(connection.process.pid, signal.SIGKILL)  # before it can answer
            return connection

    host = Killed(request, Watcher())
    with pytest.raises(WorkerError, match="the preflight was tried 3 times in vain: direct"):
        Run(request, host, Watcher()).measure()
    assert len(host.jobs) == 3


def test_a_node_with_other_code_is_refused() -> None:
    request = plan(CELLS[0])
    host = DirectHost(request, Watcher(), code=Code(commit=None, digest="another"))
    task = PreflightTask(archs=(), dtypes=(), fits=())
    with pytest.raises(RequestError, match="direct: it has other code"):
        list(host.preflight(task))
