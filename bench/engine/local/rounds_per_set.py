"""Choice of the number of rounds per set. Pure functions.

Let c be the time to start a set divided by the time of a round. Let R and S be the standard
deviations of a ratio between rounds and between sets. For a given measuring time and many sets, the
interval is narrowest with R / S · √c rounds per set (Kalibera and Jones, "Rigorous benchmarking in
reasonable time", ISMM 2013). Student's t favours more sets than that. With R 5 %, S 0.5 % and c 11,
an interval of ±2 % takes the time of 222 rounds in 3 sets of 63 rounds, of 110 in 5 sets of 11, and
of 128 in 8 sets of 5. So a set measures for about as long as it took to start. A gate has shorter
rounds with less noise, and takes the least time with half of that (simulated: R 2.5 to 5 %, six
cells on two cores).
"""

MIN_ROUNDS = 5  # the median of fewer rounds is not robust
MAX_ROUNDS = 400  # for networks of 1 ms: most of a visit would be the parent's own work

# Upper limits, in seconds, of the import time of PyTorch and of the start time per worker that
# count. The first set in a new environment reads PyTorch from disk: it took 30 s to start 7
# workers, and the next sets took 5 s.
MAX_IMPORT_S = 5.0
MAX_START_S = 1.5


def rounds(effort: float, *, importing_s: float, set_s: float, round_s: float, workers: int) -> int:
    """Return the number of rounds for a set of ``workers`` workers.

    ``effort`` is the seconds of measuring per second of starting. ``importing_s`` is the group's
    share of the time that a set's fork server takes to import PyTorch. ``set_s`` is the time to
    prepare and warm up the workers, and ``round_s`` the time of one round.
    """
    start_s = min(importing_s, MAX_IMPORT_S) + min(set_s, MAX_START_S * workers)
    return max(MIN_ROUNDS, min(MAX_ROUNDS, round(effort * start_s / max(round_s, 1e-6))))
