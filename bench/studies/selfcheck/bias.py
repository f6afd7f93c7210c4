"""Bias: the suite's clock against ``torch.utils.benchmark.Timer``, and the clock's overhead.

On CUDA it is also compared with ``triton.testing.do_bench``.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec

from bench import means
from bench.archs.source import IMAGE_SIZE
from bench.cells import plan_values
from bench.cells.cell import Cell
from bench.launch import timeouts
from bench.launch.launchers import Launcher
from bench.means import Interval
from bench.studies.selfcheck.protocol import CompareWithDoBench, CompareWithTimer, TimeNothing
from bench.worker.protocol import Prepare

# Blocks are short because the machine drifts between them: 128 pairs of 0.1 s give a verdict when
# 32 pairs of 0.4 s do not. On CUDA the Timer chooses to run up to ten times as long.
PAIRS, BLOCK_S = 128, 0.1
PAIRS_ON_CUDA, BLOCK_ON_CUDA_S = 8, 0.4
ACCEPTED = 0.01  # largest accepted distance of the ratio from 1
# Larger, because a GPU changes its clock rates from one block to the next.
ACCEPTED_ON_CUDA = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class OnDevice:
    """Comparison of the suite's CUDA events with ``triton.testing.do_bench``."""

    latency_s: float
    """Median host time of one call, with the wait for its end."""
    span_s: float
    """Median time between two events around one call."""
    ratio: Interval
    """The suite's median span over do_bench's, over pairs of blocks in one process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bias:
    """Bias of the clock for one cell."""

    cell: Cell
    latency_s: float
    """Median latency by the suite's clock."""
    ratio: Interval
    """The suite's median over the Timer's, over pairs of blocks in one process."""
    empty_step_s: float
    """Median duration of a step that does nothing, by the suite's clock."""
    on_device: OnDevice | None = None

    @property
    def is_accepted(self) -> bool | None:
        """Whether all intervals lie within 1 % of 1, or 2 % on CUDA; None if too noisy to tell."""
        accepted = ACCEPTED_ON_CUDA if self.on_device else ACCEPTED
        ratios = [self.ratio, *([self.on_device.ratio] if self.on_device else [])]
        agree = [_agree(ratio, accepted) for ratio in ratios]
        return False if False in agree else None if None in agree else True


def _agree(ratio: Interval, accepted: float) -> bool | None:
    if 1 - accepted <= ratio.low and ratio.high <= 1 + accepted:
        return True
    may_agree = ratio.low <= 1 + accepted and ratio.high >= 1 - accepted
    return None if may_agree else False


def measure(cells: Sequence[Cell], launcher: Launcher, *, seed: int) -> Iterator[Bias]:
    """Measure each cell in a process of its own; raises ``WorkerError`` if that fails.

    ``launcher`` must start the workers of bench/studies/selfcheck/worker.py.
    """
    for cell in cells:
        on_cpu = cell.device == "cpu"
        pairs, block_s = (PAIRS, BLOCK_S) if on_cpu else (PAIRS_ON_CUDA, BLOCK_ON_CUDA_S)
        worker = launcher.launch()
        try:
            prepare = Prepare(
                cell=cell, image_size=IMAGE_SIZE, seed=seed, l2=plan_values.l2(None, cell.device)
            )
            worker.request(prepare, limit_s=timeouts.PREPARE_S)
            limit_s = timeouts.visit_timeout_s(2 * pairs * block_s)
            compare = CompareWithTimer(pairs=pairs, block_s=block_s)
            timer = worker.request(compare, limit_s=limit_s)
            do_bench = (
                None
                if on_cpu
                else worker.request(
                    CompareWithDoBench(pairs=pairs, block_s=block_s), limit_s=limit_s
                )
            )
            empty = worker.request(TimeNothing(), limit_s=timeouts.GRACE_S)
        finally:
            worker.kill()
        yield summarize(
            cell,
            timer.clock_s,
            timer.timer_s,
            empty.host_s,
            on_device(**msgspec.structs.asdict(do_bench)) if do_bench else None,
        )


def summarize(
    cell: Cell,
    clock_s: Sequence[float],
    timer_s: Sequence[float],
    empty_step_s: float,
    on_device: OnDevice | None = None,
) -> Bias:
    """Return the bias from pairs of medians, in seconds."""
    return Bias(
        cell=cell,
        latency_s=means.percentile(clock_s, 50),
        ratio=ratio(clock_s, timer_s),
        empty_step_s=empty_step_s,
        on_device=on_device,
    )


def on_device(span_s: Sequence[float], do_bench_s: Sequence[float], latency_s: float) -> OnDevice:
    """Return the comparison of events from pairs of medians, in seconds."""
    return OnDevice(
        latency_s=latency_s, span_s=means.percentile(span_s, 50), ratio=ratio(span_s, do_bench_s)
    )


def ratio(suite_s: Sequence[float], other_s: Sequence[float]) -> Interval:
    """Return the ratio of the suite's times to the other tool's, over pairs."""
    logs = [math.log(suite / other) for suite, other in zip(suite_s, other_s, strict=True)]
    return means.exponential(means.interval(logs))
