"""The one clock: it times a step to the end of its work, and nothing around it."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch

from bench.records.record import BackToBack

Step = Callable[[], object]

# Kept busy for so many times as long as a call takes, the device cannot begin before it returned.
STALL_FACTOR = 3
STALL_LEAST_S, STALL_MOST_S = 1e-3, 0.5
# The device sleeps for a number of its own cycles. No GPU's are shorter, so that it is not too few.
SHORTEST_CYCLE_S = 1 / 3e9


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Seconds of each iteration of a block, in order."""

    host_s: tuple[float, ...]
    """By the host's clock, around a call and the wait for its work to end."""
    device_s: tuple[float, ...]
    """Between two CUDA events on the device; empty where there is no such device."""


class Clock(Protocol):
    """Something that times iterations of a step."""

    def time(self, step: Step, iterations: int) -> Timing:
        """Run ``step`` ``iterations`` times, timing each."""
        ...


class BlockClock(Clock, Protocol):
    """One that times them together as well."""

    def back_to_back(self, step: Step, iterations: int) -> BackToBack | None:
        """Run ``step`` so often with no wait in between; None where each is waited for anyway."""
        ...


class HostClock:
    """For a device whose calls return when the work is done."""

    def __init__(self, now: Callable[[], float] = time.perf_counter) -> None:
        self._now = now

    def time(self, step: Step, iterations: int) -> Timing:
        """Time each iteration by the host's clock."""
        now = self._now
        durations = []
        for _ in range(iterations):
            start = now()
            step()
            durations.append(now() - start)
        return Timing(host_s=tuple(durations), device_s=())

    def back_to_back(self, step: Step, iterations: int) -> None:
        """Nothing: iterations one by one are back to back already."""
        del step, iterations


class CudaClock:
    """For a CUDA device, whose calls return before the work is done."""

    def __init__(
        self,
        device: torch.device,
        now: Callable[[], float] = time.perf_counter,
        *,
        flush: Step | None = None,
    ) -> None:
        """``flush`` comes before each iteration, and ends before its time begins."""
        self._device = device
        self._now = now
        self._flush = flush

    def time(self, step: Step, iterations: int) -> Timing:
        """Time each iteration by the host's clock and, within it, by two events."""
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
        """Time ``iterations`` together, and then one that the device did not have to wait for."""
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
        """Seconds that the device takes for a step when all of it is there before it begins.

        A call behind a sleeping device is only enqueued, as nvbench's blocking kernel has it. None
        where the call took longer than the sleep: a full queue, or a step that waits for its own
        results, held it up, and then the device may have waited too.
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
    """Events that are there: only being recorded makes one, and that takes its time."""
    events = [torch.cuda.Event(enable_timing=True) for _ in range(count)]
    for event in events:
        event.record()
    return events


def stall_cycles(enqueue_s: float) -> int:
    """Cycles that a device sleeps for, so that a call of ``enqueue_s`` returns meanwhile."""
    stall_s = min(max(STALL_FACTOR * enqueue_s, STALL_LEAST_S), STALL_MOST_S)
    return round(stall_s / SHORTEST_CYCLE_S)


def for_device(device: torch.device, flush: Step | None = None) -> HostClock | CudaClock:
    """The clock that is right for ``device``, with what empties a GPU's cache where it is to be."""
    return CudaClock(device, flush=flush) if device.type == "cuda" else HostClock()
