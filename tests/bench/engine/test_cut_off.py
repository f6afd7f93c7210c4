import os
import signal
from dataclasses import replace

import msgspec
import pytest

from bench.engine.local import wave
from bench.errors import RequestError
from bench.launch.launchers import ForkServer, Launcher
from bench.launch.process import WorkerProcess
from bench.records import events
from bench.records.outcome import Outcome
from bench.worker.protocol import Measure, Request
from tests.bench.engine.running import Clock, Watcher, cell, plan, record_of, run, visited


def test_an_interrupt_keeps_the_visits_measured_so_far(fork_server: Launcher) -> None:
    class Interrupts(Watcher):
        def visited(self, what: str) -> None:
            super().visited(what)
            if self.phases[-1][0].endswith("measuring") and len(self.advances[-1]) == 3:
                raise KeyboardInterrupt

    target = cell("works")
    outcome = run(plan(target, rounds=50), fork_server, Interrupts()).measure()
    assert outcome.status == "interrupted"
    outcome_visits = visited(outcome, target) + visited(outcome, replace(target, control=True))
    assert len(outcome_visits) == 3


def test_an_interrupt_before_the_first_visit_is_raised(fork_server: Launcher) -> None:
    class Interrupts(Watcher):
        def phase(self, name: str, total: int) -> None:
            super().phase(name, total)
            if name.endswith("warming up"):
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(plan(cell("works")), fork_server, Interrupts()).measure()


def test_resuming_measures_only_what_is_missing(fork_server: Launcher) -> None:
    first, second = cell("works"), cell("prints", batch_size=2)
    journal: list[events.Event] = []

    class Recorder:
        def append(self, event: events.Event) -> None:
            journal.append(event)

    request = plan(first, second, sets=2)
    run(request, fork_server, begin=lambda _: Recorder()).measure()
    # The journal as if the run had been killed in the second round of the last wave.
    last = max(i for i, event in enumerate(journal) if isinstance(event, events.WaveBegan))
    visits = [
        i for i, event in enumerate(journal) if i > last and isinstance(event, events.Visited)
    ]
    cut = journal[: visits[2]]
    resumed = Outcome.from_events(cut)
    before = record_of(resumed, first).visits
    outcome = run(request, fork_server, resumed=resumed).measure()
    assert outcome.status == "complete"
    assert record_of(outcome, first).visits == before
    assert visited(outcome, second) == [(s, r) for s in range(2) for r in range(3)]
    assert any("resumed" in note for note in outcome.notes)


def test_a_set_that_was_added_for_precision_is_resumed(fork_server: Launcher) -> None:
    first, second = cell("works"), cell("prints")
    journal: list[events.Event] = []

    class Recorder:
        def append(self, event: events.Event) -> None:
            journal.append(event)

    # There is time for one set more than planned.
    imprecise = plan(first, second, precision=1e-12, extra_s=20.0)
    clock = Clock()
    run(imprecise, fork_server, clock, now=clock.now, begin=lambda _: Recorder()).measure()
    last = max(i for i, event in enumerate(journal) if isinstance(event, events.WaveBegan))
    resumed, later = Outcome.from_events(journal[: last + 1]), Clock()
    outcome = run(imprecise, fork_server, later, now=later.now, resumed=resumed).measure()
    assert set(visited(outcome, second)) >= {(s, r) for s in range(2) for r in range(3)}


def test_resuming_with_another_plan_is_refused(fork_server: Launcher) -> None:
    target = cell("works")
    begun = run(plan(target), fork_server).measure()
    with pytest.raises(RequestError, match="rounds is 4, but the run began with 3"):
        run(plan(target, rounds=4), fork_server, resumed=begun)


def test_resuming_in_another_environment_is_refused(fork_server: Launcher) -> None:
    target = cell("works")
    begun = run(plan(target), fork_server).measure()
    begun.environment = msgspec.structs.replace(begun.environment, torch="1.0")
    with pytest.raises(RequestError, match=r"torch is .*, but the run began with '1.0'"):
        run(plan(target), fork_server, resumed=begun).measure()


@pytest.mark.workers
def test_the_death_of_a_fork_server_fails_no_cell_and_keeps_the_visits() -> None:
    with ForkServer(os.environ) as server:

        class Kills(Watcher):
            def visited(self, what: str) -> None:
                super().visited(what)
                if self.phases[-1][0].endswith("measuring") and len(self.advances[-1]) == 4:
                    os.kill(server.pids[-1], signal.SIGKILL)

        target, watcher = cell("works"), Kills()
        outcome = run(plan(target, rounds=50), server, watcher).measure()
    assert outcome.status == "interrupted"
    assert not outcome.failures
    assert not watcher.failures
    assert 2 <= len(visited(outcome, target)) < 50
    assert ["was killed by SIGKILL" in note for note in outcome.notes] == [True]


def test_an_interrupt_while_an_event_is_stored_keeps_the_judgement_of_its_round(
    fork_server: Launcher,
) -> None:
    journal: list[events.Event] = []

    class Interrupted:
        def append(self, event: events.Event) -> None:
            journal.append(event)
            if isinstance(event, events.Visited) and len(journal) > 12:
                raise KeyboardInterrupt

    target = cell("works")
    run(plan(target, rounds=50), fork_server, begin=lambda _: Interrupted()).measure()
    visits = {event.round_index for event in journal if isinstance(event, events.Visited)}
    judged = {event.round_index for event in journal if isinstance(event, events.RoundEnded)}
    assert visits == judged


def test_no_visit_begins_before_the_events_until_then_are_stored(
    fork_server: Launcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that the death of this process loses at most one visit."""
    monkeypatch.setattr(wave, "STRETCH_S", 0.0)  # each round is judged by itself
    journal: list[events.Event] = []
    known: list[tuple[int, int, int]] = []
    request = WorkerProcess.request

    class Recorder:
        def append(self, event: events.Event) -> None:
            journal.append(event)

    def spied(worker: WorkerProcess, asked: Request[object], *, limit_s: float) -> object:
        if isinstance(asked, Measure):
            kinds = [type(event) for event in journal]
            stored = (events.Allotted, events.Visited, events.RoundEnded)
            known.append(tuple(map(kinds.count, stored)))  # type: ignore[arg-type]
        return request(worker, asked, limit_s=limit_s)

    monkeypatch.setattr(WorkerProcess, "request", spied)
    run(plan(cell("works"), rounds=3), fork_server, begin=lambda _: Recorder()).measure()
    assert known == [(1, visit, visit // 2) for visit in range(6)]  # two workers
