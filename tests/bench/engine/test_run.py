import math
import os
import random
import subprocess
import sys
import time
from dataclasses import replace
from itertools import count, pairwise

import pytest

from bench import stats
from bench.engine.local import rounds_per_set, wave
from bench.engine.local.visit_policy import SHORT
from bench.launch import timeouts
from bench.launch.launchers import Launcher
from bench.records import events
from bench.records.outcome import Outcome
from bench.records.record import Failure
from bench.report import notes
from tests.bench.broken import CALLS_OF_WARMING_UP
from tests.bench.engine.running import Busy, Clock, Watcher, cell, plan, record_of, run, visited

ROUNDED_S = 1e-6  # times are stored in microseconds
CLOCKS_S = 1e-3  # starts and lengths come from two clocks


def assert_one_visit_at_a_time(outcome: Outcome, before_s: float, after_s: float) -> None:
    """Check the recorded times: within the run, around the iterations, and without overlaps."""
    visits = [visit for record in outcome.records() for visit in record.visits]
    visits += [visit for control in outcome.controls() for visit in control.visits]
    times = [visit.time for visit in visits if visit.time]
    assert len(times) == len(visits) > 0
    for visit, at in zip(visits, times, strict=True):
        timed_s = sum(visit.host_s) + sum(visit.disturbed_s or ())
        assert 0 < at.dropped_s + timed_s <= at.wall_s + ROUNDED_S
    in_order = sorted(times, key=lambda at: at.start_s)
    assert before_s <= in_order[0].start_s + ROUNDED_S
    assert in_order[-1].start_s <= after_s
    for earlier, later in pairwise(in_order):
        assert earlier.start_s + earlier.wall_s <= later.start_s + CLOCKS_S


def test_every_cell_is_visited_in_every_round_of_every_set(fork_server: Launcher) -> None:
    first, second = cell("works"), cell("works", batch_size=2)
    before_s = time.time()
    outcome = run(plan(first, second, sets=2), fork_server).measure()
    assert_one_visit_at_a_time(outcome, before_s, time.time())
    expected = [(s, r) for s in range(2) for r in range(3)]
    assert visited(outcome, first) == visited(outcome, second) == expected
    assert outcome.status == "complete"
    assert len(record_of(outcome, first).setups) == 2
    assert outcome.environment.device == "cpu"
    assert set(outcome.phases_s) == {
        "importing",
        "counting",
        "compiling",
        "preparing",
        "warming up",
        "measuring",
        "idling",
        "finishing",
    }


class Servers(Watcher):
    """A progress observer that records the launcher's processes at each measurement of a set."""

    def __init__(self, launcher: Launcher) -> None:
        super().__init__()
        self.launcher = launcher
        self.pids: list[frozenset[int]] = []

    def phase(self, name: str, total: int) -> None:
        super().phase(name, total)
        if name.endswith("measuring"):
            self.pids.append(frozenset(self.launcher.pids) - {os.getpid()})


def test_each_set_has_its_own_server_which_its_groups_share(fork_server: Launcher) -> None:
    servers = Servers(fork_server)
    run(plan(cell("works"), cell("works", batch_size=2), sets=2), fork_server, servers).measure()
    first, same, second, other = servers.pids
    assert first == same
    assert second == other
    assert first.isdisjoint(second)


def test_the_first_iteration_of_a_visit_is_dropped(fork_server: Launcher) -> None:
    target, journal = cell("slow"), list[events.Event]()

    class Recorder:
        def append(self, event: events.Event) -> None:
            journal.append(event)

    outcome = run(plan(target, rounds=1), fork_server, begin=lambda _: Recorder()).measure()
    (visit,) = record_of(outcome, target).visits
    (first, *_) = [event for event in journal if isinstance(event, events.Visited)]
    # An iteration takes at least 50 ms, and more on a loaded machine.
    assert min(first.dropped_s, *visit.host_s) >= 0.05
    assert 1 <= len(visit.host_s) <= max(1, SHORT.visit_s // 0.05)


def test_slow_and_fast_iterations_of_an_alternating_network_are_both_timed(
    fork_server: Launcher,
) -> None:
    target = cell("limps")
    journal = list[events.Event]()

    class Recorder:
        def append(self, event: events.Event) -> None:
            journal.append(event)

    visits = record_of(
        run(plan(target, rounds=20), fork_server, begin=lambda _: Recorder()).measure(), target
    ).visits
    timed = [host_s for visit in visits for host_s in visit.host_s]
    assert len(timed) == 20
    assert min(timed) < 0.04 <= max(timed)
    # Each visit drops one iteration of 0.02 or 0.04 s, and some visits drop two.
    dropped = [event.dropped_s for event in journal if isinstance(event, events.Visited)]
    assert any(dropped_s >= 0.06 for dropped_s in dropped)
    assert all(dropped_s >= 0.02 for dropped_s in dropped)


def test_the_order_in_a_round_depends_on_the_seed(fork_server: Launcher) -> None:
    cells = [cell("works"), cell("prints"), cell("drops_out")]
    watcher = Watcher()
    run(plan(*cells, rounds=4), fork_server, watcher).measure()
    request = plan(*cells)
    live = [cells[0], replace(cells[0], control=True), *cells[1:]]
    expected: list[str] = []
    for round_index in range(4):
        order = list(live)
        # Each round has its own seed, so that a resumed run draws the same orders.
        random.Random(repr((request.seed, cells[0].group, 0, 0, round_index))).shuffle(order)
        expected += [member.id for member in order]
    assert watcher.phases[-1][0] == "set 1: measuring"
    assert watcher.advances[-1] == expected
    assert expected[:4] != expected[4:8] or expected[4:8] != expected[8:12]


def test_the_orders_of_starting_and_warming_up_depend_on_the_seed(
    fork_server: Launcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "bench.machine.memory_budget.physical_cores", lambda: 1
    )  # so that workers start one after the other
    cells = [cell("works"), cell("prints"), cell("drops_out")]
    group = [cells[0], replace(cells[0], control=True), *cells[1:]]
    request, journal = plan(*cells, sets=4, rounds=1), list[events.Event]()

    class Recorder:
        def append(self, event: events.Event) -> None:
            journal.append(event)

    def random_order(set_index: int, what: str) -> list[str]:
        order = list(group)
        random.Random(repr((request.seed, group[0].group, set_index, 0, what))).shuffle(order)
        return [member.id for member in order]

    def orders(watcher: Watcher, phase: str) -> list[list[str]]:
        phases = zip(watcher.phases, watcher.advances, strict=True)
        return [order for (name, _), order in phases if name.endswith(phase)]

    watcher = Watcher()
    run(request, fork_server, watcher, begin=lambda _: Recorder()).measure()
    # In the first set it is unknown whether memory holds the wave: it starts with the anchors.
    starts = [
        [member.id for member in group],
        *(random_order(index, "starting") for index in (1, 2, 3)),
    ]
    warm_ups = [random_order(index, "warming up") for index in range(4)]
    assert orders(watcher, "compiling and checking") == starts
    assert orders(watcher, "warming up") == warm_ups
    assert len(set(map(tuple, starts + warm_ups))) > 4
    # A run that is resumed from its third set has the same orders.
    (_, _, third, _) = (i for i, event in enumerate(journal) if isinstance(event, events.WaveBegan))
    later = Watcher()
    run(request, fork_server, later, resumed=Outcome.from_events(journal[: third + 1])).measure()
    assert orders(later, "compiling and checking") == starts[2:]
    assert orders(later, "warming up") == warm_ups[2:]


def test_a_recompilation_during_the_rounds_fails_the_cell_and_keeps_its_samples(
    fork_server: Launcher,
) -> None:
    works, recompiles = cell("works"), cell("recompiles")
    outcome = run(plan(works, recompiles, sets=2, rounds=6), fork_server).measure()
    record = record_of(outcome, recompiles)
    assert record.failure == Failure(
        kind="recompiled",
        message="it compiled 2 more graphs during the rounds, so that they timed more than one "
        "program",
        phase="measuring",
        set_index=0,
    )
    assert visited(outcome, recompiles) == [(0, index) for index in range(6)]
    assert not record.has_figures
    assert record.setups[0].recompiled_graphs == 2
    assert record_of(outcome, works).has_figures
    assert len(visited(outcome, works)) == 12


@pytest.mark.parametrize(
    ("factory", "task"), [("answers_wrongly_later", "infer"), ("diverges", "train")]
)
def test_a_wrong_answer_after_the_rounds_fails_the_cell_and_keeps_its_samples(
    fork_server: Launcher, factory: str, task: str
) -> None:
    works, fails = (replace(cell(name), task=task, batch_size=2) for name in ("works", factory))
    rounds = CALLS_OF_WARMING_UP // 3  # a visit makes at least three calls
    outcome = run(plan(works, fails, sets=2, rounds=rounds), fork_server).measure()
    record = record_of(outcome, fails)
    assert record.failure is not None
    assert (record.failure.kind, record.failure.phase) == ("wrong_answer", "measuring")
    assert record.failure.message.startswith("after the rounds the ")
    assert visited(outcome, fails) == [(0, index) for index in range(rounds)]
    assert not record.has_figures
    assert record_of(outcome, works).has_figures
    assert len(visited(outcome, works)) == 2 * rounds


def test_a_failing_worker_affects_only_its_own_cell(
    fork_server: Launcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timeouts, "GRACE_S", 5.0)
    broken = {
        "raises_when_called": ("error", "preparing"),
        "answers_wrongly": ("wrong_answer", "preparing"),
        "needs_a_petabyte": ("out_of_memory", "preparing"),
        "raises_when_warmed_up": ("error", "warming up"),
        "is_killed": ("died", "measuring"),
        "hangs": ("timeout", "measuring"),
    }
    cells = [cell("works"), *(cell(factory) for factory in broken), cell("prints")]
    watcher = Watcher()
    # A visit makes at least three calls, so in the last round the failing workers are past the
    # calls of warming up.
    rounds_needed = CALLS_OF_WARMING_UP // 3
    outcome = run(plan(*cells, sets=2, rounds=rounds_needed), fork_server, watcher).measure()
    failures = {name: (failure.kind, failure.phase) for name, failure in watcher.failures.items()}
    assert failures == broken
    visits = [(s, r) for s in range(2) for r in range(rounds_needed)]
    assert visited(outcome, cells[-1]) == visits
    # The reference was also visited in the wave in which the cell without memory was tried again.
    assert visited(outcome, cells[0]) == [*visits[:rounds_needed], *visits]
    assert {record.cell for record in outcome.records() if record.failure} == set(cells[1:-1])
    # A failed cell keeps its visits and is not measured in the second set.
    assert all(set_index == 0 for set_index, _ in visited(outcome, cell("is_killed")))


def test_no_round_begins_after_the_budget_is_used_up(fork_server: Launcher) -> None:
    # The clock advances by a second at each reading, so that the budget ends during the rounds.
    seconds = iter(range(10_000))
    target = cell("works")
    outcome = run(
        plan(target, sets=5, rounds=50, budget_s=40.0),
        fork_server,
        now=lambda: float(next(seconds)),
    ).measure()
    assert outcome.status == "over_budget"
    assert 1 <= len(visited(outcome, target)) < 50
    assert len(record_of(outcome, target).setups) == 1


def test_a_run_with_enough_sets_is_complete_even_if_its_budget_is_used_up(
    fork_server: Launcher,
) -> None:
    class Watched(Watcher):
        """A clock that advances by a hundred seconds with the last visit."""

        def now(self) -> float:
            name, total = self.phases[-1] if self.phases else ("", 0)
            done = name.endswith("measuring") and len(self.advances[-1]) == 2 * total
            return 100.0 if done else 0.0

    target, watched = cell("works"), Watched()
    request = plan(target, precision=1.0, budget_s=50.0)
    outcome = run(request, fork_server, watched, now=watched.now).measure()
    assert visited(outcome, target) == [(0, 0), (0, 1), (0, 2)]
    assert outcome.status == "complete"


def test_the_number_of_rounds_is_computed_if_the_plan_has_none(
    fork_server: Launcher,
) -> None:
    target = cell("works")
    outcome = run(plan(target, rounds=None, sets=2), fork_server).measure()
    rounds = outcome.allotted[target.group]
    assert rounds_per_set.MIN_ROUNDS <= rounds <= rounds_per_set.MAX_ROUNDS
    assert outcome.run_record().allotted == {target.group: rounds}
    assert visited(outcome, target) == [(s, r) for s in range(2) for r in range(rounds)]


def test_a_wave_without_live_workers_allots_no_rounds(fork_server: Launcher) -> None:
    target = cell("raises_when_warmed_up")
    outcome = run(plan(target, rounds=None), fork_server).measure()
    assert outcome.failures[target.id].phase == "warming up"
    assert outcome.allotted == {}


@pytest.mark.parametrize(
    ("rounds", "round_s", "expected"),
    [(40, 0.25, 4), (5, 0.25, 5), (6, 0.25, 4), (40, 0.3, 4), (40, 5.0, 1), (2, 5.0, 1)],
)
def test_a_stretch_lasts_about_a_second(rounds: int, round_s: float, expected: int) -> None:
    assert wave.stretch(rounds, round_s) == expected


def test_rounds_that_are_judged_together_are_voided_together(fork_server: Launcher) -> None:
    target, watcher = cell("works"), Watcher()
    outcome = run(plan(target), fork_server, watcher, meter=Busy([True, False])).measure()
    visits = record_of(outcome, target).visits
    assert [visit.voided for visit in visits] == [True] * 3 + [False] * 3
    why = "other processes use 0.95 CPUs, allowed 0.15"
    assert watcher.judgements == [(3, 3, why), (3, 6, "")]
    assert (watcher.phases[-1][1], watcher.completed[-1]) == (3, 3)  # only valid rounds count
    rounds = outcome.rounds
    assert {item.foreign_cpus for item in rounds if item.voided} == {0.95}


def test_a_round_under_foreign_load_is_voided_and_measured_again(
    fork_server: Launcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wave, "STRETCH_S", 0.0)  # so that each round is judged by itself
    target, watcher = cell("works"), Watcher()
    busy = Busy([False, True, False, True, True, False])
    outcome = run(plan(target), fork_server, watcher, meter=busy).measure()
    control = replace(target, control=True)
    for member in (target, control):
        visits = record_of(outcome, member).visits
        assert [visit.voided for visit in visits] == [False, True, False, True, True, False]
        assert len(list(record_of(outcome, member).valid)) == 3
    assert [voided for voided, _, _ in watcher.judgements] == [0, 1, 1, 2, 3, 3]
    assert [bool(why) for _, _, why in watcher.judgements] == [0, 1, 0, 1, 1, 0]
    assert (watcher.phases[-1][1], watcher.completed[-1]) == (3, 3)
    rounds = outcome.rounds
    assert [item.foreign_cpus > 0.15 for item in rounds] == [item.voided for item in rounds]


def test_a_machine_that_is_always_busy_gives_no_figures(fork_server: Launcher) -> None:
    target, watcher = cell("works"), Watcher()
    request = plan(target, sets=3)
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as rival:
        try:
            outcome = run(request, fork_server, watcher, meter=Busy([True] * 6)).measure()
        finally:
            rival.kill()
    assert len(visited(outcome, target)) == wave.MAX_ATTEMPTS * 3  # in the first set
    assert not record_of(outcome, target).has_figures
    assert outcome.status == "stopped_early"
    (sentence,) = watcher.notes
    assert "all 6 rounds of set 1 were voided: other processes use 0.95 CPUs" in sentence
    assert f"process {rival.pid} (" in sentence
    assert not any(f"process {pid} (" in sentence for pid in fork_server.pids)
    assert (watcher.phases[-1][1], watcher.completed[-1]) == (3, 0)


def test_sets_are_added_until_the_ratios_are_precise(fork_server: Launcher) -> None:
    first, second = cell("works"), cell("prints")
    loose = plan(first, second, sets=2, precision=math.inf, extra_s=1e9)
    assert len(record_of(run(loose, fork_server).measure(), second).setups) == 2
    # No ratio is ever this precise, so sets are added as long as there is time. The clock advances
    # by a second at each reading, so that there is time for several sets.
    seconds = count()
    strict = plan(first, second, sets=2, precision=1e-12, extra_s=150.0)
    outcome = run(strict, fork_server, now=lambda: float(next(seconds))).measure()
    assert len(record_of(outcome, second).setups) > 2
    assert outcome.status == "complete"


def test_no_set_is_added_if_the_reference_has_failed(fork_server: Launcher) -> None:
    failed, works, clock = cell("raises_when_called"), cell("works"), Clock()
    outcome = run(plan(failed, works, extra_s=100.0), fork_server, clock, now=clock.now).measure()
    assert set(outcome.failures) == {failed.id, replace(failed, control=True).id}
    assert len(record_of(outcome, works).setups) == 1
    assert outcome.status == "complete"


def test_no_set_is_added_if_there_is_no_time_for_it(fork_server: Launcher) -> None:
    cells, clock = [cell("works"), cell("works", batch_size=2)], Clock()
    # Two sets of both groups take 40 s; then there is time for a third set of one group.
    imprecise = plan(*cells, precision=1e-12, extra_s=50.0)
    outcome = run(imprecise, fork_server, clock, now=clock.now).measure()
    assert [len(record_of(outcome, member).setups) for member in cells] == [3, 2]


def test_each_set_runs_on_one_device_and_devices_take_turns(fork_server: Launcher) -> None:
    first, second = cell("works"), cell("prints")
    devices = ("cpu", "cpu:0")  # two names of the same device
    outcome = run(plan(first, second, sets=3, devices=devices), fork_server).measure()
    for member in (first, second, replace(first, control=True)):
        measured_on = [setup.device for setup in record_of(outcome, member).setups]
        assert measured_on == ["cpu", "cpu:0", "cpu"]
        assert record_of(outcome, member).has_figures
    assert outcome.environment.device == "cpu"
    (note,) = notes._devices(outcome.run_record())
    assert "2 devices of the same model in turn: cpu sets 1, 3; cpu:0 set 2." in note


@pytest.mark.gpu
def test_on_a_gpu_each_visit_has_a_back_to_back_block(fork_server: Launcher) -> None:
    target = replace(cell("works"), device="cuda")
    outcome = run(plan(target, sets=2), fork_server).measure()
    record = record_of(outcome, target)
    assert not outcome.failures
    assert all(visit.back_to_back for visit in record.visits)
    assert stats.busy_share(record).sets == 2
    assert all((setup.device_free_bytes or 0) > 0 for setup in record.setups)
