"""Units of bytes; everything that is kept is in bytes, and these are how it is said."""

MIB = 2**20
GIB = 2**30


def in_mib(size_bytes: float) -> str:
    """Bytes in words: ``1,234 MiB``."""
    return f"{size_bytes / MIB:,.0f} MiB"


def in_gib(size_bytes: float) -> str:
    """Bytes in words: ``1.2 GiB``."""
    return f"{size_bytes / GIB:,.1f} GiB"
