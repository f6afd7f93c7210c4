"""Paths from outside: those that no file can have are refused, before Python's ``ValueError``."""

import os
from pathlib import Path

from bench.errors import RequestError
from bench.printable import printable


def usable(path: Path | str) -> Path:
    """Return a path that a file can have; whether there is one is not checked.

    Raises ``RequestError`` for a null character, or for one that the system cannot encode.
    """
    try:
        is_usable = b"\0" not in os.fsencode(path)
    except UnicodeEncodeError:
        is_usable = False
    if not is_usable:
        raise RequestError(
            f"'{printable(str(path))}' is not a path: it contains a null character, or one that "
            "the system cannot encode"
        )
    return Path(path)
