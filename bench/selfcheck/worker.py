"""A worker that also puts its clock beside PyTorch's own: ``torch.utils.benchmark``."""

import math
import os
from statistics import median
from typing import Any

import torch
from torch.utils.benchmark import Timer

from bench import clock
from bench.lifeline import die_with
from bench.worker import Operation, Worker, run

EMPTY_ITERATIONS = 100_000  # 10 ms of empty steps


class ExaminedWorker(Worker):
    """A worker that can be asked how right its clock is."""

    def operations(self) -> dict[str, Operation]:
        """A worker's, and two more."""
        return {
            **super().operations(),
            "beside_timer": self.beside_timer,
            "empty_step": self.empty_step,
        }

    def beside_timer(self, pairs: int, block_s: float) -> dict[str, Any]:
        """Median seconds by our clock and by ``Timer.blocked_autorange``, pair by pair.

        Half of ours lies before the Timer's block and half after it, so that a drift is in both;
        each takes ``block_s`` at the least, and begins with an iteration that is dropped.
        """
        task = self._ready().task
        own = clock.for_device(self.device)
        timer = Timer("step()", globals={"step": task.step}, num_threads=torch.get_num_threads())
        iterations = max(1, math.ceil(block_s / 2 / median(self.warm_up()["durations_s"])))
        clock_s, timer_s = [], []
        with task.context():
            for _ in range(pairs):
                before_s = own.time(task.step, 1 + iterations).host_s[1:]
                timer_s.append(float(timer.blocked_autorange(min_run_time=block_s).median))
                after_s = own.time(task.step, 1 + iterations).host_s[1:]
                clock_s.append(median((*before_s, *after_s)))
        return {"clock_s": clock_s, "timer_s": timer_s}

    def empty_step(self) -> dict[str, Any]:
        """Median seconds that the clock gives a step that does nothing."""
        iterations = EMPTY_ITERATIONS if self.device.type == "cpu" else EMPTY_ITERATIONS // 100
        timing = clock.for_device(self.device).time(lambda: None, iterations)
        return {"host_s": median(timing.host_s), "device_s": median(timing.device_s or [0.0])}


if __name__ == "__main__":
    die_with(os.getppid())
    run(ExaminedWorker())
