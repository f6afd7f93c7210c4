"""Reading what a system tells in files, where it does."""

from pathlib import Path


def text(path: Path) -> str | None:
    """What a file says; None where there is no such file, or it may not be read."""
    try:
        return path.read_text().strip()
    except OSError:
        return None
