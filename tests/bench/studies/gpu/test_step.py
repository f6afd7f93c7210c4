import ast
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from itertools import count
from pathlib import Path

import psutil
import pytest

from bench.signals import restore_interrupts
from bench.studies.gpu import step
from bench.studies.gpu.step import GpuStep, StepResult, run_steps
from tests.limits import HANG_S

ROOT = Path(__file__).resolve().parents[4]
FINE = "print('did it')"
FAILS = "raise SystemExit(3)"
# Like the suite, it writes its results after the interrupt.
WRITES_LATE = """
import time
print('begun', flush=True)
try:
    time.sleep(60)
except KeyboardInterrupt:
    print('written', flush=True)
    raise SystemExit(2)
"""
IGNORES_SIGINT = """
import signal, subprocess, sys, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])
print(child.pid, flush=True)
time.sleep(60)
"""


def make_step(name: str, source: str, limit_s: float = 60.0) -> GpuStep:
    return GpuStep(name=name, what=name, arguments=("-c", source), limit_s=limit_s)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step, "GRACE_S", 2.0)
    monkeypatch.setattr(step, "MIN_STEP_S", 0.1)


def results_of(steps: list[GpuStep], folder: Path, limit_s: float = 100.0) -> dict[str, StepResult]:
    return {result.step.name: result for result in run_steps(steps, folder, limit_s)}


def test_every_step_runs_even_if_others_fail(tmp_path: Path) -> None:
    results = results_of([make_step("fails", FAILS), make_step("fine", FINE)], tmp_path)
    assert [result.status for result in results.values()] == [3, 0]
    assert [result.succeeded for result in results.values()] == [False, True]
    assert results["fails"].ending == "exit code 3"
    assert (tmp_path / "fine.log").read_text() == "did it\n"


def test_a_step_that_takes_too_long_is_interrupted_and_can_write_its_results(
    tmp_path: Path,
) -> None:
    results = results_of(
        [make_step("late", WRITES_LATE, limit_s=1.5), make_step("fine", FINE)], tmp_path
    )
    assert results["late"].interrupted
    assert not results["late"].succeeded
    assert results["late"].ending == "interrupted at its time limit or the total limit; exit code 2"
    assert (tmp_path / "late.log").read_text() == "begun\nwritten\n"
    assert results["fine"].succeeded


def test_a_step_is_interrupted_even_if_a_shell_ignores_sigint(tmp_path: Path) -> None:
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        results = results_of([make_step("late", WRITES_LATE, limit_s=1.5)], tmp_path)
    finally:
        signal.signal(signal.SIGINT, handler)
    assert results["late"].status == 2
    assert (tmp_path / "late.log").read_text() == "begun\nwritten\n"


def test_a_step_that_ignores_sigint_is_killed_with_its_children(tmp_path: Path) -> None:
    results = results_of([make_step("deaf", IGNORES_SIGINT, limit_s=1.5)], tmp_path)
    assert results["deaf"].status == -signal.SIGKILL
    assert "killed by SIGKILL" in results["deaf"].ending
    child = int((tmp_path / "deaf.log").read_text())
    for _ in range(100):
        if not psutil.pid_exists(child) or psutil.Process(child).status() == "zombie":
            break
        time.sleep(0.05)
    else:
        pytest.fail("the child process is still alive")


def test_the_budget_is_the_remaining_time_less_the_overhead(tmp_path: Path) -> None:
    """The remaining time must also suffice for the reports."""
    step_with_budget = replace(
        make_step("b", "import sys; print(sys.argv[1:])", limit_s=490.0), overhead_s=130.0
    )
    assert step_with_budget.arguments_within(490.0)[2:] == ("--budget=360",)
    assert step_with_budget.arguments_within(100.0)[2:] == ("--budget=1",)
    assert make_step("none", FINE).arguments_within(490.0) == ("-c", FINE)
    assert results_of([step_with_budget], tmp_path, 302.0 + step.GRACE_S)["b"].succeeded
    (budget,) = ast.literal_eval((tmp_path / "b.log").read_text())
    assert budget in {"--budget=171", "--budget=172"}


def test_a_step_without_time_left_is_not_started_and_says_so(tmp_path: Path) -> None:
    seconds = count(step=50)  # two readings for each step that runs
    steps = [make_step("first", FINE), make_step("second", FINE)]
    first, second = run_steps(steps, tmp_path, 120.0, now=lambda: float(next(seconds)))
    assert first.succeeded
    assert second.status is None
    assert second.ending == "not started: no time was left"
    assert not (tmp_path / "second.log").exists()


INTERRUPTED = """
from pathlib import Path
from tests.bench.studies.gpu.test_step import FINE, WRITES_LATE, make_step, results_of, step
step.GRACE_S = 20.0
try:
    results_of([make_step("late", WRITES_LATE), make_step("fine", FINE)], Path())
except KeyboardInterrupt:
    print("raised again")
"""


def test_an_interrupt_is_passed_to_the_step_and_raised_again(tmp_path: Path) -> None:
    """In a process of its own, so that an interrupt at a wrong moment does not end the tests."""
    log = tmp_path / "late.log"
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=restore_interrupts,
    )
    while not log.exists() or "begun" not in log.read_text():
        assert process.poll() is None, "the process ended before its step began"
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    stdout, _ = process.communicate(timeout=HANG_S)
    assert (process.returncode, stdout) == (0, "raised again\n")
    assert log.read_text() == "begun\nwritten\n"
    assert not (tmp_path / "fine.log").exists()
