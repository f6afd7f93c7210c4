"""Visiting: what a visit to a worker is, in pauses and iterations."""

# libgomp's threads spin for some milliseconds after a visit, in the way of the next worker's: the
# first iteration after them took 26.7 % longer. After a pause of 5 ms it took 7.7 %, and after four
# such pauses still 4.5 % (GoogLeNet at batch 1: reports/cpu-amd-epyc-2-cores/selfcheck.md).
HANDOVER_S = 0.005
# So the first is dropped, however slow the network; the second took 0.1 % longer.
DROPPED = 1
VISIT_S = 0.16  # what a visit's timed iterations should take together: 3 of 50 ms have a median
MOST_ITERATIONS = 20
LEAST_BACK_TO_BACK = 2  # iterations: of one alone nothing overlaps


def timed_iterations(latency_s: float) -> int:
    """Timed iterations of a visit: many of a fast network, one of a slow one."""
    return max(1, min(MOST_ITERATIONS, round(VISIT_S / max(latency_s, 1e-6))))
