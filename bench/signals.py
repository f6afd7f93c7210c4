"""Signals: how a process hears that it should end, and how one ended."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_ALL = (signal.SIGTERM, signal.SIGINT)
_ANSWER = (
    b"\nending: what was measured is being written, which no other Ctrl-C ends, but Ctrl-\\ does; "
    b"a run's journal has every visit for --resume\n"
)


@contextmanager
def terminated_like_interrupted() -> Iterator[None]:
    """Let SIGTERM do what Ctrl-C does: write what was measured, and end.

    Once: who sends it may send it to all processes of a job, which then pass it on to each other,
    and a second would interrupt the writing.
    """

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        ignore()
        raise KeyboardInterrupt

    with _restored():
        signal.signal(signal.SIGTERM, interrupt)
        yield


@contextmanager
def interrupted_once() -> Iterator[None]:
    """Let SIGTERM and Ctrl-C do the same, once, and say on standard error that it was heard.

    Who presses it again sees nothing happen yet: that must not interrupt the writing either.
    """

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        ignore()
        os.write(2, _ANSWER)
        raise KeyboardInterrupt

    with _restored():
        signal.signal(signal.SIGTERM, interrupt)
        if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # a shell's background has none
            signal.signal(signal.SIGINT, interrupt)
        yield


def ignore() -> None:
    """Hear neither any more, as what is started from here on: there is only writing left to do."""
    for one in _ALL:
        signal.signal(one, signal.SIG_IGN)


def listen() -> None:
    """Hear SIGINT, in a process that is about to run a program: it may have been started deaf.

    What a shell starts in the background is, and with it all that it starts.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextmanager
def _restored() -> Iterator[None]:
    before = [signal.getsignal(one) for one in _ALL]
    try:
        yield
    finally:
        for one, handler in zip(_ALL, before, strict=True):
            signal.signal(one, handler)


def ending(status: int) -> str:
    """How a process ended, by its exit status: a signal's is negative."""
    if status >= 0:
        return f"ended with exit status {status}"
    hint = " (the system may have been out of memory)" if status == -signal.SIGKILL else ""
    return f"was killed by {_signal_name(-status)}{hint}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # most of the real-time ones have no name
        return f"signal {number}"
