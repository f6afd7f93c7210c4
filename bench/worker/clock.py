"""Clocks that time a step until its work is done, and nothing else."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch

from bench.records.record import BackToBack

Step = Callable[[], object]

# The device sleeps for this many times the duration of a call, so that it cannot start the work of
# the call before the call returns.
STALL_FACTOR = 3
MIN_STALL_S, MAX_STALL_S = 1e-3, 0.5
# The device sleeps for a number of its own cycles. No GPU has shorter cycles than this, so the
# sleep is never too short.
SHORTEST_CYCLE_S = 1 / 3e9


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Seconds per iteration of a block, in order."""

    host_s: tuple[float, ...]
    """Host time of a call and of the wait for its work to end, in seconds."""
    device_s: tuple[float, ...]
    """Time between two CUDA events, in seconds; empty on a CPU."""


class Clock(Protocol):
    """Protocol of a clock that times iterations of a step."""

    def time(self, step: Step, iterations: int) -> Timing:
        """Run ``step`` ``iterations`` times, timing each."""
        ...


class BlockClock(Clock, Protocol):
    """Protocol of a clock that can also time several iterations together."""

    def back_to_back(self, step: Step, iterations: int) -> BackToBack | None:
        """Time ``iterations`` steps with no wait in between; None if every call waits anyway."""
        ...


class HostClock:
    """Clock for a device whose calls return when the work is done."""

    def __init__(self, now: Callable[[], float] = time.perf_counter) -> None:
        self._now = now

    def time(self, step: Step, iterations: int) -> Timing:
        """Time each iteration with the host's clock."""
        now = self._now
        durations = []
        for _ in range(iterations):
            start = now()
            step()
            durations.append(now() - start)
        return Timing(host_s=tuple(durations), device_s=())

    def back_to_back(self, step: Step, iterations: int) -> None:
        """Return None: on this device single iterations already run without a wait between them."""
        del step, iterations


class CudaClock:
    """Clock for a CUDA device, whose calls return before the work is done."""

    def __init__(
        self,
        device: torch.device,
        now: Callable[[], float] = time.perf_counter,
        *,
        flush: Step | None = None,
    ) -> None:
        """``flush`` runs before each iteration and ends before the timing starts."""
        self._device = device
        self._now = now
        self._flush = flush

    def time(self, step: Step, iterations: int) -> Timing:
        """Time each iteration with the host's clock and, inside that span, with two events."""
        host_s, device_s = [], []
        before, after = _events(2)
        torch.cuda.synchronize(self._device)
        for _ in range(iterations):
            if self._flush is not None:
                self._flush()
                torch.cuda.synchronize(self._device)
            start = self._now()
            before.record()
            step()
            after.record()
            torch.cuda.synchronize(self._device)
            host_s.append(self._now() - start)
            device_s.append(before.elapsed_time(after) / 1e3)  # elapsed_time is in milliseconds
        return Timing(host_s=tuple(host_s), device_s=tuple(device_s))

    def back_to_back(self, step: Step, iterations: int) -> BackToBack:
        """Time ``iterations`` together, and then one step that is enqueued before it starts."""
        before, after = _events(2)
        torch.cuda.synchronize(self._device)
        start = self._now()
        before.record()
        step()
        first_s = self._now() - start
        for _ in range(iterations - 1):
            step()
        after.record()
        enqueue_s = self._now() - start
        torch.cuda.synchronize(self._device)
        host_s = self._now() - start
        return BackToBack(
            iterations=iterations,
            enqueue_s=enqueue_s,
            host_s=host_s,
            device_s=before.elapsed_time(after) / 1e3,
            busy_s=self._busy_s(step, first_s),
        )

    def _busy_s(self, step: Step, enqueue_s: float) -> float | None:
        """Return the device's seconds for a step that is completely enqueued before it starts.

        While the device sleeps, a call only enqueues its work, as with nvbench's blocking kernel.
        Returns None if the call took longer than the sleep, because then the device may have waited
        too. The cause is a full queue, or a step that waits for its own results.
        """
        asleep, before, after = _events(3)
        start = self._now()
        asleep.record()
        torch.cuda._sleep(stall_cycles(enqueue_s))
        before.record()
        step()
        after.record()
        took_s = self._now() - start
        torch.cuda.synchronize(self._device)
        if took_s >= asleep.elapsed_time(before) / 1e3:
            return None
        return float(before.elapsed_time(after)) / 1e3


def _events(count: int) -> list[torch.cuda.Event]:
    """Return CUDA events, recorded once so that their lazy creation is not timed."""
    events = [torch.cuda.Event(enable_timing=True) for _ in range(count)]
    for event in events:
        event.record()
    return events


def stall_cycles(enqueue_s: float) -> int:
    """Return the cycles that a device must sleep while a call of ``enqueue_s`` seconds returns."""
    stall_s = min(max(STALL_FACTOR * enqueue_s, MIN_STALL_S), MAX_STALL_S)
    return round(stall_s / SHORTEST_CYCLE_S)


def for_device(device: torch.device, flush: Step | None = None) -> HostClock | CudaClock:
    """Return the clock for ``device``; ``flush`` empties a GPU's cache before each iteration."""
    return CudaClock(device, flush=flush) if device.type == "cuda" else HostClock()
