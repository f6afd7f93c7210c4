"""Signals: handling of interrupts, and descriptions of exit statuses."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_ALL = (signal.SIGTERM, signal.SIGINT)
_ANSWER = (
    b"\nstopping and writing the results: Ctrl-C is ignored until that is done, Ctrl-\\ aborts; "
    b"a run's journal keeps every visit for --resume\n"
)


@contextmanager
def sigterm_as_interrupt() -> Iterator[None]:
    """Make SIGTERM raise ``KeyboardInterrupt``, as Ctrl-C does; then ignore both signals.

    A scheduler may send SIGTERM to all processes of a job, which then forward it to each other. A
    second signal would interrupt the writing of the results.
    """

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        ignore_interrupts()
        raise KeyboardInterrupt

    with _restored():
        signal.signal(signal.SIGTERM, interrupt)
        yield


@contextmanager
def single_interrupt() -> Iterator[None]:
    """Make the first SIGTERM or Ctrl-C raise ``KeyboardInterrupt``; then ignore both signals.

    A message on standard error says so. A user who sees no effect may press Ctrl-C again, and that
    must not interrupt the writing of the results. Nothing changes outside the main thread, in which
    alone Python handles signals.
    """
    if not _is_main_thread():
        yield
        return

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        ignore_interrupts()
        os.write(2, _ANSWER)
        raise KeyboardInterrupt

    with _restored():
        signal.signal(signal.SIGTERM, interrupt)
        # A shell starts background processes with SIGINT ignored: leave it ignored.
        if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            signal.signal(signal.SIGINT, interrupt)
        yield


def ignore_interrupts() -> None:
    """Ignore SIGTERM and SIGINT from now on, also in new child processes: only writing is left.

    Outside the main thread, nothing changes.
    """
    if not _is_main_thread():
        return
    for number in _ALL:
        signal.signal(number, signal.SIG_IGN)


def restore_interrupts() -> None:
    """Restore the default action of SIGINT, in a process that is about to run a program.

    A shell starts background processes with SIGINT ignored, and their child processes inherit that.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


@contextmanager
def _restored() -> Iterator[None]:
    before = [signal.getsignal(number) for number in _ALL]
    try:
        yield
    finally:
        for number, handler in zip(_ALL, before, strict=True):
            signal.signal(number, handler)


def ending(status: int) -> str:
    """Return in words how a process ended; a negative exit status is a signal's number."""
    if status >= 0:
        return f"ended with exit status {status}"
    hint = " (the system may have been out of memory)" if status == -signal.SIGKILL else ""
    return f"was killed by {_signal_name(-status)}{hint}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # most real-time signals have no name
        return f"signal {number}"
