"""Bias: our clock beside ``torch.utils.benchmark``'s, and what our clock itself takes.

On CUDA also beside ``triton.testing.do_bench``'s.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from bench import means
from bench.cells import plan
from bench.cells.cell import Cell
from bench.cells.plan import IMAGE_SIZE
from bench.engine import timeouts
from bench.engine.launch import Launcher
from bench.means import Interval

# Of short blocks, since the machine drifts between them: 128 pairs of 0.1 s tell what 32 of 0.4 s
# leave open. On CUDA the Timer takes up to ten times as long, by its own choice.
PAIRS, BLOCK_S = 128, 0.1
PAIRS_ON_CUDA, BLOCK_ON_CUDA_S = 8, 0.4
ACCEPTED = 0.01  # of the ratio, to each side of 1
# A GPU's clocks change from one block to the next.
ACCEPTED_ON_CUDA = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class OnDevice:
    """What our events showed beside ``triton.testing.do_bench``'s."""

    latency_s: float
    """By the host's clock, around one call and the wait for its end."""
    span_s: float
    """Between two events around one call."""
    ratio: Interval
    """Our median span over do_bench's, over pairs of blocks of the same process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bias:
    """What one cell's worker showed."""

    cell: Cell
    latency_s: float
    ratio: Interval
    """Our clock's median over the Timer's, over pairs of blocks of the same process."""
    empty_step_s: float
    """What our clock gives a step that does nothing."""
    on_device: OnDevice | None = None

    @property
    def is_accepted(self) -> bool | None:
        """Whether all agree within 1 %, on CUDA 2 %, by their whole intervals; None: unclear."""
        accepted = ACCEPTED_ON_CUDA if self.on_device else ACCEPTED
        ratios = [self.ratio, *([self.on_device.ratio] if self.on_device else [])]
        found = [_agree(ratio, accepted) for ratio in ratios]
        return False if False in found else None if None in found else True


def _agree(ratio: Interval, accepted: float) -> bool | None:
    if 1 - accepted <= ratio.low and ratio.high <= 1 + accepted:
        return True
    may_agree = ratio.low <= 1 + accepted and ratio.high >= 1 - accepted
    return None if may_agree else False


def measure(cells: Sequence[Cell], launcher: Launcher, *, seed: int) -> Iterator[Bias]:
    """Measure each cell in a process of its own; raises ``WorkerError`` where that fails.

    ``launcher`` starts workers of bench/selfcheck/worker.py.
    """
    for cell in cells:
        on_cpu = cell.device == "cpu"
        pairs, block_s = (PAIRS, BLOCK_S) if on_cpu else (PAIRS_ON_CUDA, BLOCK_ON_CUDA_S)
        worker = launcher.launch()
        try:
            worker.request(
                "prepare",
                limit_s=timeouts.PREPARE_S,
                cell=asdict(cell),
                image_size=IMAGE_SIZE,
                seed=seed,
                l2=plan.l2(None, cell.device),
            )
            found = worker.request(
                "beside_timer",
                limit_s=timeouts.visit_timeout_s(2 * pairs * block_s),
                pairs=pairs,
                block_s=block_s,
            )
            beside = not on_cpu and worker.request(
                "beside_do_bench",
                limit_s=timeouts.visit_timeout_s(2 * pairs * block_s),
                pairs=pairs,
                block_s=block_s,
            )
            empty = worker.request("empty_step", limit_s=timeouts.GRACE_S)
        finally:
            worker.kill()
        yield summarize(
            cell,
            found["clock_s"],
            found["timer_s"],
            empty["host_s"],
            on_device(**beside) if beside else None,
        )


def summarize(
    cell: Cell,
    clock_s: Sequence[float],
    timer_s: Sequence[float],
    empty_step_s: float,
    on_device: OnDevice | None = None,
) -> Bias:
    """The bias that pairs of medians show."""
    return Bias(
        cell=cell,
        latency_s=means.percentile(clock_s, 50),
        ratio=ratio(clock_s, timer_s),
        empty_step_s=empty_step_s,
        on_device=on_device,
    )


def on_device(span_s: Sequence[float], do_bench_s: Sequence[float], latency_s: float) -> OnDevice:
    """What pairs of medians show of our events."""
    return OnDevice(
        latency_s=latency_s, span_s=means.percentile(span_s, 50), ratio=ratio(span_s, do_bench_s)
    )


def ratio(ours_s: Sequence[float], theirs_s: Sequence[float]) -> Interval:
    """Ours over theirs, over pairs."""
    logs = [math.log(ours / theirs) for ours, theirs in zip(ours_s, theirs_s, strict=True)]
    return means.exponential(means.interval(logs))
