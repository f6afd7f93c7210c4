"""Sustained work: iterations one after the other, with no wait between them.

A device that the host launches faster than it works always has the next one; of a launch-bound cell
it is idle for much of the time.
"""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import torch

from bench.worker.clock import Step

# Enough that the device has the next one where the host is the faster, and few enough
# that a window ends in time.
IN_FLIGHT = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Sustained:
    """What was done, and in which time."""

    iterations: int
    wall_s: float


def sustain(
    step: Step,
    seconds: float,
    device: torch.device,
    now: Callable[[], float] = time.perf_counter,
) -> Sustained:
    """Iterate for so long at the least, and to the end of the work."""
    start, iterations = now(), 0
    in_flight: deque[torch.cuda.Event] = deque()
    while now() - start < seconds:
        step()
        iterations += 1
        if device.type == "cuda":
            done = torch.cuda.Event()
            done.record()
            in_flight.append(done)
            if len(in_flight) > IN_FLIGHT:
                in_flight.popleft().synchronize()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return Sustained(iterations=iterations, wall_s=now() - start)
