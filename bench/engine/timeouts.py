"""Limits: how long a worker may take to answer before it counts as hung, in seconds."""

PREPARE_S = 900.0  # compiling GoogLeNet takes 30 s cold; a large network on few cores minutes
WARM_UP_S = 300.0
# A visit may take this many times what it should, and a minute: the machine may be busy.
VISIT_FACTOR, GRACE_S = 20, 60.0
SHORT_S = 120.0  # what needs no measuring: describing, counting, finishing


def visit_timeout_s(expected_s: float) -> float:
    """Of iterations that should take ``expected_s`` together: many times that, and a minute."""
    return GRACE_S + VISIT_FACTOR * expected_s
