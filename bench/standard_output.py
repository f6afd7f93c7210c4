"""Redirection of standard output, so that it contains only the program's own results."""

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout


@contextmanager
def stdout_to_stderr() -> Iterator[None]:
    """Redirect standard output to standard error: of Python code, libraries and child processes."""
    sys.stdout.flush()
    original = os.dup(1)
    os.dup2(2, 1)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        ctypes.CDLL(None).fflush(None)  # a library's own buffer
        os.dup2(original, 1)
        os.close(original)
