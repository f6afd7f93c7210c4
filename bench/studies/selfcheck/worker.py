"""A worker that compares its clock with PyTorch's Timer, and on CUDA with Triton's do_bench."""

import math
import os
from collections.abc import Callable, Sequence
from functools import partial
from statistics import median
from timeit import default_timer

import torch
from torch.utils.benchmark import Timer
from torch.utils.benchmark import timer as synchronised

from bench.studies.selfcheck.protocol import (
    CompareWithDoBench,
    CompareWithTimer,
    EmptySeconds,
    SpanSeconds,
    TimeNothing,
    TimerSeconds,
)
from bench.worker import clock
from bench.worker.parent_death import die_with_parent
from bench.worker.protocol import WarmUp
from bench.worker.serving import Operations
from bench.worker.worker import Worker, run

EMPTY_ITERATIONS = 100_000  # about 10 ms


class ExaminedWorker(Worker):
    """A worker with operations that measure the bias of its clock."""

    def operations(self) -> Operations:
        """Return the operations of a worker and three more."""
        return {
            **super().operations(),
            CompareWithTimer: self.compare_with_timer,
            CompareWithDoBench: self.compare_with_do_bench,
            TimeNothing: self.empty_step,
        }

    def compare_with_timer(self, request: CompareWithTimer) -> TimerSeconds:
        """Return median seconds by the suite's clock and by ``Timer.blocked_autorange``, per pair.

        The Timer waits for the device only at the ends of its blocks, so on CUDA the suite measures
        back-to-back blocks. On a CPU the Timer gets the clock that PyTorch advises for CPU code,
        because its default looks for an accelerator in each block; without one that takes 0.3 ms.
        """
        task, on_cpu = self._ready().task, self.device.type == "cpu"
        block_s = request.block_s
        timer = Timer(
            "step()",
            globals={"step": task.step},
            num_threads=torch.get_num_threads(),
            timer=default_timer if on_cpu else synchronised,
        )
        iterations = self._iterations(block_s)
        clock_s, timer_s = self._alternate(
            partial(self._latency_s, block_s) if on_cpu else partial(self._period_s, iterations),
            lambda: median(steady(timer.blocked_autorange(min_run_time=block_s).times)),
            request.pairs,
        )
        return TimerSeconds(clock_s=tuple(clock_s), timer_s=tuple(timer_s))

    def compare_with_do_bench(self, request: CompareWithDoBench) -> SpanSeconds:
        """Return median device spans in seconds by the suite's clock and ``do_bench``, per pair.

        Both measure the time between two events around a call, and empty the L2 cache before it.
        The result has the host latency too.
        """
        from triton.testing import do_bench

        step, block_s = self._ready().task.step, request.block_s
        iterations = self._iterations(block_s)
        spans_s, do_bench_s = self._alternate(
            lambda: median(steady(self._clock().time(step, 1 + iterations).device_s)),
            lambda: float(do_bench(step, rep=block_s * 1e3, return_mode="median")) / 1e3,
            request.pairs,
        )
        with self._ready().task.context():
            latency_s = self._latency_s(block_s)
        return SpanSeconds(span_s=tuple(spans_s), do_bench_s=tuple(do_bench_s), latency_s=latency_s)

    def _alternate(
        self, suite: Callable[[], float], other: Callable[[], float], pairs: int
    ) -> tuple[list[float], list[float]]:
        """Measure one block of each per pair, and swap their order from one pair to the next.

        So drift affects both alike. Blocks are not divided, because a disturbance as long as a
        block would then affect the median of one more than that of the other.
        """
        suite_s, other_s = [], []
        with self._ready().task.context():
            for pair in range(pairs):
                if pair % 2:
                    other_s.append(other())
                suite_s.append(suite())
                if not pair % 2:
                    other_s.append(other())
        return suite_s, other_s

    def _iterations(self, seconds: float) -> int:
        """Return how many iterations take ``seconds``, after a warm-up."""
        latency_s: float = median(self.warm_up(WarmUp()).durations_s)
        return max(1, math.ceil(seconds / latency_s))

    def _latency_s(self, seconds: float) -> float:
        """Return the median latency over ``seconds`` of iterations, without the first."""
        step, host_clock = self._ready().task.step, self._clock()
        latencies_s = list(host_clock.time(step, 1).host_s)
        while sum(latencies_s) < seconds:
            latencies_s += host_clock.time(step, 1).host_s
        return median(steady(latencies_s))

    def _period_s(self, iterations: int) -> float:
        """Return the seconds per iteration of a back-to-back block, after one untimed iteration."""
        self._ready().task.step()
        block = clock.CudaClock(self.device).back_to_back(self._ready().task.step, iterations)
        return block.host_s / block.iterations

    def empty_step(self, _: TimeNothing) -> EmptySeconds:
        """Return the median seconds of a step that does nothing, by the suite's clock."""
        iterations = EMPTY_ITERATIONS if self.device.type == "cpu" else EMPTY_ITERATIONS // 100
        timing = clock.for_device(self.device).time(lambda: None, iterations)
        return EmptySeconds(host_s=median(timing.host_s), device_s=median(timing.device_s or [0.0]))


def steady(times_s: Sequence[float]) -> Sequence[float]:
    """Return the times without the first, unless it is the only one.

    Earlier work slows the first one down: the Timer sets the number of threads, after which it is
    2 % slower than the others, and a GPU may still run the work of others.
    """
    return times_s[1:] or times_s


if __name__ == "__main__":
    die_with_parent(os.getppid())
    run(ExaminedWorker())
