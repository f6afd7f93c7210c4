"""Numbers with their unit for display; all stored sizes are in bytes."""

import re

_HYPHEN = re.compile(r"^-(?=\d)")
_SIGNED_ZERO = re.compile(r"^[-+](?=0[0.]*\D*$)")

MIB = 2**20
GIB = 2**30


def counted(count: int, noun: str) -> str:
    """Return a number with its noun, which gets an s unless there is exactly one: ``2 cells``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def with_minus(number: str) -> str:
    """Return a number as text with a minus sign instead of a hyphen, and zero without a sign."""
    return _HYPHEN.sub("−", _SIGNED_ZERO.sub("", number))


def between(low: str, high: str) -> str:
    """Return two ends as text: ``0.5–3.8``, or ``−0.8 to −0.3`` if an end has a sign."""
    low, high = with_minus(low), with_minus(high)
    has_sign = any(end[:1] in {"−", "+"} for end in (low, high))
    return f"{low} to {high}" if has_sign else f"{low}–{high}"


def in_mib(size_bytes: float) -> str:
    """Format a size in MiB: ``1,234 MiB``."""
    return f"{size_bytes / MIB:,.0f} MiB"


def in_gib(size_bytes: float) -> str:
    """Format a size in GiB: ``1.2 GiB``."""
    return f"{size_bytes / GIB:,.1f} GiB"
