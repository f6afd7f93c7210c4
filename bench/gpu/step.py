"""A step: a command of this interpreter, in the time that is left for it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.signals import listen

# After SIGINT the suite writes what it has measured: hundreds of workers end, reports are made.
GRACE_S = 45.0
# Container images often have Python keep no bytecode: dozens of processes would compile what was
# unpacked beside PyTorch, or PyTorch itself, each anew.
ENVIRONMENT = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
LEAST_S = 10.0  # a step for which less time is left is not begun: importing torch alone takes 5 s


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuStep:
    """What to run, and for how long at the most."""

    name: str
    what: str
    arguments: tuple[str, ...]
    """Of the interpreter: ``-m pytest …``."""
    limit_s: float
    """After which it is interrupted."""
    besides_s: float | None = None
    """What it takes besides the ``--budget`` that it is given; None where it takes none."""
    report: str = ""
    """What it is read in, a path in the folder; empty where that is its log."""

    @property
    def log(self) -> str:
        """The file that its output goes to."""
        return f"{self.name}.log"

    def within(self, left_s: float) -> tuple[str, ...]:
        """The arguments with which it ends by itself in the time that is left for it."""
        if self.besides_s is None:
            return self.arguments
        return (*self.arguments, f"--budget={max(1.0, left_s - self.besides_s):.0f}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """How a step ended."""

    step: GpuStep
    began: float
    """Seconds since the epoch."""
    seconds: float
    status: int | None
    """The exit code; a signal's is negative, and None was not begun."""
    interrupted: bool

    @property
    def ending(self) -> str:
        """In words."""
        if self.status is None:
            return "not begun: no time was left"
        late = "interrupted, its time or all of it was up; " * self.interrupted
        if self.status < 0:
            return f"{late}killed by {signal.Signals(-self.status).name}"
        return f"{late}exit code {self.status}"

    @property
    def is_fine(self) -> bool:
        """Whether it did all that it should."""
        return self.status == 0 and not self.interrupted


def take(
    steps: Sequence[GpuStep],
    folder: Path,
    limit_s: float,
    *,
    now: Callable[[], float] = time.monotonic,
) -> Iterator[Taken]:
    """Take one step after the other, whatever becomes of them, until the time is up.

    Each one's output is in ``folder``. A ``KeyboardInterrupt`` interrupts the step under way, which
    is given time to write what it has, and is raised again.
    """
    deadline = now() + limit_s
    for step in steps:
        begun, began = now(), time.time()
        left_s = min(step.limit_s, deadline - begun - GRACE_S)
        if left_s < LEAST_S:
            yield Taken(step=step, began=began, seconds=0.0, status=None, interrupted=False)
            continue
        with (folder / step.log).open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, *step.within(left_s)],
                env=ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                process_group=0,  # Ctrl-C is for us to hand on, once
                preexec_fn=listen,  # or it is killed when its time is up, and writes nothing
            )
            try:
                interrupted = not _ends(process, left_s)
            except BaseException:
                _interrupt(process)
                raise
            if interrupted:
                _interrupt(process)
        yield Taken(
            step=step,
            began=began,
            seconds=now() - begun,
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
    """Have it end in its own way, and kill it, with all it started, where it does not."""
    process.send_signal(signal.SIGINT)
    has_ended = False
    try:
        has_ended = _ends(process, GRACE_S)
    finally:  # whoever interrupts twice has no more patience
        if not has_ended:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
