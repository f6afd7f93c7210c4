"""Sustained work: iterations one after the other, with no wait between them.

If the host launches iterations faster than the device runs them, the device never waits. In a
launch-bound cell the device is idle for much of the time.
"""

import time
from collections import deque
from collections.abc import Callable

import torch

from bench.worker.clock import Step
from bench.worker.protocol import Sustained

# Iterations in flight: enough to keep the device busy if the host is faster, and few enough that
# the loop ends on time.
IN_FLIGHT = 8


def sustain(
    step: Step,
    seconds: float,
    device: torch.device,
    now: Callable[[], float] = time.perf_counter,
) -> Sustained:
    """Iterate for at least ``seconds``, then wait until all work is done."""
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
