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
    """Threads numbered from 1, by milliseconds run and waited, and runs."""
    return {
        number: Account(ran_s=ran_ms / 1e3, waited_s=waited_ms / 1e3, runs=runs)
        for number, (ran_ms, waited_ms, runs) in enumerate(threads, 1)
    }


NOTHING = accounts((0, 0, 0), (0, 0, 0), (0, 0, 0), (0, 0, 0))


@pytest.mark.parametrize(
    ("after", "waited_ms"),
    [
        (accounts((20, 0, 0), (20, 0, 0)), 0),
        (accounts((20, 60, 1), (80, 0, 1)), 59.8),  # waking it takes up to 0.2 ms
        (accounts((20, 2.0, 10), (20, 0, 0)), 0),  # woken ten times
        (accounts((0, 60, 0), (20, 0, 1)), 60),  # all the time
        (accounts((20, 60, 1), (20, 50, 1)), 59.8),  # together
        (accounts((20, 60, 9), (20, 60, 9), (20, 60, 9)), None),  # for each other, for all we know
        (accounts((0, 0, 0), (0, 0, 0)), None),  # a kernel that writes noughts
        (accounts((20, 60, 1), (20, 0, 1), (0.01, 0, 1)), 59.8),  # the third hardly ran
    ],
)
def test_waiting_for_others_is_told_from_waking_and_from_waiting_for_each_other(
    after: Accounts, waited_ms: float | None
) -> None:
    expected = None if waited_ms is None else pytest.approx(waited_ms / 1e3)
    assert contention.waited_s(NOTHING, after, CPUS) == expected


def test_a_thread_that_came_or_went_between_is_left_out() -> None:
    before = {1: Account(0, 0, 0), 2: Account(0, 0, 0)}
    after = {2: Account(0.01, 0.05, 0), 3: Account(0.01, 9.0, 0)}
    assert contention.waited_s(before, after, CPUS) == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("waited", "counting"),
    [
        ([0.0, 0.3, 0.0, 0.01], [0, 2, 3]),
        ([0.0, 0.3, 0.1, 0.2, 0.4, 0.01], [0, 2, 5]),  # too few: those disturbed the least
        ([0.3, 0.3, 0.3, 0.3, 0.3, 0.3], [0, 1, 2]),
        ([None, 0.3, None, -0.01], [0, 2, 3]),
    ],
)
def test_iterations_count_by_how_long_they_waited(
    waited: list[float | None], counting: list[int]
) -> None:
    assert voiding.counting(waited, 3) == counting


class Recorded:
    """A clock and the scheduler's accounts beside it, an iteration of 1 s and its wait each."""

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
def clock(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Recorded:
    recorded = Recorded(*request.param)
    monkeypatch.setattr(contention.Scheduler, "read", lambda _: recorded.read())
    return recorded


@pytest.mark.parametrize("clock", [(0.0, 0.5, 0.0)], indirect=True)
def test_a_disturbed_iteration_gets_another_try(clock: Recorded) -> None:
    block = contention.block(clock, lambda: None, 2)
    assert (block.host_s, block.device_s, block.disturbed_s) == ((1, 3), (0.1, 0.3), (2,))


@pytest.mark.parametrize("clock", [(0.5, 0.3, 0.9, 0.4)], indirect=True)
def test_there_is_an_end_to_trying(clock: Recorded) -> None:
    block = contention.block(clock, lambda: None, 2)
    # Shares of 0.5, 0.15, 0.3 and 0.1, of iterations of 1 to 4 s.
    assert (block.host_s, block.disturbed_s) == ((2, 4), (1, 3))


def test_of_a_system_without_accounts_nothing_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with contention.watched(tmp_path / "nothing") as scheduler:
        assert scheduler.read() == {}
    assert contention.waited_s({}, {}, CPUS) is None
    monkeypatch.setattr(contention.Scheduler, "read", lambda _: {})
    block = contention.block(HostClock(), lambda: None, 2)
    assert (len(block.host_s), block.disturbed_s) == (2, None)


@pytest.mark.skipif(not contention.TASKS.exists(), reason="only Linux keeps these accounts")
def test_this_system_says_how_long_a_thread_waited_for_another_process() -> None:
    """Both may run on one CPU alone: of half a second, each has a half."""
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
