"""Visiting: in which order workers are visited, after what pause, and for how many iterations."""

import math
import platform
import random
from collections.abc import Iterable
from dataclasses import dataclass
from operator import attrgetter

from bench.cells.cell import Cell

MOST_ITERATIONS = 20
# The share of visits that drop one iteration more, where they drop any. Without it, a network that
# is slow every second time would be slow in all of its timed iterations, or in none.
EXTRA_DROPPED = 0.25
LEAST_BACK_TO_BACK = 2  # iterations: of one alone nothing overlaps


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitPolicy:
    """One way to visit workers."""

    pause_s: float
    """Before a visit."""
    visit_s: float
    """What a visit's timed iterations should take together."""
    drop_below_s: float
    """The first iteration of each visit is dropped where the fastest worker takes less than this.
    """
    effort: float = 1.0
    """Seconds that a set measures for each second of starting it (allocation.py)."""

    def dropped(self, fastest_s: float) -> int:
        """Iterations of each visit that are run and not timed: as many for every worker of a wave.

        ``fastest_s`` is the latency of the fastest of them.
        """
        return 1 if fastest_s < self.drop_below_s else 0

    def timed(self, latency_s: float) -> int:
        """Timed iterations: many of a fast network, one of a slow one."""
        return max(1, min(MOST_ITERATIONS, round(self.visit_s / max(latency_s, 1e-6))))

    def expected_s(self, latency_s: float, *, dropped: int) -> float:
        """Seconds of a visit, without its pause."""
        return (dropped + self.timed(latency_s)) * latency_s


# The machine's noise is alike at every time scale from 0.02 to 3 s, so precision comes from the
# number of alternations and not from their length (docs/sharpness.md). The first iteration finds
# another network's data in the caches and takes about 1 ms more: 15 % at 6 ms, 1 to 4 % at 25 to
# 40 ms, at most 1 % from 100 ms on.
SHORT = VisitPolicy(pause_s=0.0, visit_s=0.025, drop_below_s=0.1)
# Of two versions of one network the first iteration costs both as much, and cancels. Without a
# dropped iteration between them, timed ones are neighbours: after the same time, the log-ratio of
# two workers had half the standard error.
ALTERNATING = VisitPolicy(pause_s=0.0, visit_s=0.025, drop_below_s=0.0, effort=0.5)
# Where OpenMP's threads spin for milliseconds after a visit, they disturb the next worker: after a
# pause of 5 ms its first iteration took 7.7 % longer, and the second 0.1 %. What one process costs
# the next on a GPU has not been measured: none was at hand.
BLOCKS = VisitPolicy(pause_s=0.005, visit_s=0.16, drop_below_s=math.inf)


def choose(
    device: str, environment: str, *, versions: bool, system: str = platform.system()
) -> VisitPolicy:
    """How to visit workers on a device that run in an environment of bench/machine/environment.py.

    Only the pinned one keeps the threads of GNU OpenMP, which PyTorch has on Linux, from spinning
    into the next visit. ``versions``: whether what is compared are versions of one network.
    """
    may_be_short = device == "cpu" and environment == "pinned" and system == "Linux"
    return (ALTERNATING if versions else SHORT) if may_be_short else BLOCKS


def order(cells: Iterable[Cell], chance: random.Random, *, against_base: bool) -> list[Cell]:
    """The order of a round: random, with compared cells next to each other.

    These are head and base of a gate's cell, before or after the control, and otherwise the cells
    of one mode. The machine's noise changes from one visit to the next: on two cores the log-ratio
    of two workers scattered by 5.1 % where they were neighbours, and by 8.9 % where four others
    were visited between them (reports/cpu-amd-epyc-2-cores/sharpness.md).
    """
    by_block: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        by_block.setdefault((cell.arch if against_base else "", cell.mode), []).append(cell)
    blocks, found = list(by_block.values()), list[Cell]()
    chance.shuffle(blocks)
    for block in blocks:
        chance.shuffle(block)
        if against_base:
            block.sort(key=attrgetter("control"), reverse=chance.random() < 0.5)
        found += block
    return found
