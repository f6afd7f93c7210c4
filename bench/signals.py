"""Signals: how a process hears that it should end."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def terminated_like_interrupted() -> Iterator[None]:
    """Let SIGTERM do what Ctrl-C does: write what was measured, and end.

    Once: who sends it may send it to all processes of a job, which then pass it on to each other,
    and a second would interrupt the writing.
    """
    signals = (signal.SIGTERM, signal.SIGINT)
    before = [signal.getsignal(one) for one in signals]

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        for one in signals:
            signal.signal(one, signal.SIG_IGN)
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        for one, handler in zip(signals, before, strict=True):
            signal.signal(one, handler)


def listen() -> None:
    """Hear SIGINT, in a process that is about to run a program: it may have been started deaf.

    What a shell starts in the background is, and with it all that it starts.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
