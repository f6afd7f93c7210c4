import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest

from bench.machine import busiest
from bench.machine.busiest import Busiest, BusyProcess, Reading

SPIN = "while True: pass"


@contextmanager
def busy(code: str = SPIN) -> Iterator[int]:
    """Start a busy process, and yield its id."""
    with subprocess.Popen([sys.executable, "-c", code]) as process:
        try:
            yield process.pid
        finally:
            process.kill()


def pids(found: Busiest) -> list[int]:
    return [process.pid for process in found.processes]


def test_a_busy_process_is_named_with_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(busiest, "MOST", sys.maxsize)  # other tests may be busier
    with busy() as pid:

        def sleep(_: float) -> None:
            """Wait until the process has used a CPU for ten ticks."""
            times = psutil.Process(pid).cpu_times
            end_s = times().user + 0.1
            while times().user < end_s:
                time.sleep(0.01)

        found = busiest.watch([os.getpid()], sleep)
    process = next(process for process in found.processes if process.pid == pid)
    assert process.name.startswith("python")
    assert process.cpus >= busiest.LEAST_CPUS


def test_our_processes_and_those_that_they_started_are_not_named() -> None:
    starts = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {SPIN!r}])"
    with busy() as worker, busy(starts) as launcher, busy() as foreign:
        started = None
        while started is None:
            children = psutil.Process(launcher).children()
            started = children[0] if children else None
        try:
            found = busiest.read([os.getpid(), worker, launcher])
        finally:
            started.kill()
    read = {pid for pid, _ in found.spent_s}
    assert foreign in read
    assert read.isdisjoint({os.getpid(), worker, launcher, started.pid})


def reading(at_s: float, spent_s: dict[int, float]) -> Reading:
    keys = {(pid, 1.0): seconds for pid, seconds in spent_s.items()}
    names = {key: f"name {key[0]}" for key in keys}
    return Reading(at_s=at_s, spent_s=keys, names=names, hidden=0)


def test_at_most_three_processes_are_named_the_busiest_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(busiest, "_shares_cpus", lambda _: True)
    before = reading(10.0, {1: 5.0, 2: 5.0, 3: 5.0, 4: 5.0, 5: 5.0})
    # The fifth used a few ticks, and the sixth began in between.
    after = reading(12.0, {1: 6.0, 2: 5.5, 3: 7.0, 4: 5.2, 5: 5.02, 6: 1.6})
    found = busiest.between(before, after)
    assert pids(found) == [3, 6, 1]
    assert [process.cpus for process in found.processes] == pytest.approx([1.0, 0.8, 0.5])
    assert str(found) == ("process 3 (name 3) 1.0, process 6 (name 6) 0.8, process 1 (name 1) 0.5")


def test_a_process_on_other_cpus_is_not_named(monkeypatch: pytest.MonkeyPatch) -> None:
    if not hasattr(os, "sched_getaffinity"):
        pytest.skip("this system has no affinity")
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0} if pid == 0 else {1})
    found = busiest.between(reading(0.0, {7: 0.0}), reading(1.0, {7: 1.0}))
    assert found.processes == ()


def test_what_the_system_hides_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def hides(*_: object, **__: object) -> Iterator[object]:
        facts = {"ppid": 1, "create_time": 1.0, "cpu_times": None, "name": None}
        yield type("Process", (), {"info": {**facts, "pid": 99999}})

    monkeypatch.setattr(psutil, "process_iter", hides)
    found = busiest.watch([os.getpid()], lambda _: None)
    assert str(found).startswith("unknown, because the system hides the CPU times")
    unnamed = BusyProcess(pid=7, name="", cpus=0.5)
    assert str(unnamed) == "process 7 (name hidden, another user's) 0.5"


def test_load_without_a_visible_process_is_said_to_come_from_elsewhere() -> None:
    assert "outside this container" in str(Busiest(processes=()))
