"""Numbers with their unit for display; all stored sizes are in bytes."""

MIB = 2**20
GIB = 2**30


def counted(count: int, noun: str) -> str:
    """Return a number with its noun, which gets an s unless there is exactly one: ``2 cells``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def in_mib(size_bytes: float) -> str:
    """Format a size in MiB: ``1,234 MiB``."""
    return f"{size_bytes / MIB:,.0f} MiB"


def in_gib(size_bytes: float) -> str:
    """Format a size in GiB: ``1.2 GiB``."""
    return f"{size_bytes / GIB:,.1f} GiB"
