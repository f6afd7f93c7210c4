"""Allocation: how many rounds a set has. Pure.

With c the seconds of starting a set over those of a round, and R and S a ratio's standard deviation
from round to round and from set to set, an interval of many sets is narrowest for its time with
R / S · √c rounds in each (Kalibera and Jones, "Rigorous benchmarking in reasonable time", ISMM
2013). Student's t asks for more sets than that: with R 5 %, S 0.5 % and c 11, ±2 % takes the time
of 222 rounds in 3 sets of 63 rounds, of 110 in 5 sets of 11, and of 128 in 8 sets of 5. So sets
measure for about as long as they took to start. A gate, whose rounds are shorter and sharper, takes
the least time with half of that (simulated: R 2.5 to 5 %, six cells on two cores).
"""

LEAST = 5  # rounds: the median of fewer is no middle
MOST = 400  # rounds: of networks of 1 ms, whose visits the parent's own work would fill

# Seconds that count of importing PyTorch, and of starting a worker. The first set in a new
# environment reads PyTorch from disk: it took 30 s to start 7 workers where the next ones took 5.
MOST_IMPORT_S = 5.0
MOST_START_S = 1.5


def rounds(effort: float, *, importing_s: float, set_s: float, round_s: float, workers: int) -> int:
    """The rounds of a set of so many workers, of which one round takes ``round_s``.

    ``effort``: seconds of measuring for each second of starting. ``importing_s`` is the group's
    share of the time that a set's fork server takes to import PyTorch, ``set_s`` the time of
    preparing and warming up.
    """
    start_s = min(importing_s, MOST_IMPORT_S) + min(set_s, MOST_START_S * workers)
    return max(LEAST, min(MOST, round(effort * start_s / max(round_s, 1e-6))))
