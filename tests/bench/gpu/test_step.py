import ast
import os
import signal
import threading
import time
from dataclasses import replace
from itertools import count
from pathlib import Path

import psutil
import pytest

from bench.gpu import step
from bench.gpu.step import GpuStep, Taken, take

FINE = "print('did it')"
FAILS = "raise SystemExit(3)"
# As the suite does: what was measured is written after the interrupt.
WRITES_LATE = """
import time
print('begun', flush=True)
try:
    time.sleep(60)
except KeyboardInterrupt:
    print('written', flush=True)
    raise SystemExit(2)
"""
IS_DEAF = """
import signal, subprocess, sys, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])
print(child.pid, flush=True)
time.sleep(60)
"""


def a(name: str, source: str, limit_s: float = 60.0) -> GpuStep:
    return GpuStep(name=name, what=name, arguments=("-c", source), limit_s=limit_s)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step, "GRACE_S", 2.0)
    monkeypatch.setattr(step, "LEAST_S", 0.1)


def taken(steps: list[GpuStep], folder: Path, limit_s: float = 100.0) -> dict[str, Taken]:
    return {one.step.name: one for one in take(steps, folder, limit_s)}


def test_every_step_is_taken_whatever_becomes_of_the_others(tmp_path: Path) -> None:
    found = taken([a("fails", FAILS), a("fine", FINE)], tmp_path)
    assert [one.status for one in found.values()] == [3, 0]
    assert [one.is_fine for one in found.values()] == [False, True]
    assert found["fails"].ending == "exit code 3"
    assert (tmp_path / "fine.log").read_text() == "did it\n"


def test_one_that_takes_too_long_is_interrupted_and_may_write_what_it_has(tmp_path: Path) -> None:
    found = taken([a("late", WRITES_LATE, limit_s=1.5), a("fine", FINE)], tmp_path)
    assert found["late"].interrupted
    assert not found["late"].is_fine
    assert found["late"].ending == "interrupted, its time or all of it was up; exit code 2"
    assert (tmp_path / "late.log").read_text() == "begun\nwritten\n"
    assert found["fine"].is_fine


def test_one_that_runs_in_the_background_of_a_shell_is_interrupted_too(tmp_path: Path) -> None:
    ours = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        found = taken([a("late", WRITES_LATE, limit_s=1.5)], tmp_path)
    finally:
        signal.signal(signal.SIGINT, ours)
    assert found["late"].status == 2
    assert (tmp_path / "late.log").read_text() == "begun\nwritten\n"


def test_one_that_does_not_listen_is_killed_with_what_it_started(tmp_path: Path) -> None:
    found = taken([a("deaf", IS_DEAF, limit_s=1.5)], tmp_path)
    assert found["deaf"].status == -signal.SIGKILL
    assert "killed by SIGKILL" in found["deaf"].ending
    child = int((tmp_path / "deaf.log").read_text())
    for _ in range(100):
        if not psutil.pid_exists(child) or psutil.Process(child).status() == "zombie":
            break
        time.sleep(0.05)
    else:
        pytest.fail("what it started lives on")


def test_a_budget_is_what_the_time_left_has_room_for(tmp_path: Path) -> None:
    """Little may be left of a machine's time, and reports are to be made in it as well."""
    one = replace(a("b", "import sys; print(sys.argv[1:])", limit_s=490.0), besides_s=130.0)
    assert one.within(490.0)[2:] == ("--budget=360",)
    assert one.within(100.0)[2:] == ("--budget=1",)
    assert a("none", FINE).within(490.0) == ("-c", FINE)
    assert taken([one], tmp_path, 302.0 + step.GRACE_S)["b"].is_fine
    (budget,) = ast.literal_eval((tmp_path / "b.log").read_text())
    assert budget in {"--budget=171", "--budget=172"}


def test_what_time_does_not_allow_is_not_begun_and_said(tmp_path: Path) -> None:
    seconds = count(step=50)  # two readings for each step that is taken
    steps = [a("first", FINE), a("second", FINE)]
    first, second = take(steps, tmp_path, 120.0, now=lambda: float(next(seconds)))
    assert first.is_fine
    assert second.status is None
    assert second.ending == "not begun: no time was left"
    assert not (tmp_path / "second.log").exists()


def test_an_interrupt_is_handed_on_and_raised_again(tmp_path: Path) -> None:
    log = tmp_path / "late.log"

    def interrupt() -> None:
        for _ in range(200):
            if log.exists() and "begun" in log.read_text():
                break
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        taken([a("late", WRITES_LATE), a("fine", FINE)], tmp_path)
    thread.join()
    assert log.read_text() == "begun\nwritten\n"
    assert not (tmp_path / "fine.log").exists()
