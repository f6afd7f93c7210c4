"""The resident set of this process, as reported by the system. Needs no torch."""

import re
import resource
import sys
from pathlib import Path

import psutil

_STATUS = Path("/proc/self/status")
_CLEAR_REFS = Path("/proc/self/clear_refs")
_RESET_PEAK = "5"  # man 5 proc: resets the peak resident set to the current one


def now_bytes() -> int:
    """Return the current resident set."""
    return _status("VmRSS") or int(psutil.Process().memory_info().rss)


def reset_peak() -> bool:
    """Reset the peak, and return whether this worked: only on Linux, not in every container.

    If it did not work, the peak is that since the program began.
    """
    try:
        _CLEAR_REFS.write_text(_RESET_PEAK)
    except OSError:
        return False
    return True


def peak_bytes() -> int:
    """Return the peak since this program began or since the last reset."""
    # getrusage is only the fallback: on Linux its peak includes that of the parent.
    return _status("VmHWM") or _max_rss()


def _status(field: str) -> int | None:
    """Return a field of Linux's process status, in bytes."""
    if not _STATUS.exists():
        return None
    match = re.search(rf"^{field}:\s+(\d+) kB$", _STATUS.read_text(), re.MULTILINE)
    return int(match[1]) * 1024 if match else None


def _max_rss() -> int:
    unit = 1 if sys.platform == "darwin" else 1024  # getrusage uses KiB, except on macOS
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
