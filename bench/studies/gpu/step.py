"""A step: a command of this interpreter, run with a time limit."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.signals import restore_interrupts

# Time for the suite to end hundreds of workers and to write its reports after SIGINT.
GRACE_S = 45.0
# Container images often disable Python's bytecode cache. Without the cache, each of dozens of
# processes would compile PyTorch's Python sources, and those installed with it, again.
ENVIRONMENT = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
MIN_STEP_S = 10.0  # a step is not started with less time: importing torch alone takes 5 s


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuStep:
    """A command to run, with its time limit."""

    name: str
    what: str
    """Description of the step."""
    arguments: tuple[str, ...]
    """Arguments of the interpreter: ``-m pytest …``."""
    limit_s: float
    """Time after which the step is interrupted, in seconds."""
    overhead_s: float | None = None
    """Time in addition to the step's ``--budget``, in seconds; None if it has no such option."""
    report: str = ""
    """Path of the step's report, relative to the folder; empty if only the log is of interest."""

    @property
    def log(self) -> str:
        """Name of the file for the step's output."""
        return f"{self.name}.log"

    def arguments_within(self, left_s: float) -> tuple[str, ...]:
        """Return the arguments for a step that must end within ``left_s`` seconds."""
        if self.overhead_s is None:
            return self.arguments
        return (*self.arguments, f"--budget={max(1.0, left_s - self.overhead_s):.0f}")


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult:
    """The result of a step."""

    step: GpuStep
    began: float
    """Start of the step, in seconds since the epoch."""
    seconds: float
    """Duration of the step."""
    status: int | None
    """Exit code; the negative number of a signal that killed it; None if it was not started."""
    interrupted: bool
    """Whether the step was interrupted because its time was up."""

    @property
    def ending(self) -> str:
        """How the step ended, in words."""
        if self.status is None:
            return "not started: no time was left"
        late = "interrupted at its time limit or the total limit; " * self.interrupted
        if self.status < 0:
            return f"{late}killed by {signal.Signals(-self.status).name}"
        return f"{late}exit code {self.status}"

    @property
    def succeeded(self) -> bool:
        """Whether the step finished with exit code 0."""
        return self.status == 0 and not self.interrupted


def run_steps(
    steps: Sequence[GpuStep],
    folder: Path,
    limit_s: float,
    *,
    now: Callable[[], float] = time.monotonic,
) -> Iterator[StepResult]:
    """Run the steps in order until the time is up, even if some fail, and yield their results.

    The output of each step goes to a log in ``folder``. A ``KeyboardInterrupt`` interrupts the
    current step, waits while it writes its results, and is raised again.
    """
    deadline = now() + limit_s
    for step in steps:
        start_s, epoch_s = now(), time.time()
        left_s = min(step.limit_s, deadline - start_s - GRACE_S)
        if left_s < MIN_STEP_S:
            yield StepResult(step=step, began=epoch_s, seconds=0.0, status=None, interrupted=False)
            continue
        with (folder / step.log).open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, *step.arguments_within(left_s)],
                env=ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                process_group=0,  # only this process passes Ctrl-C on, once
                preexec_fn=restore_interrupts,  # otherwise it could only be killed, unsaved
            )
            try:
                interrupted = not _ends(process, left_s)
            except BaseException:
                _interrupt(process)
                raise
            if interrupted:
                _interrupt(process)
        yield StepResult(
            step=step,
            began=epoch_s,
            seconds=now() - start_s,
            status=process.returncode,
            interrupted=interrupted,
        )


def _ends(process: "subprocess.Popen[bytes]", limit_s: float) -> bool:
    try:
        process.wait(limit_s)
    except subprocess.TimeoutExpired:
        return False
    return True


def _interrupt(process: "subprocess.Popen[bytes]") -> None:
    """Interrupt a process; kill its process group if it does not end in time."""
    process.send_signal(signal.SIGINT)
    has_ended = False
    try:
        has_ended = _ends(process, GRACE_S)
    finally:  # a second interrupt kills it immediately
        if not has_ended:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
