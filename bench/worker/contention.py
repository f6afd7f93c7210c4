"""Contention: how long this process's threads were ready for a CPU that somebody else had.

Linux accounts for it in nanoseconds and for each thread, ``schedstat`` in its folder of ``/proc``.
A kernel thread that looks after memory may take a CPU for 60 ms at a time, which is a small share
of a round and a third of an iteration: a forward of GoogLeNet with a batch of 8 then takes 240 ms
and not 180. Whoever takes only the median of a few such iterations measures that thread.

What is judged is what the scheduler did, as a share of an iteration's time, and never that time. A
quota of CPU time, as containers have, looks like others' use.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from bench.machine import voiding
from bench.worker.clock import Clock, Step, Timing

TASKS = Path("/proc/self/task")
MOST_TRIES = 2  # for each iteration that is wanted
WAKING_S = 2e-4  # each time a thread is run: waking it, perhaps its CPU too, is nobody's doing
RAN_S = 1e-4  # a thread that ran for less has not had anybody wait for it


class Account(NamedTuple):
    """What the scheduler knows of a thread."""

    ran_s: float
    waited_s: float
    """Ready to run, and not running."""
    runs: int
    """How often it was put on a CPU."""


Accounts = Mapping[int, Account]
"""By the thread."""


class Scheduler:
    """The accounts of this process's threads; none on a system that keeps none."""

    def __init__(self, files: Mapping[int, int]) -> None:
        """``files`` are open ones, by the thread."""
        self._files = files
        self.cpus = len(frozenset().union(*map(_cpus, files)))
        """On which any of them may run."""

    def read(self) -> Accounts:
        """Read them now; a thread that has ended has none any more."""
        found = {}
        for thread, file in self._files.items():
            with suppress(OSError):
                ran_ns, waited_ns, runs = map(int, os.pread(file, 64, 0).split())
                found[thread] = Account(ran_ns / 1e9, waited_ns / 1e9, runs)
        return found


def _cpus(thread: int) -> frozenset[int]:
    try:
        return frozenset(os.sched_getaffinity(thread))
    except OSError:  # it has ended
        return frozenset()


@contextmanager
def watched(tasks: Path = TASKS) -> Iterator[Scheduler]:
    """Watch the threads that there are by now: a file stays open, and reading it takes 1 µs."""
    files: dict[int, int] = {}
    try:
        with suppress(OSError):
            for folder in tasks.iterdir():
                with suppress(OSError):
                    files[int(folder.name)] = os.open(folder / "schedstat", os.O_RDONLY)
        yield Scheduler(files)
    finally:
        for file in files.values():
            os.close(file)


def waited_s(before: Accounts, after: Accounts, cpus: int) -> float | None:
    """For how long others held the threads up between two readings: the one that waited longest.

    None where nothing is known: this system keeps no accounts, or more threads ran than there are
    CPUs. They may then have waited for each other, as those of a backward pass do for those of the
    forward, and that is the network's own cost.
    """
    spans = [
        Account(
            ran_s=now.ran_s - then.ran_s,
            waited_s=now.waited_s - then.waited_s,
            runs=now.runs - then.runs,
        )
        for thread, now in after.items()
        if (then := before.get(thread))
    ]
    if not any(account.ran_s for account in after.values()):
        return None
    if sum(span.ran_s + span.waited_s >= RAN_S for span in spans) > cpus:
        return None
    return max((span.waited_s - span.runs * WAKING_S for span in spans), default=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Iterations one by one: those that count as a ``Timing`` has them, and those that do not."""

    host_s: tuple[float, ...]
    device_s: tuple[float, ...]
    disturbed_s: tuple[float, ...] | None
    """By the host's clock; None where nothing is known of any."""


def block(clock: Clock, step: Step, iterations: int) -> Block:
    """Time so many iterations that nobody disturbed, if twice as many tries have them.

    If not, those count that waited for the smallest share of their time: where others are busy all
    the time it is these or none, and above a bound the round is voided anyway.
    """
    timings: list[Timing] = []
    waited: list[float | None] = []
    with watched() as scheduler:
        before = scheduler.read()
        while len(timings) < MOST_TRIES * iterations and voiding.undisturbed(waited) < iterations:
            timings.append(clock.time(step, 1))
            after = scheduler.read()
            seconds = waited_s(before, after, scheduler.cpus)
            waited.append(None if seconds is None else seconds / timings[-1].host_s[0])
            before = after
    counting = voiding.counting(waited, iterations)
    disturbed_s = tuple(
        timing.host_s[0] for index, timing in enumerate(timings) if index not in counting
    )
    return Block(
        host_s=tuple(timings[index].host_s[0] for index in counting),
        device_s=tuple(sample for index in counting for sample in timings[index].device_s),
        disturbed_s=None if all(share is None for share in waited) else disturbed_s,
    )
