"""The one clock: it times a step to the end of its work, and nothing around it."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch

Step = Callable[[], object]


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
        before = torch.cuda.Event(enable_timing=True)
        after = torch.cuda.Event(enable_timing=True)
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


def for_device(device: torch.device, flush: Step | None = None) -> Clock:
    """The clock that is right for ``device``, with what empties a GPU's cache where it is to be."""
    return CudaClock(device, flush=flush) if device.type == "cuda" else HostClock()
