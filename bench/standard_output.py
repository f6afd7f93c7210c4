"""Standard output: for what we print; what others write there meanwhile goes to standard error."""

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout


@contextmanager
def kept_clean() -> Iterator[None]:
    """Send to standard error whatever Python code, a library or a child process prints inside."""
    sys.stdout.flush()
    ours = os.dup(1)
    os.dup2(2, 1)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        ctypes.CDLL(None).fflush(None)  # a library's own buffer
        os.dup2(ours, 1)
        os.close(ours)
