"""The resident set of this process, as its system tells it. Needs no torch."""

import re
import resource
import sys
from pathlib import Path

import psutil

_STATUS = Path("/proc/self/status")
_CLEAR_REFS = Path("/proc/self/clear_refs")
_RESET_PEAK = "5"  # man 5 proc: resets the peak resident set to the current one


def now_bytes() -> int:
    """The resident set now."""
    return _status("VmRSS") or int(psutil.Process().memory_info().rss)


def reset_peak() -> bool:
    """Forget earlier peaks; whether the system let it, as none but Linux does, nor each container.

    Where it did not, the peak is that of all that this program did so far.
    """
    try:
        _CLEAR_REFS.write_text(_RESET_PEAK)
    except OSError:
        return False
    return True


def peak_bytes() -> int:
    """The largest it has been since this program began, or since the peak was reset."""
    # Not getrusage's where it can be helped: on Linux that begins with the parent's peak.
    return _status("VmHWM") or _max_rss()


def _status(field: str) -> int | None:
    """A field of Linux's process status, in bytes."""
    if not _STATUS.exists():
        return None
    match = re.search(rf"^{field}:\s+(\d+) kB$", _STATUS.read_text(), re.MULTILINE)
    return int(match[1]) * 1024 if match else None


def _max_rss() -> int:
    unit = 1 if sys.platform == "darwin" else 1024  # getrusage counts KiB but for macOS
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
