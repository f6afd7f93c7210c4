"""Folders that files are to be written to."""

import tempfile
from pathlib import Path

from bench.names import RequestError


def check_writable(folder: Path) -> None:
    """Make sure, before minutes of measuring, that files can be written to a folder.

    It is not made: what is refused for another reason leaves nothing behind. Raises
    ``RequestError`` where they cannot.
    """
    try:
        whole = folder.absolute()
        there = next(one for one in (whole, *whole.parents) if one.exists())
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise RequestError(f"cannot write to {folder}: {error.strerror}") from error
