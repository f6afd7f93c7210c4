import os
import re
from dataclasses import replace

import psutil
import pytest

from bench.engine.largest_batch import RESOLUTION
from bench.launch.launchers import ForkServer, Launcher
from bench.launch.process import WorkerError
from bench.records import events
from bench.records.outcome import Outcome
from bench.report.roofline import KINDS
from tests.bench.broken import MIB_AN_IMAGE
from tests.bench.engine.running import Watcher, cell, plan, record_of, run
from tests.warm.interpreter import COLD


def test_costs_are_per_image_for_any_batch_size(fork_server: Launcher) -> None:
    target = cell("works", batch_size=4)
    outcome = run(plan(target), fork_server).measure()
    cost = outcome.records()[0].cost
    assert cost.params == (3 * 9 * 8 + 8) + 2 * 8 + (8 * 1000 + 1000)
    assert cost.macs_per_image == 4 * 4 * 8 * 3 * 9 + 8 * 1000  # 32 pixels, stride 8
    assert cost.activations_per_image == 4 * 4 * 8 + 1000


def test_cells_are_timed_even_if_a_cost_cannot_be_counted(fork_server: Launcher) -> None:
    target = cell("raises_when_warmed_up")  # raises after several calls, and counting makes two
    outcome = run(plan(cell("works"), target), fork_server).measure()
    assert (outcome.costs[target.arch, False].params or 0) > 0
    broken = cell("needs_a_petabyte")
    outcome = run(plan(cell("works"), broken), fork_server).measure()
    assert "out of memory" in (outcome.costs[broken.arch, False].error or "")
    assert record_of(outcome, cell("works")).visits


def test_a_ceiling_is_measured_once_for_each_dtype(fork_server: Launcher) -> None:
    target, watcher = cell("works"), Watcher()
    outcome = run(plan(target, ceiling=True), fork_server, watcher).measure()
    facts = outcome.run_record().ceilings["fp32"]
    assert {probe.kind for probe in facts.probes} == set(KINDS)
    assert min(probe.mac_per_s for probe in facts.probes) > 0
    assert (facts.bytes_per_s or 0) > 0
    assert facts.threads == outcome.environment.threads
    assert ("measuring the ceiling", 1) in watcher.phases
    assert outcome.phases_s["measuring the ceiling"] > 0
    assert not outcome.notes
    # A known ceiling is not measured again.
    resumed = run(plan(target, ceiling=True), fork_server, watcher, resumed=outcome).measure()
    assert resumed.ceilings == {"fp32": facts}
    assert watcher.phases.count(("measuring the ceiling", 1)) == 1


@pytest.mark.parametrize("ceiling", [True, False])
def test_a_resumed_run_follows_the_new_request_for_a_ceiling(
    ceiling: bool, fork_server: Launcher
) -> None:
    target = cell("works")
    journal: list[events.Event] = []

    class Recorder:
        def append(self, event: events.Event) -> None:
            journal.append(event)

    run(plan(target, ceiling=not ceiling), fork_server, begin=lambda _: Recorder()).measure()
    without = Outcome.from_events(
        [event for event in journal if not isinstance(event, events.CeilingMeasured)]
    )
    again = run(plan(target, ceiling=ceiling), fork_server, resumed=without).measure()
    assert bool(again.ceilings) is ceiling


@pytest.mark.workers
def test_the_death_of_the_worker_that_measures_the_ceiling_becomes_a_note() -> None:
    with ForkServer(os.environ, python=COLD) as server:  # its process has children of its own

        class Kills(Watcher):
            def phase(self, name: str, total: int) -> None:
                super().phase(name, total)
                if name == "measuring the ceiling":
                    (probe,) = psutil.Process(server.pids[-1]).children()
                    probe.kill()

        target, watcher = cell("works"), Kills()
        outcome = run(plan(target, ceiling=True), server, watcher).measure()
    assert outcome.status == "complete"
    assert record_of(outcome, target).has_figures
    assert "was killed by SIGKILL" in (outcome.ceilings["fp32"].error or "")
    assert outcome.notes == watcher.notes
    assert [note.startswith("The ceiling of fp32 is not known: ") for note in outcome.notes] == [
        True
    ]


@pytest.mark.parametrize(
    ("factory", "words"),
    [
        ("nothing", "cannot import 'nothing'"),
        ("needs_an_argument", r"needs_an_argument\(\) raised TypeError"),
    ],
)
def test_an_invalid_arch_ends_the_run_before_the_first_set(
    fork_server: Launcher, factory: str, words: str
) -> None:
    with pytest.raises(WorkerError, match=words) as caught:
        run(plan(cell("works"), cell(factory)), fork_server).measure()
    assert caught.value.kind == "request"


def test_the_largest_batch_is_searched_before_the_first_set(fork_server: Launcher) -> None:
    greedy = cell("takes_much_an_image", batch_size=2)
    limit_bytes = 512 * 2**20
    journal: list[str] = []

    class Recorder:
        def append(self, event: events.Event) -> None:
            journal.append(type(event).__name__)

    request = plan(greedy, rounds=1, fit=True, memory_bytes=limit_bytes)
    outcome = run(request, fork_server, begin=lambda _: Recorder()).measure()
    (fit,) = outcome.run_record().fits
    assert fit.cell == replace(greedy, batch_size=1)
    largest, failed = fit.largest, fit.smallest_failed
    assert largest is not None
    assert failed is not None
    # It holds the memory for its images and that of the process itself.
    assert MIB_AN_IMAGE * largest.batch_size * 2**20 < (largest.held_bytes or 0) <= limit_bytes
    assert limit_bytes < (failed.held_bytes or 0)
    assert "--memory allows 512 MiB" in failed.reason
    assert 1 < largest.batch_size < 512 / MIB_AN_IMAGE
    assert failed.batch_size - largest.batch_size <= max(1, largest.batch_size // RESOLUTION)
    assert journal.index("Fitted") < journal.index("WaveBegan")
    assert "looking for the largest batches" in outcome.phases_s
    again = run(request, fork_server, resumed=outcome).measure()
    assert list(again.fits.values()) == [fit]


def test_a_network_that_does_not_fit_at_batch_size_1_has_a_reason(fork_server: Launcher) -> None:
    outcome = run(plan(cell("needs_a_petabyte"), fit=True, rounds=1), fork_server).measure()
    (fit,) = outcome.run_record().fits
    assert fit.largest is None
    (attempt,) = fit.attempts
    assert attempt.batch_size == 1
    assert "out of memory: tried to allocate 4,294,967,296 MiB" in attempt.reason
    assert not attempt.is_error


def test_an_error_other_than_memory_leaves_the_largest_batch_unknown(
    fork_server: Launcher,
) -> None:
    request = plan(cell("raises_when_called"), fit=True, rounds=1, memory_bytes=2**30)
    (fit,) = run(request, fork_server).measure().run_record().fits
    assert fit.smallest_failed is None
    assert fit.error is not None
    assert "no such layer" in fit.error.reason


@pytest.mark.gpu
def test_on_a_gpu_the_largest_batch_is_bounded_by_its_memory(fork_server: Launcher) -> None:
    greedy = replace(cell("takes_gibibytes_on_its_device"), device="cuda")
    outcome = run(plan(greedy, fit=True, rounds=1), fork_server).measure()
    (fit,) = outcome.run_record().fits
    assert fit.largest is not None
    assert fit.smallest_failed is not None
    assert re.search(
        r"tried to allocate [\d,]+ MiB; [\d,]+ MiB were free \(", fit.smallest_failed.reason
    )
    assert (fit.largest.held_bytes or 0) >= fit.largest.batch_size * 2**30
