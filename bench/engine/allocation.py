"""Allocation: how many rounds a set has. Pure.

With c the seconds of starting a set over those of a round, and R and S a ratio's standard deviation
from round to round and from set to set, an interval of many sets is narrowest for its time with
R / S · √c rounds in each (Kalibera and Jones, "Rigorous benchmarking in reasonable time", ISMM
2013). Student's t asks for more sets than that: with R 5 %, S 0.5 % and c 11, ±2 % takes the time
of 222 rounds in 3 sets of 63 rounds, of 110 in 5 sets of 11, and of 128 in 8 sets of 5. So sets
measure for about as long as they took to start.
"""

LEAST = 5  # rounds: the median of fewer is no middle
MOST = 400  # rounds: of networks of 1 ms, whose visits the parent's own work would fill

# Seconds of starting a worker that count. The first set in a new environment reads PyTorch from
# disk for the first time: it took 30 s for 7 workers where the next ones took 5.
MOST_START_S = 1.5


def rounds(effort: float, *, set_s: float, round_s: float, workers: int) -> int:
    """The rounds of a set that takes ``set_s`` to prepare and warm up, and ``round_s`` a round.

    ``effort``: seconds of measuring for each second of starting. ``workers``: how many it starts.
    """
    start_s = min(set_s, MOST_START_S * workers)
    return max(LEAST, min(MOST, round(effort * start_s / max(round_s, 1e-6))))
