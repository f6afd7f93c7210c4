"""Bias: our clock beside ``torch.utils.benchmark``'s, and what our clock itself takes."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from bench import stats
from bench.cell import Cell
from bench.launch import Launcher
from bench.plan import IMAGE_SIZE
from bench.stats import Interval
from bench.wave import PREPARE_LIMIT_S, VISIT_LIMIT_S

PAIRS = 8
BLOCK_S = 0.4  # of each of a pair; the Timer takes up to ten times as long, by its own choice
ACCEPTED = 0.01  # of the ratio, to each side of 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Bias:
    """What one cell's worker showed."""

    cell: Cell
    latency_s: float
    ratio: Interval
    """Our clock's median over the Timer's, over pairs of blocks of the same process."""
    empty_step_s: float
    """What our clock gives a step that does nothing."""

    @property
    def is_accepted(self) -> bool | None:
        """Whether the two agree within 1 %; None where noise hides it."""
        if abs(self.ratio.estimate - 1) <= ACCEPTED:
            return True
        may_agree = self.ratio.low <= 1 + ACCEPTED and self.ratio.high >= 1 - ACCEPTED
        return None if may_agree else False


def measure(cells: Sequence[Cell], launcher: Launcher, *, seed: int) -> Iterator[Bias]:
    """Measure each cell in a process of its own; raises ``WorkerError`` where that fails.

    ``launcher`` starts workers of bench/selfcheck/worker.py.
    """
    for cell in cells:
        worker = launcher.launch()
        try:
            worker.request(
                "prepare",
                limit_s=PREPARE_LIMIT_S,
                cell=asdict(cell),
                image_size=IMAGE_SIZE,
                seed=seed,
            )
            found = worker.request(
                "beside_timer",
                limit_s=PAIRS * VISIT_LIMIT_S,
                pairs=PAIRS,
                block_s=BLOCK_S,
            )
            empty = worker.request("empty_step", limit_s=VISIT_LIMIT_S)
        finally:
            worker.kill()
        yield of(cell, found["clock_s"], found["timer_s"], empty["host_s"])


def of(cell: Cell, clock_s: Sequence[float], timer_s: Sequence[float], empty_step_s: float) -> Bias:
    """The bias that pairs of medians show."""
    logs = [math.log(ours / theirs) for ours, theirs in zip(clock_s, timer_s, strict=True)]
    return Bias(
        cell=cell,
        latency_s=stats.percentile(clock_s, 50),
        ratio=stats.exponential(stats.interval(logs)),
        empty_step_s=empty_step_s,
    )
