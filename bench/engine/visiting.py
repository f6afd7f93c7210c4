"""Visiting: what a visit to a worker is, in pauses and iterations."""

# libgomp's threads spin for some milliseconds after a visit, in the way of the next worker's: they
# cost the first iteration after them 15 %. After a pause of 5 ms that is 3 %, and half as long
# again changes nothing (GoogLeNet at batch 1, two cores).
HANDOVER_S = 0.005
# What the caches cost is left: 1.5 ms or less. That is 3 % of 50 ms, and 0.2 % of 300 ms.
DROPPED, SLOW_S = 1, 0.1  # first iterations of a visit that are dropped; none of a slower network
VISIT_S = 0.16  # what a visit's timed iterations should take together: 3 of 50 ms have a median
MOST_ITERATIONS = 20
LEAST_BACK_TO_BACK = 2  # iterations: of one alone nothing overlaps


def iterations_for(latency_s: float) -> tuple[int, int]:
    """Iterations of a visit, dropped and timed: many of a fast network, one of a slow one."""
    timed = max(1, min(MOST_ITERATIONS, round(VISIT_S / max(latency_s, 1e-6))))
    return (0 if latency_s > SLOW_S else DROPPED), timed
