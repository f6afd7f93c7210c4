"""A worker that also puts its clock beside PyTorch's own: ``torch.utils.benchmark``."""

import os
import random
from collections.abc import Callable
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

    def beside_timer(self, pairs: int, block_s: float, seed: int) -> dict[str, Any]:
        """Median seconds by our clock and by ``Timer.blocked_autorange``, in turn.

        Which of a pair comes first is drawn; each takes about ``block_s``, after an iteration that
        is dropped.
        """
        task = self._ready().task
        own = clock.for_device(self.device)
        timer = Timer("step()", globals={"step": task.step}, num_threads=torch.get_num_threads())
        step_s = median(self.warm_up()["durations_s"])
        iterations = max(1, round(block_s / step_s))

        def by_clock() -> float:
            return median(own.time(task.step, iterations).host_s)

        def by_timer() -> float:
            return float(timer.blocked_autorange(min_run_time=block_s).median)

        measured: dict[Callable[[], float], list[float]] = {by_clock: [], by_timer: []}
        order, drawn = list(measured), random.Random(seed)
        with task.context():
            for _ in range(pairs):
                drawn.shuffle(order)
                for measure in order:
                    task.step()
                    measured[measure].append(measure())
        return {"clock_s": measured[by_clock], "timer_s": measured[by_timer]}

    def empty_step(self) -> dict[str, Any]:
        """Median seconds that the clock gives a step that does nothing."""
        iterations = EMPTY_ITERATIONS if self.device.type == "cpu" else EMPTY_ITERATIONS // 100
        timing = clock.for_device(self.device).time(lambda: None, iterations)
        return {"host_s": median(timing.host_s), "device_s": median(timing.device_s or [0.0])}


if __name__ == "__main__":
    die_with(os.getppid())
    run(ExaminedWorker())
