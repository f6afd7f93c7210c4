"""Allocation: how many rounds a set has. Pure.

A set measures for as long as it took to start. With c the seconds of starting a set over those of a
round, R and S a ratio's standard deviation from round to round and from set to set, an interval of
many sets is narrowest for its time with R / S · √c rounds (Kalibera and Jones, "Rigorous
benchmarking in reasonable time", ISMM 2013). Student's t asks for more sets than that: with R 5 %,
S 0.5 % and c 11, ±2 % takes the time of 222 rounds in 3 sets of 63 rounds, and of 108 in 5 of 11.
"""

LEAST, MOST = 5, 400


def rounds(*, set_s: float, round_s: float) -> int:
    """The rounds of a set that takes ``set_s`` to start and ``round_s`` for each round."""
    return max(LEAST, min(MOST, round(set_s / max(round_s, 1e-6))))
