import os
import signal
from dataclasses import replace

import pytest

from bench.engine.launch import ForkServer, Launcher
from bench.names import RequestError
from bench.records import events
from bench.records.outcome import Outcome
from tests.bench.engine.running import Clock, Watcher, cell, plan, record_of, run, visited


def test_an_interrupt_keeps_what_was_measured(fork_server: Launcher) -> None:
    class Interrupts(Watcher):
        def advance(self, what: str) -> None:
            super().advance(what)
            if self.phases[-1][0].endswith("measuring") and len(self.advances[-1]) == 3:
                raise KeyboardInterrupt

    found = cell("works")
    outcome = run(plan(found, rounds=50), fork_server, Interrupts()).measure()
    assert outcome.status == "interrupted"
    outcome_visits = visited(outcome, found) + visited(outcome, replace(found, control=True))
    assert len(outcome_visits) == 3


def test_an_interrupt_before_the_first_visit_is_passed_on(fork_server: Launcher) -> None:
    class Interrupts(Watcher):
        def phase(self, name: str, total: int) -> None:
            super().phase(name, total)
            if name.endswith("warming up"):
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(plan(cell("works")), fork_server, Interrupts()).measure()


def test_resuming_measures_only_what_is_missing(fork_server: Launcher) -> None:
    first, second = cell("works"), cell("prints", batch_size=2)
    told: list[events.Event] = []

    class Keeps:
        def append(self, event: events.Event) -> None:
            told.append(event)

    whole = plan(first, second, sets=2)
    run(whole, fork_server, begin=lambda _: Keeps()).measure()
    # As a kill in the last wave's second round would have left it.
    last = max(i for i, event in enumerate(told) if isinstance(event, events.WaveBegan))
    visits = [i for i, event in enumerate(told) if i > last and isinstance(event, events.Visited)]
    cut = told[: visits[2]]
    resumed = Outcome.from_events(cut)
    before = record_of(resumed, first).visits
    outcome = run(whole, fork_server, resumed=resumed).measure()
    assert outcome.status == "complete"
    assert record_of(outcome, first).visits == before
    assert visited(outcome, second) == [(s, r) for s in range(2) for r in range(3)]
    assert any("resumed" in note for note in outcome.notes)


def test_a_set_that_was_added_is_resumed_too(fork_server: Launcher) -> None:
    first, second = cell("works"), cell("prints")
    told: list[events.Event] = []

    class Keeps:
        def append(self, event: events.Event) -> None:
            told.append(event)

    # There is time for one set more than is asked for.
    imprecise = plan(first, second, precision=1e-12, extra_s=20.0)
    clock = Clock()
    run(imprecise, fork_server, clock, now=clock.now, begin=lambda _: Keeps()).measure()
    last = max(i for i, event in enumerate(told) if isinstance(event, events.WaveBegan))
    resumed, later = Outcome.from_events(told[: last + 1]), Clock()
    outcome = run(imprecise, fork_server, later, now=later.now, resumed=resumed).measure()
    assert set(visited(outcome, second)) >= {(s, r) for s in range(2) for r in range(3)}


def test_another_plan_is_not_resumed(fork_server: Launcher) -> None:
    found = cell("works")
    begun = run(plan(found), fork_server).measure()
    with pytest.raises(RequestError, match="rounds is 4 where the run was begun with 3"):
        run(plan(found, rounds=4), fork_server, resumed=begun)


def test_another_environment_is_not_resumed(fork_server: Launcher) -> None:
    found = cell("works")
    begun = run(plan(found), fork_server).measure()
    begun.environment["torch"] = "1.0"
    with pytest.raises(RequestError, match=r"torch is .* where the run was begun with '1.0'"):
        run(plan(found), fork_server, resumed=begun).measure()


def test_a_fork_server_s_death_is_no_cell_s_failure_and_keeps_what_was_measured() -> None:
    with ForkServer(os.environ) as server:

        class Kills(Watcher):
            def advance(self, what: str) -> None:
                super().advance(what)
                if self.phases[-1][0].endswith("measuring") and len(self.advances[-1]) == 4:
                    os.kill(server.pids[-1], signal.SIGKILL)

        found, watcher = cell("works"), Kills()
        outcome = run(plan(found, rounds=50), server, watcher).measure()
    assert outcome.status == "interrupted"
    assert not outcome.failures
    assert not watcher.failures
    assert 2 <= len(visited(outcome, found)) < 50
    assert ["was killed by SIGKILL" in note for note in outcome.notes] == [True]
