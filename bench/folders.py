"""Checks of output folders."""

import tempfile
from pathlib import Path

from bench.errors import RequestError


def check_writable(folder: Path) -> None:
    """Raise ``RequestError`` if files cannot be written to a folder.

    Called before minutes of measuring. The folder is not created, so that a request that is refused
    for another reason leaves nothing behind.
    """
    try:
        path = folder.absolute()
        existing = next(parent for parent in (path, *path.parents) if parent.exists())
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        raise RequestError(f"cannot write to {folder}: {error.strerror}") from error
