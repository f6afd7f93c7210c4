"""Timeouts for replies of workers, in seconds; a worker that exceeds one counts as hung."""

# Compiling GoogLeNet takes 30 s with an empty cache; a large network on few cores takes minutes.
PREPARE_S = 900.0
WARM_UP_S = 300.0
# A visit may take this many times its expected time, plus a minute, because the machine may be
# busy.
VISIT_FACTOR, GRACE_S = 20, 60.0
SHORT_S = 120.0  # for requests that measure nothing: describing, counting, finishing


def visit_timeout_s(expected_s: float) -> float:
    """Return the timeout for iterations that should take ``expected_s`` together."""
    return GRACE_S + VISIT_FACTOR * expected_s
