"""Limits of time in tests, for what may hang."""

HANG_S = 900.0
"""Seconds after which a process that a test waits for is taken for hung.

Long, because tests must also pass while other work keeps all cores busy.
"""
