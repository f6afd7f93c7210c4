"""Visit policy: the order of visits to the workers, the pause before each, and its iterations."""

import math
import platform
import random
from collections.abc import Iterable
from dataclasses import dataclass
from operator import attrgetter

from bench.cells.cell import Cell

MAX_ITERATIONS = 20
# Share of visits that drop one more iteration, if the policy drops any. Without it, a network that
# is slow every second time would be slow in all of its timed iterations, or in none.
EXTRA_DROP_PROBABILITY = 0.25
MIN_BACK_TO_BACK = 2  # iterations of a block: a single one has nothing to overlap with


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitPolicy:
    """A way to visit workers."""

    pause_s: float
    """Pause before a visit, in seconds."""
    visit_s: float
    """Target for the total time of a visit's timed iterations, in seconds."""
    drop_below_s: float
    """Latency of the fastest worker, in seconds, below which visits drop their first iteration."""
    passes: int = 1
    """Runs of the network in an iteration."""
    effort: float = 1.0
    """Seconds of measuring per second of starting a set (rounds_per_set.py)."""

    def dropped(self, fastest_s: float) -> int:
        """Return the untimed first iterations of each visit, the same for all workers of a wave.

        ``fastest_s`` is the latency of the fastest worker.
        """
        return 1 if fastest_s < self.drop_below_s else 0

    def timed(self, latency_s: float) -> int:
        """Return the timed iterations per visit: many for a fast network, one for a slow one."""
        return max(1, min(MAX_ITERATIONS, round(self.visit_s / max(latency_s, 1e-6))))

    def expected_s(self, latency_s: float, *, dropped: int) -> float:
        """Return the expected time of a visit without its pause, in seconds."""
        return (dropped + self.timed(latency_s)) * self.passes * latency_s


# The machine's noise is the same at every time scale from 0.02 to 3 s, so precision comes from the
# number of alternations and not from their length (docs/sharpness.md). The first iteration finds
# another network's data in the caches and takes about 1 ms longer: 15 % at 6 ms, 1 to 4 % at 25 to
# 40 ms, at most 1 % from 100 ms on.
SHORT = VisitPolicy(pause_s=0.0, visit_s=0.025, drop_below_s=0.1)
# For two versions of one network: the extra time of the first iteration is the same for both and
# cancels in the ratio. Without dropped iterations, the timed ones directly follow each other: for
# the same measuring time, the log-ratio of two workers had half the standard error.
ALTERNATING = VisitPolicy(pause_s=0.0, visit_s=0.025, drop_below_s=0.0, effort=0.5)
# If OpenMP's threads spin for milliseconds after a visit, they disturb the next worker: after a
# pause of 5 ms its first iteration took 7.7 % longer, and the second 0.1 %. The effect of one
# process on the next on a GPU has not been measured, because no GPU was available.
BLOCKS = VisitPolicy(pause_s=0.005, visit_s=0.16, drop_below_s=math.inf)


def choose(
    device: str, environment: str, *, versions: bool, system: str = platform.system()
) -> VisitPolicy:
    """Return the policy for a device and an environment of bench/machine/pinned.py.

    Only the pinned environment stops the threads of GNU OpenMP, which PyTorch uses on Linux, from
    spinning into the next visit. ``versions`` is True if versions of one network are compared.
    """
    may_be_short = device == "cpu" and environment == "pinned" and system == "Linux"
    return (ALTERNATING if versions else SHORT) if may_be_short else BLOCKS


def order(cells: Iterable[Cell], chance: random.Random, *, against_base: bool) -> list[Cell]:
    """Return the order of a round: random, with compared cells next to each other.

    In a gate these are the head and the base of a cell, with the control before or after them.
    Otherwise these are the cells of one mode. The machine's noise changes from one visit to the
    next: on two cores the standard deviation of the log-ratio of two workers was 5.1 % if they were
    neighbours, and 8.9 % with four other visits between them
    (reports/cpu-amd-epyc-2-cores/sharpness.md).
    """
    by_block: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        by_block.setdefault((cell.arch if against_base else "", cell.mode), []).append(cell)
    blocks, ordered = list(by_block.values()), list[Cell]()
    chance.shuffle(blocks)
    for block in blocks:
        chance.shuffle(block)
        if against_base:
            block.sort(key=attrgetter("control"), reverse=chance.random() < 0.5)
        ordered += block
    return ordered
