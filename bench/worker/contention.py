"""CPU contention: how long threads of this process waited for a CPU that others used.

Linux records this wait per thread, in nanoseconds, in the file ``schedstat`` of the thread's folder
in ``/proc``. A kernel thread that manages memory may use a CPU for 60 ms at a time. That is a small
share of a round but a third of an iteration: a forward pass of GoogLeNet at batch size 8 then takes
240 ms in place of 180 ms. The median of a few such iterations would measure that kernel thread.

An iteration is judged only by the scheduler's record of the wait, as a share of the iteration's
time, and never by that time itself. A quota of CPU time, as in containers, looks like use by
others.
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
MAX_TRIES = 2  # per requested iteration
WAKE_UP_S = 2e-4  # per start of a thread: waking the thread, or its CPU, is not contention
MIN_ACTIVE_S = 1e-4  # a thread that was active for less did not make other threads wait


class Account(NamedTuple):
    """The scheduler's account of one thread."""

    ran_s: float
    waited_s: float
    """Time in which the thread was ready to run but did not run, in seconds."""
    runs: int
    """Number of times that the thread was put on a CPU."""


Accounts = Mapping[int, Account]
"""Accounts by thread id."""


class Scheduler:
    """Reader of the accounts of this process's threads; reads none if the system has none."""

    def __init__(self, files: Mapping[int, int]) -> None:
        """``files`` maps thread ids to descriptors of open ``schedstat`` files."""
        self._files = files
        self.cpus = len(frozenset().union(*map(_cpus, files)))
        """Number of CPUs on which any of the threads may run."""

    def read(self) -> Accounts:
        """Return the current accounts; threads that have ended are left out."""
        accounts = {}
        for thread, file in self._files.items():
            with suppress(OSError):
                ran_ns, waited_ns, runs = map(int, os.pread(file, 64, 0).split())
                accounts[thread] = Account(ran_ns / 1e9, waited_ns / 1e9, runs)
        return accounts


def _cpus(thread: int) -> frozenset[int]:
    try:
        return frozenset(os.sched_getaffinity(thread))
    except OSError:  # the thread has ended
        return frozenset()


@contextmanager
def watched(tasks: Path = TASKS) -> Iterator[Scheduler]:
    """Watch the threads that exist now. Their files stay open, so that a read takes 1 µs."""
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
    """Return the longest time that a thread waited for other processes between two readings.

    Returns None if it is unknown: the system has no accounts, or more threads were active than
    there are CPUs. In that case threads of this process may have waited for each other, as those of
    a backward pass wait for those of the forward pass, and that is the network's own cost.
    """
    spans = [
        Account(
            ran_s=end.ran_s - start.ran_s,
            waited_s=end.waited_s - start.waited_s,
            runs=end.runs - start.runs,
        )
        for thread, end in after.items()
        if (start := before.get(thread))
    ]
    if not any(account.ran_s for account in after.values()):
        return None
    if sum(span.ran_s + span.waited_s >= MIN_ACTIVE_S for span in spans) > cpus:
        return None
    return max((span.waited_s - span.runs * WAKE_UP_S for span in spans), default=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Iterations that were timed one by one: the counting ones, and the disturbed ones."""

    host_s: tuple[float, ...]
    device_s: tuple[float, ...]
    disturbed_s: tuple[float, ...] | None
    """Host times of the iterations that do not count, in seconds; None if waits are unknown."""


def block(clock: Clock, step: Step, iterations: int) -> Block:
    """Time iterations until ``iterations`` of them are undisturbed, in at most twice as many tries.

    If fewer are undisturbed, those that waited for the smallest share of their time count. On a
    machine that is always busy there are no better ones, and above a bound of foreign load the
    round is voided anyway.
    """
    timings: list[Timing] = []
    waited_shares: list[float | None] = []
    with watched() as scheduler:
        before = scheduler.read()
        while (
            len(timings) < MAX_TRIES * iterations
            and voiding.count_undisturbed(waited_shares) < iterations
        ):
            timings.append(clock.time(step, 1))
            after = scheduler.read()
            seconds = waited_s(before, after, scheduler.cpus)
            waited_shares.append(None if seconds is None else seconds / timings[-1].host_s[0])
            before = after
    counting = voiding.counting_iterations(waited_shares, iterations)
    disturbed_s = tuple(
        timing.host_s[0] for index, timing in enumerate(timings) if index not in counting
    )
    return Block(
        host_s=tuple(timings[index].host_s[0] for index in counting),
        device_s=tuple(sample for index in counting for sample in timings[index].device_s),
        disturbed_s=None if all(share is None for share in waited_shares) else disturbed_s,
    )
