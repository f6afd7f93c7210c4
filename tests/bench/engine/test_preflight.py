import os
import re
from dataclasses import replace

import psutil
import pytest

from bench.engine.fit import RESOLUTION
from bench.engine.launch import ForkServer, Launcher
from bench.engine.process import WorkerError
from bench.records import events
from bench.records.outcome import Outcome
from bench.report.roofline import KINDS
from tests.bench.broken import MIB_AN_IMAGE
from tests.bench.engine.running import Watcher, cell, plan, record_of, run


def test_a_cost_is_counted_for_one_image_whatever_the_batch(fork_server: Launcher) -> None:
    found = cell("works", batch_size=4)
    outcome = run(plan(found), fork_server).measure()
    cost = outcome.records()[0].cost
    assert cost["params"] == (3 * 9 * 8 + 8) + 2 * 8 + (8 * 1000 + 1000)
    assert cost["macs_per_image"] == 4 * 4 * 8 * 3 * 9 + 8 * 1000  # 32 pixels, stride 8
    assert cost["activations_per_image"] == 4 * 4 * 8 + 1000


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


@pytest.mark.parametrize("asked", [True, False])
def test_who_resumes_may_ask_for_a_ceiling_or_not(asked: bool, fork_server: Launcher) -> None:
    found = cell("works")
    told: list[events.Event] = []

    class Keeps:
        def append(self, event: events.Event) -> None:
            told.append(event)

    run(plan(found, ceiling=not asked), fork_server, begin=lambda _: Keeps()).measure()
    without = Outcome.from_events(
        [event for event in told if not isinstance(event, events.PeakMeasured)]
    )
    again = run(plan(found, ceiling=asked), fork_server, resumed=without).measure()
    assert bool(again.ceilings) is asked


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


@pytest.mark.parametrize(
    ("factory", "words"),
    [
        ("nothing", "cannot take 'nothing'"),
        ("needs_an_argument", r"needs_an_argument\(\) raised TypeError"),
    ],
)
def test_a_wrong_arch_ends_the_run_before_anything_is_measured(
    fork_server: Launcher, factory: str, words: str
) -> None:
    with pytest.raises(WorkerError, match=words) as caught:
        run(plan(cell("works"), cell(factory)), fork_server).measure()
    assert caught.value.kind == "request"


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
    found = plan(cell("raises_when_called"), fit=True, rounds=1, memory_bytes=2**30)
    (fit,) = run(found, fork_server).measure().run_record().fits
    assert fit.smallest_failed is None
    assert fit.error is not None
    assert "no such layer" in fit.error.reason


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
