"""A worker that also puts its clock beside others': PyTorch's, and on CUDA Triton's."""

import math
import os
from collections.abc import Callable, Sequence
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
        """A worker's, and three more."""
        return {
            **super().operations(),
            "beside_timer": self.beside_timer,
            "beside_do_bench": self.beside_do_bench,
            "empty_step": self.empty_step,
        }

    def beside_timer(self, pairs: int, block_s: float) -> dict[str, Any]:
        """Median seconds by our clock and by ``Timer.blocked_autorange``, pair by pair.

        Half of ours lies before the Timer's block and half after it, so that a drift is in both;
        each takes ``block_s`` at the least, and begins with an iteration that is dropped. The Timer
        waits at the ends of its blocks alone: on CUDA ours are the back-to-back ones.
        """
        task = self._ready().task
        timer = Timer("step()", globals={"step": task.step}, num_threads=torch.get_num_threads())
        ours = self._latencies if self.device.type == "cpu" else self._periods
        clock_s, timer_s = self._beside(
            ours,
            lambda: float(timer.blocked_autorange(min_run_time=block_s).median),
            pairs,
            block_s,
        )
        return {"clock_s": clock_s, "timer_s": timer_s}

    def beside_do_bench(self, pairs: int, block_s: float) -> dict[str, Any]:
        """Median spans on the device by our clock and by ``triton.testing.do_bench``, by pair.

        Both are between two events around a call, and empty the L2 cache before it. The latency by
        the host's clock is there too.
        """
        from triton.testing import do_bench

        step = self._ready().task.step
        spans_s, theirs_s = self._beside(
            lambda iterations: self._clock().time(step, 1 + iterations).device_s[1:],
            lambda: float(do_bench(step, rep=block_s * 1e3, return_mode="median")) / 1e3,
            pairs,
            block_s,
        )
        with self._ready().task.context():
            latencies_s = self._latencies(pairs)
        return {"span_s": spans_s, "do_bench_s": theirs_s, "latency_s": median(latencies_s)}

    def _beside(
        self,
        ours: Callable[[int], Sequence[float]],
        theirs: Callable[[], float],
        pairs: int,
        block_s: float,
    ) -> tuple[list[float], list[float]]:
        """Medians of ours, half before and half after each of theirs; and theirs."""
        iterations = max(1, math.ceil(block_s / 2 / median(self.warm_up()["durations_s"])))
        own_s, their_s = [], []
        with self._ready().task.context():
            for _ in range(pairs):
                before_s = ours(iterations)
                their_s.append(theirs())
                own_s.append(median((*before_s, *ours(iterations))))
        return own_s, their_s

    def _latencies(self, iterations: int) -> Sequence[float]:
        step = self._ready().task.step
        return self._clock().time(step, 1 + iterations).host_s[1:]

    def _periods(self, iterations: int) -> Sequence[float]:
        """Seconds of an iteration in a block of them with no wait between them."""
        block = clock.CudaClock(self.device).back_to_back(self._ready().task.step, iterations)
        return (block.host_s / block.iterations,)

    def empty_step(self) -> dict[str, Any]:
        """Median seconds that the clock gives a step that does nothing."""
        iterations = EMPTY_ITERATIONS if self.device.type == "cpu" else EMPTY_ITERATIONS // 100
        timing = clock.for_device(self.device).time(lambda: None, iterations)
        return {"host_s": median(timing.host_s), "device_s": median(timing.device_s or [0.0])}


if __name__ == "__main__":
    die_with(os.getppid())
    run(ExaminedWorker())
