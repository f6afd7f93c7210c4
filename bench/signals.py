"""Signals: how a process hears that it should end."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def terminated_like_interrupted() -> Iterator[None]:
    """Let SIGTERM do what Ctrl-C does: write what was measured, and end."""

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def listen() -> None:
    """Hear SIGINT, in a process that is about to run a program: it may have been started deaf.

    What a shell starts in the background is, and with it all that it starts.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
