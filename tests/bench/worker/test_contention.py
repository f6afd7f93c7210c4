import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.machine import voiding
from bench.worker import contention
from bench.worker.clock import HostClock, Timing
from bench.worker.contention import Account, Accounts

CPUS = 2


def accounts(*threads: tuple[float, float, int]) -> Accounts:
    """Return accounts of threads 1, 2, …, each given as (ran ms, waited ms, runs)."""
    return {
        number: Account(ran_s=ran_ms / 1e3, waited_s=waited_ms / 1e3, runs=runs)
        for number, (ran_ms, waited_ms, runs) in enumerate(threads, 1)
    }


ZERO = accounts((0, 0, 0), (0, 0, 0), (0, 0, 0), (0, 0, 0))


@pytest.mark.parametrize(
    ("after", "waited_ms"),
    [
        (accounts((20, 0, 0), (20, 0, 0)), 0),
        (accounts((20, 60, 1), (80, 0, 1)), 59.8),  # a wake-up takes up to 0.2 ms
        (accounts((20, 2.0, 10), (20, 0, 0)), 0),  # ten wake-ups
        (accounts((0, 60, 0), (20, 0, 1)), 60),  # waited all the time
        (accounts((20, 60, 1), (20, 50, 1)), 59.8),  # both at the same time
        (accounts((20, 60, 9), (20, 60, 9), (20, 60, 9)), None),  # perhaps for each other
        (accounts((0, 0, 0), (0, 0, 0)), None),  # a kernel that writes zeros
        (accounts((20, 60, 1), (20, 0, 1), (0.01, 0, 1)), 59.8),  # the third hardly ran
    ],
)
def test_waits_for_other_processes_exclude_wake_ups_and_waits_among_threads(
    after: Accounts, waited_ms: float | None
) -> None:
    expected = None if waited_ms is None else pytest.approx(waited_ms / 1e3)
    assert contention.waited_s(ZERO, after, CPUS) == expected


def test_a_thread_that_started_or_ended_in_between_is_ignored() -> None:
    before = {1: Account(0, 0, 0), 2: Account(0, 0, 0)}
    after = {2: Account(0.01, 0.05, 0), 3: Account(0.01, 9.0, 0)}
    assert contention.waited_s(before, after, CPUS) == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("waited", "counting"),
    [
        ([0.0, 0.3, 0.0, 0.01], [0, 2, 3]),
        # Too few are undisturbed, so the least disturbed ones count.
        ([0.0, 0.3, 0.1, 0.2, 0.4, 0.01], [0, 2, 5]),
        ([0.3, 0.3, 0.3, 0.3, 0.3, 0.3], [0, 1, 2]),
        ([None, 0.3, None, -0.01], [0, 2, 3]),
    ],
)
def test_the_iterations_that_waited_least_count(
    waited: list[float | None], counting: list[int]
) -> None:
    assert voiding.counting_iterations(waited, 3) == counting


class FakeClock:
    """A clock with scheduler accounts; iteration n takes n s and waits for its ``waits_s``."""

    def __init__(self, *waits_s: float) -> None:
        self.waits_s = iter(waits_s)
        self.waited_s = 0.0
        self.iterations = 0

    def time(self, step: object, iterations: int) -> Timing:
        assert iterations == 1
        del step
        self.iterations += 1
        self.waited_s += next(self.waits_s)
        return Timing(host_s=(float(self.iterations),), device_s=(self.iterations / 10,))

    def read(self) -> Accounts:
        return {1: Account(ran_s=self.iterations, waited_s=self.waited_s, runs=0)}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> FakeClock:
    fake = FakeClock(*request.param)
    monkeypatch.setattr(contention.Scheduler, "read", lambda _: fake.read())
    return fake


@pytest.mark.parametrize("clock", [(0.0, 0.5, 0.0)], indirect=True)
def test_a_disturbed_iteration_is_repeated(clock: FakeClock) -> None:
    block = contention.block(clock, lambda: None, 2)
    assert (block.host_s, block.device_s, block.disturbed_s) == ((1, 3), (0.1, 0.3), (2,))


@pytest.mark.parametrize("clock", [(0.5, 0.3, 0.9, 0.4)], indirect=True)
def test_repetitions_are_limited(clock: FakeClock) -> None:
    block = contention.block(clock, lambda: None, 2)
    # The shares are 0.5, 0.15, 0.3 and 0.1, for iterations of 1 to 4 s.
    assert (block.host_s, block.disturbed_s) == ((2, 4), (1, 3))


def test_waits_are_unknown_on_a_system_without_accounts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with contention.watched(tmp_path / "nothing") as scheduler:
        assert scheduler.read() == {}
    assert contention.waited_s({}, {}, CPUS) is None
    monkeypatch.setattr(contention.Scheduler, "read", lambda _: {})
    block = contention.block(HostClock(), lambda: None, 2)
    assert (len(block.host_s), block.disturbed_s) == (2, None)


@pytest.mark.skipif(not contention.TASKS.exists(), reason="only Linux keeps these accounts")
def test_the_wait_for_another_process_is_measured() -> None:
    """Both processes may only use one CPU, so that each gets half of the half second."""
    allowed = os.sched_getaffinity(0)
    other = subprocess.Popen(
        [sys.executable, "-c", "print(flush=True)\nwhile True: pass"], stdout=subprocess.PIPE
    )
    try:
        for pid in (0, other.pid):
            os.sched_setaffinity(pid, {min(allowed)})
        assert other.stdout is not None
        other.stdout.readline()
        with contention.watched() as scheduler:
            before = scheduler.read()
            until = time.monotonic() + 0.5
            while time.monotonic() < until:
                pass
            after = scheduler.read()
    finally:
        os.sched_setaffinity(0, allowed)
        other.kill()
        other.communicate()
    if not after[os.getpid()].ran_s:
        pytest.skip("this kernel keeps no such accounts")
    assert (contention.waited_s(before, after, CPUS) or 0.0) > 0.05
