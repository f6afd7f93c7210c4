import math
import os
import random
import re
import signal
from collections.abc import Iterable
from dataclasses import replace
from itertools import count
from typing import Any

import psutil
import pytest

from bench import stats
from bench.cells.cell import Cell
from bench.cells.plan import Plan
from bench.engine import limits, wave
from bench.engine.fit import RESOLUTION
from bench.engine.launch import ForkServer, Launcher
from bench.engine.process import WorkerError
from bench.engine.run import Run
from bench.engine.visiting import VISIT_S
from bench.machine.load import Reading
from bench.names import RequestError
from bench.records import events
from bench.records.outcome import Outcome
from bench.records.record import Failure
from bench.report import trust
from bench.report.roofline import KINDS
from tests.bench.broken import CALLS_OF_WARMING_UP, MIB_AN_IMAGE


class Watcher:
    """A progress that remembers what it was told."""

    def __init__(self) -> None:
        self.phases: list[tuple[str, int]] = []
        self.advances: list[list[str]] = []
        self.failures: dict[str, Failure] = {}
        self.extended: list[tuple[int, str]] = []
        self.notes: list[str] = []

    def phase(self, name: str, total: int) -> None:
        self.phases.append((name, total))
        self.advances.append([])

    def advance(self, what: str) -> None:
        self.advances[-1].append(what)

    def more(self, steps: int, why: str) -> None:
        self.extended.append((steps, why))

    def note(self, what: str) -> None:
        self.notes.append(what)

    def failed(self, cell: Cell, failure: Failure) -> None:
        self.failures[cell.arch.partition(":")[2]] = failure


class Quiet:
    """A machine on which nothing else runs, whatever runs on this one."""

    def read(self, pids: Iterable[int]) -> Reading:
        return Reading(at_s=0.0, busy_s=0.0, own_s=dict.fromkeys(pids, 0.0))


class Busy:
    """A machine on which others keep a CPU busy in the rounds told."""

    def __init__(self, busy: Iterable[bool]) -> None:
        self._busy = iter(busy)
        self._at_s = 0.0
        self._busy_s = 0.0
        self._begun = False

    def read(self, pids: Iterable[int]) -> Reading:
        del pids
        if self._begun:
            self._at_s += 1.0
            self._busy_s += 1.0 if next(self._busy) else 0.0
        self._begun = not self._begun
        return Reading(at_s=self._at_s, busy_s=self._busy_s, own_s={})


def cell(factory: str, batch_size: int = 1) -> Cell:
    return Cell(
        arch=f"tests.bench.broken:{factory}",
        mode="eager",
        dtype="fp32",
        batch_size=batch_size,
        task="infer",
        device="cpu",
    )


def plan(*cells: Cell, sets: int = 1, rounds: int = 3, **given: Any) -> Plan:
    """A plan that adds no sets for precision."""
    return Plan(
        cells=cells,
        **{
            "sets": sets,
            "rounds": rounds,
            "precision": 0.02,
            "extra_s": 0.0,
            "budget_s": None,
            "seed": 5,
            "image_size": 32,
            **given,
        },
    )


def run(found: Plan, launcher: Launcher, watcher: Watcher | None = None, **given: Any) -> Run:
    return Run(found, launcher, watcher or Watcher(), **{"meter": Quiet(), **given})


def record_of(outcome: Outcome, found: Cell) -> Any:
    records = {record.cell: record for record in (*outcome.records(), *outcome.controls())}
    return records[found]


def visited(outcome: Outcome, found: Cell) -> list[tuple[int, int]]:
    return [(v.set_index, v.round_index) for v in record_of(outcome, found).visits]


def test_every_cell_is_visited_in_every_round_of_every_set(fork_server: Launcher) -> None:
    first, second = cell("works"), cell("works", batch_size=2)
    outcome = run(plan(first, second, sets=2), fork_server).measure()
    expected = [(s, r) for s in range(2) for r in range(3)]
    assert visited(outcome, first) == visited(outcome, second) == expected
    assert outcome.status == "complete"
    assert len(record_of(outcome, first).setups) == 2
    assert outcome.environment["device"] == "cpu"
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
    """A progress that remembers which processes of ours there were when a set measured."""

    def __init__(self, launcher: Launcher) -> None:
        super().__init__()
        self.launcher = launcher
        self.pids: list[frozenset[int]] = []

    def phase(self, name: str, total: int) -> None:
        super().phase(name, total)
        if name.endswith("measuring"):
            self.pids.append(frozenset(self.launcher.pids) - {os.getpid()})


def test_each_set_has_a_server_of_its_own_and_its_groups_share_it(fork_server: Launcher) -> None:
    servers = Servers(fork_server)
    run(plan(cell("works"), cell("works", batch_size=2), sets=2), fork_server, servers).measure()
    first, same, second, other = servers.pids
    assert first == same
    assert second == other
    assert first.isdisjoint(second)


def test_a_cost_is_counted_for_one_image_whatever_the_batch(fork_server: Launcher) -> None:
    found = cell("works", batch_size=4)
    outcome = run(plan(found), fork_server).measure()
    cost = outcome.records()[0].cost
    assert cost["params"] == (3 * 9 * 8 + 8) + 2 * 8 + (8 * 1000 + 1000)
    assert cost["macs_per_image"] == 4 * 4 * 8 * 3 * 9 + 8 * 1000  # 32 pixels, stride 8
    assert cost["activations_per_image"] == 4 * 4 * 8 + 1000


def test_the_first_iteration_of_a_visit_is_dropped(fork_server: Launcher) -> None:
    found, told = cell("slow"), list[events.Event]()

    class Keeps:
        def append(self, event: events.Event) -> None:
            told.append(event)

    outcome = run(plan(found, rounds=1), fork_server, begin=lambda _: Keeps()).measure()
    (visit,) = record_of(outcome, found).visits
    (first, *_) = [event for event in told if isinstance(event, events.Visited)]
    # An iteration takes 50 ms and a little, on a loaded machine a little more.
    assert min(first.dropped_s, *visit.host_s) >= 0.05
    assert 1 <= len(visit.host_s) <= VISIT_S // 0.05


def test_the_order_in_a_round_is_the_seed_s(fork_server: Launcher) -> None:
    cells = [cell("works"), cell("prints"), cell("drops_out")]
    watcher = Watcher()
    run(plan(*cells, rounds=4), fork_server, watcher).measure()
    found = plan(*cells)
    live = [cells[0], replace(cells[0], control=True), *cells[1:]]
    expected: list[str] = []
    for round_index in range(4):
        order = list(live)
        # Of each round by itself, so that a run that was cut off goes on as it would have.
        random.Random(repr((found.seed, cells[0].group, 0, 0, round_index))).shuffle(order)
        expected += [one.id for one in order]
    assert watcher.phases[-1][0] == "set 1: measuring"
    assert watcher.advances[-1] == expected
    assert expected[:4] != expected[4:8] or expected[4:8] != expected[8:12]


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
    assert record.setups[0]["recompiled_graphs"] == 2
    assert record_of(outcome, works).has_figures
    assert len(visited(outcome, works)) == 12


def test_a_failing_worker_costs_its_own_cell_alone(
    fork_server: Launcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "GRACE_S", 5.0)
    broken = {
        "raises_when_built": ("error", "preparing"),
        "answers_wrongly": ("wrong_answer", "preparing"),
        "needs_a_petabyte": ("out_of_memory", "preparing"),
        "raises_when_warmed_up": ("error", "warming up"),
        "is_killed": ("died", "measuring"),
        "hangs": ("timeout", "measuring"),
    }
    cells = [cell("works"), *(cell(factory) for factory in broken), cell("prints")]
    watcher = Watcher()
    # Three calls a visit at the least: by then the killed and the hanging one are past warming up.
    rounds_needed = CALLS_OF_WARMING_UP // 3
    outcome = run(plan(*cells, sets=2, rounds=rounds_needed), fork_server, watcher).measure()
    told = {name: (failure.kind, failure.phase) for name, failure in watcher.failures.items()}
    assert told == broken
    whole = [(s, r) for s in range(2) for r in range(rounds_needed)]
    assert visited(outcome, cells[-1]) == whole
    # The first is what others are compared with: it was there too when memory was tried again.
    assert visited(outcome, cells[0]) == [*whole[:rounds_needed], *whole]
    assert {record.cell for record in outcome.records() if record.failure} == set(cells[1:-1])
    # What was measured of a cell before it failed is kept, and it is not tried again.
    assert all(set_index == 0 for set_index, _ in visited(outcome, cell("is_killed")))


def test_a_cost_that_cannot_be_counted_costs_no_timing(fork_server: Launcher) -> None:
    found = cell("raises_when_warmed_up")  # its fourth call is not counting's, which makes two
    outcome = run(plan(cell("works"), found), fork_server).measure()
    assert outcome.costs[found.arch, False]["params"] > 0
    broken = cell("needs_a_petabyte")
    outcome = run(plan(cell("works"), broken), fork_server).measure()
    assert "out of memory" in outcome.costs[broken.arch, False]["error"]
    assert record_of(outcome, cell("works")).visits


def test_a_ceiling_is_measured_once_for_each_dtype(fork_server: Launcher) -> None:
    found, watcher = cell("works"), Watcher()
    outcome = run(plan(found, ceiling=True), fork_server, watcher).measure()
    facts = outcome.run_record().ceilings["fp32"]
    assert {probe["kind"] for probe in facts["probes"]} == set(KINDS)
    assert min(probe["mac_per_s"] for probe in facts["probes"]) > 0
    assert facts["bytes_per_s"] > 0
    assert facts["threads"] == outcome.environment["threads"]
    assert ("measuring the ceiling", 1) in watcher.phases
    assert outcome.phases_s["measuring the ceiling"] > 0
    assert not outcome.notes
    # What is known is not measured again.
    resumed = run(plan(found, ceiling=True), fork_server, watcher, resumed=outcome).measure()
    assert resumed.ceilings == {"fp32": facts}
    assert watcher.phases.count(("measuring the ceiling", 1)) == 1


def test_a_ceiling_that_kills_its_worker_is_a_note() -> None:
    with ForkServer(os.environ) as server:

        class Kills(Watcher):
            def phase(self, name: str, total: int) -> None:
                super().phase(name, total)
                if name == "measuring the ceiling":
                    (clerk,) = psutil.Process(server.pids[-1]).children()
                    clerk.kill()

        found, watcher = cell("works"), Kills()
        outcome = run(plan(found, ceiling=True), server, watcher).measure()
    assert outcome.status == "complete"
    assert record_of(outcome, found).has_figures
    assert "was killed by SIGKILL" in outcome.ceilings["fp32"]["error"]
    assert outcome.notes == watcher.notes
    assert [note.startswith("The ceiling of fp32 is not known: ") for note in outcome.notes] == [
        True
    ]


def test_a_wrong_arch_ends_the_run_before_anything_is_measured(fork_server: Launcher) -> None:
    with pytest.raises(WorkerError, match="cannot take 'nothing'") as caught:
        run(plan(cell("works"), cell("nothing")), fork_server).measure()
    assert caught.value.kind == "request"


def test_no_round_begins_after_the_budget(fork_server: Launcher) -> None:
    # A clock that moves a second each time it is read: two rounds fit, then it is too late.
    seconds = iter(range(10_000))
    found = cell("works")
    outcome = run(
        plan(found, sets=5, rounds=50, budget_s=40.0),
        fork_server,
        now=lambda: float(next(seconds)),
    ).measure()
    assert outcome.status == "over_budget"
    assert 1 <= len(visited(outcome, found)) < 50
    assert len(record_of(outcome, found).setups) == 1


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


def test_a_round_under_foreign_load_is_voided_whole_and_measured_again(
    fork_server: Launcher,
) -> None:
    found, watcher = cell("works"), Watcher()
    busy = Busy([False, True, False, True, True, False])
    outcome = run(plan(found), fork_server, watcher, meter=busy).measure()
    control = replace(found, control=True)
    for one in (found, control):
        visits = record_of(outcome, one).visits
        assert [visit.voided for visit in visits] == [False, True, False, True, True, False]
        assert len(list(record_of(outcome, one).valid)) == 3
    assert [steps for steps, _ in watcher.extended] == [2, 2, 2]
    (rounds,) = outcome.rounds.values()
    assert [found.foreign_cpus > 0.15 for found in rounds] == [found.voided for found in rounds]


def test_a_machine_that_is_never_quiet_gives_no_figures(fork_server: Launcher) -> None:
    found = cell("works")
    outcome = run(plan(found), fork_server, meter=Busy([True] * 6)).measure()
    assert len(visited(outcome, found)) == wave.MOST_ATTEMPTS * 3
    assert not record_of(outcome, found).has_figures


def test_sets_are_added_until_the_ratios_are_precise(fork_server: Launcher) -> None:
    first, second = cell("works"), cell("prints")
    loose = plan(first, second, sets=2, precision=math.inf, extra_s=1e9)
    assert len(record_of(run(loose, fork_server).measure(), second).setups) == 2
    # No ratio is ever this precise: sets are added for as long as there is time. A clock that moves
    # a second at each reading makes that a number of sets.
    seconds = count()
    strict = plan(first, second, sets=2, precision=1e-12, extra_s=60.0)
    outcome = run(strict, fork_server, now=lambda: float(next(seconds))).measure()
    assert len(record_of(outcome, second).setups) > 2
    assert outcome.status == "complete"


class Clock(Watcher):
    """Time passes with each group's set alone, ten seconds."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 1000.0

    def now(self) -> float:
        return self.now_s

    def phase(self, name: str, total: int) -> None:
        super().phase(name, total)
        if name.endswith("measuring"):
            self.now_s += 10.0


def test_no_set_is_added_that_time_has_no_room_for(fork_server: Launcher) -> None:
    cells, clock = [cell("works"), cell("works", batch_size=2)], Clock()
    # Two sets of both groups take 40 s; of a third there is time for the first group's.
    imprecise = plan(*cells, precision=1e-12, extra_s=50.0)
    outcome = run(imprecise, fork_server, clock, now=clock.now).measure()
    assert [len(record_of(outcome, one).setups) for one in cells] == [3, 2]


def test_memory_bounds_how_many_are_alive_together(fork_server: Launcher) -> None:
    cells = [cell(name) for name in ("works", "prints", "drops_out", "slow")]
    watcher = Watcher()
    # Less than any two workers hold: each wave is the reference, its control, and one more.
    limited = plan(*cells, sets=2, rounds=2, memory_bytes=1)
    outcome = run(limited, fork_server, watcher).measure()
    assert [wave.own for wave in outcome.waves[cells[0].group]] == [(one,) for one in cells[1:]]
    for one in cells[1:]:
        assert visited(outcome, one) == [(s, r) for s in range(2) for r in range(2)]
    assert len(visited(outcome, cells[0])) == 3 * 2 * 2
    assert not outcome.failures
    assert any("measured in 3 waves" in note for note in watcher.notes)
    assert outcome.notes == watcher.notes


def test_running_out_of_memory_makes_the_wave_smaller(fork_server: Launcher) -> None:
    cells = [cell("works"), cell("needs_much"), cell("needs_much_too")]
    watcher = Watcher()
    outcome = run(plan(*cells, sets=2, rounds=2), fork_server, watcher).measure()
    assert not outcome.failures
    assert [wave.own for wave in outcome.waves[cells[0].group]] == [(cells[1],), (cells[2],)]
    for one in cells[1:]:
        assert visited(outcome, one) == [(s, r) for s in range(2) for r in range(2)]
    assert any("ran out" in note for note in outcome.notes)


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
    resumed = Outcome.of(cut)
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
    resumed, later = Outcome.of(told[: last + 1]), Clock()
    outcome = run(imprecise, fork_server, later, now=later.now, resumed=resumed).measure()
    assert set(visited(outcome, second)) >= {(s, r) for s in range(2) for r in range(3)}


def test_the_largest_batch_that_fits_is_found_before_anything_is_measured(
    fork_server: Launcher,
) -> None:
    greedy = cell("takes_much_an_image", batch_size=2)
    limit_bytes = 512 * 2**20
    told: list[str] = []

    class Keeps:
        def append(self, event: events.Event) -> None:
            told.append(type(event).__name__)

    found = plan(greedy, rounds=1, fit=True, memory_bytes=limit_bytes)
    outcome = run(found, fork_server, begin=lambda _: Keeps()).measure()
    (fit,) = outcome.run_record().fits
    assert fit.cell == replace(greedy, batch_size=1)
    largest, failed = fit.largest, fit.smallest_failed
    assert largest is not None
    assert failed is not None
    # Its images' own, and whatever the process holds besides.
    assert MIB_AN_IMAGE * largest.batch_size * 2**20 < (largest.held_bytes or 0) <= limit_bytes
    assert limit_bytes < (failed.held_bytes or 0)
    assert "of 512 MiB (--memory)" in failed.reason
    assert 1 < largest.batch_size < 512 / MIB_AN_IMAGE
    assert failed.batch_size - largest.batch_size <= max(1, largest.batch_size // RESOLUTION)
    assert told.index("Fitted") < told.index("WaveBegan")
    assert "looking for the largest batches" in outcome.phases_s
    again = run(found, fork_server, resumed=outcome).measure()
    assert list(again.fits.values()) == [fit]


def test_a_network_that_does_not_fit_at_all_says_why(fork_server: Launcher) -> None:
    outcome = run(plan(cell("needs_a_petabyte"), fit=True, rounds=1), fork_server).measure()
    (fit,) = outcome.run_record().fits
    assert fit.largest is None
    (attempt,) = fit.attempts
    assert attempt.batch_size == 1
    assert "out of memory: 4,294,967,296 MiB more" in attempt.reason
    assert not attempt.is_error


def test_a_network_that_fails_otherwise_has_no_largest_batch(fork_server: Launcher) -> None:
    found = plan(cell("raises_when_built"), fit=True, rounds=1, memory_bytes=2**30)
    (fit,) = run(found, fork_server).measure().run_record().fits
    assert fit.smallest_failed is None
    assert fit.error is not None
    assert "no such weights" in fit.error.reason


def test_sets_are_dealt_out_to_devices_each_whole(fork_server: Launcher) -> None:
    first, second = cell("works"), cell("prints")
    devices = ("cpu", "cpu:0")  # two names of what is one here
    outcome = run(plan(first, second, sets=3, devices=devices), fork_server).measure()
    for one in (first, second, replace(first, control=True)):
        measured_on = [setup["device"] for setup in record_of(outcome, one).setups]
        assert measured_on == ["cpu", "cpu:0", "cpu"]
        assert record_of(outcome, one).has_figures
    assert outcome.environment["device"] == "cpu"
    (note,) = trust._devices(outcome.run_record())
    assert "2 devices of one model, one after the other: cpu sets 1, 3; cpu:0 set 2." in note


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


@pytest.mark.gpu
def test_on_a_gpu_each_visit_has_a_block(fork_server: Launcher) -> None:
    found = replace(cell("works"), device="cuda")
    outcome = run(plan(found, sets=2), fork_server).measure()
    record = record_of(outcome, found)
    assert not outcome.failures
    assert all(visit.back_to_back for visit in record.visits)
    assert stats.busy_share(record).sets == 2
    assert all(setup["device_free_bytes"] > 0 for setup in record.setups)


@pytest.mark.gpu
def test_on_a_gpu_the_largest_batch_is_what_its_memory_holds(fork_server: Launcher) -> None:
    greedy = replace(cell("takes_gibibytes_on_its_device"), device="cuda")
    outcome = run(plan(greedy, fit=True, rounds=1), fork_server).measure()
    (fit,) = outcome.run_record().fits
    assert fit.largest is not None
    assert fit.smallest_failed is not None
    assert re.search(
        r"MiB more were asked for, [\d,]+ MiB were free of", fit.smallest_failed.reason
    )
    assert (fit.largest.held_bytes or 0) >= fit.largest.batch_size * 2**30


@pytest.mark.gpu
def test_on_a_gpu_what_does_not_fit_is_a_failed_cell_with_the_sizes(fork_server: Launcher) -> None:
    greedy = replace(cell("takes_gibibytes_on_its_device", batch_size=4096), device="cuda")
    outcome = run(plan(greedy, rounds=1), fork_server).measure()
    failure = outcome.failures[greedy.id]
    assert failure.kind == "out_of_memory"
    assert "4,194,304 MiB more were asked for" in failure.message
