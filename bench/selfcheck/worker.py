"""A worker that also puts its clock beside others': PyTorch's, and on CUDA Triton's."""

import math
import os
from collections.abc import Callable, Sequence
from functools import partial
from statistics import median
from timeit import default_timer
from typing import Any

import torch
from torch.utils.benchmark import Timer
from torch.utils.benchmark import timer as synchronised

from bench.worker import clock
from bench.worker.parent_death import die_with_parent
from bench.worker.worker import Operation, Worker, run

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

        The Timer waits at the ends of its blocks alone: on CUDA ours are the back-to-back ones. On
        a CPU it reads the clock as PyTorch advises for code that is a CPU's only: its own way asks
        first whether there is an accelerator, in each block, and without one that takes 0.3 ms.
        """
        task, on_cpu = self._ready().task, self.device.type == "cpu"
        timer = Timer(
            "step()",
            globals={"step": task.step},
            num_threads=torch.get_num_threads(),
            timer=default_timer if on_cpu else synchronised,
        )
        iterations = self._iterations(block_s)
        clock_s, timer_s = self._beside(
            partial(self._latency_s, block_s) if on_cpu else partial(self._period_s, iterations),
            lambda: median(steady(timer.blocked_autorange(min_run_time=block_s).times)),
            pairs,
        )
        return {"clock_s": clock_s, "timer_s": timer_s}

    def beside_do_bench(self, pairs: int, block_s: float) -> dict[str, Any]:
        """Median spans on the device by our clock and by ``triton.testing.do_bench``, by pair.

        Both are between two events around a call, and empty the L2 cache before it. The latency by
        the host's clock is there too.
        """
        from triton.testing import do_bench

        step = self._ready().task.step
        iterations = self._iterations(block_s)
        spans_s, theirs_s = self._beside(
            lambda: median(steady(self._clock().time(step, 1 + iterations).device_s)),
            lambda: float(do_bench(step, rep=block_s * 1e3, return_mode="median")) / 1e3,
            pairs,
        )
        with self._ready().task.context():
            latency_s = self._latency_s(block_s)
        return {"span_s": spans_s, "do_bench_s": theirs_s, "latency_s": latency_s}

    def _beside(
        self, ours: Callable[[], float], theirs: Callable[[], float], pairs: int
    ) -> tuple[list[float], list[float]]:
        """What one block of each shows, pair by pair; whose comes first changes with each pair.

        A drift is in both then. Both are in one piece, or what disturbs for as long as a block
        would be in more of the median of one than of the other.
        """
        own_s, their_s = [], []
        with self._ready().task.context():
            for pair in range(pairs):
                if pair % 2:
                    their_s.append(theirs())
                own_s.append(ours())
                if not pair % 2:
                    their_s.append(theirs())
        return own_s, their_s

    def _iterations(self, seconds: float) -> int:
        """How many take so long, once warmed up."""
        latency_s: float = median(self.warm_up()["durations_s"])
        return max(1, math.ceil(seconds / latency_s))

    def _latency_s(self, seconds: float) -> float:
        """Median over iterations that take so long together, the first of them apart."""
        step, own = self._ready().task.step, self._clock()
        latencies_s = list(own.time(step, 1).host_s)
        while sum(latencies_s) < seconds:
            latencies_s += own.time(step, 1).host_s
        return median(steady(latencies_s))

    def _period_s(self, iterations: int) -> float:
        """Seconds of an iteration in a block of them with no wait between them, after one more."""
        self._ready().task.step()
        block = clock.CudaClock(self.device).back_to_back(self._ready().task.step, iterations)
        return block.host_s / block.iterations

    def empty_step(self) -> dict[str, Any]:
        """Median seconds that the clock gives a step that does nothing."""
        iterations = EMPTY_ITERATIONS if self.device.type == "cpu" else EMPTY_ITERATIONS // 100
        timing = clock.for_device(self.device).time(lambda: None, iterations)
        return {"host_s": median(timing.host_s), "device_s": median(timing.device_s or [0.0])}


def steady(times_s: Sequence[float]) -> Sequence[float]:
    """Without the first where there are more.

    What was done before it is in it: the Timer sets the number of threads, after which it is 2 %
    slower than the others; and on a GPU others' work may have been there.
    """
    return times_s[1:] or times_s


if __name__ == "__main__":
    die_with_parent(os.getppid())
    run(ExaminedWorker())
