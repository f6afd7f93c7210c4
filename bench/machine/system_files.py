"""Read files in which the system reports its state."""

from pathlib import Path


def text(path: Path) -> str | None:
    """Return a file's text, stripped; None if it is missing or not readable."""
    try:
        return path.read_text().strip()
    except OSError:
        return None
