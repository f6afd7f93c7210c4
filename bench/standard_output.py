"""Standard output: only the program's own results, in any encoding."""

import ctypes
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import IO


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


def escape_unencodable(file: IO[str]) -> None:
    """Let a stream write characters that its encoding lacks as escapes, instead of raising."""
    if isinstance(file, io.TextIOWrapper) and file.errors == "strict":
        file.reconfigure(errors="backslashreplace")
