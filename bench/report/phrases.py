"""Words: what ratios and lists of cells are called in sentences. Pure."""

import math
from collections.abc import Callable, Sequence

from bench.means import Interval
from bench.records.record import CellRecord


def percent(ratio: Interval, what: str = "latency") -> str:
    """A change of so many percent, with its interval: less or more of something."""
    lower = ratio.estimate < 1
    ends = (ratio.low, ratio.high) if not lower else (ratio.high, ratio.low)
    sign = -1 if lower else 1
    low, high = (f"{sign * (end - 1) * 100:.1f}" for end in ends)
    return (
        f"{abs(ratio.estimate - 1) * 100:.1f} % ({low}–{high}) {'less' if lower else 'more'} {what}"
    )


def times(ratio: Interval) -> str:
    """How many times as fast, with its interval."""
    return between(ratio, "{:.2f}".format)


def between(found: Interval, write: Callable[[float], str], unit: str = "") -> str:
    """An estimate with its interval, where it has one."""
    if math.isnan(found.low) or math.isnan(found.high):
        return f"{write(found.estimate)}{unit} (of {found.sets} set{'s' * (found.sets != 1)})"
    return f"{write(found.estimate)} ({write(found.low)}–{write(found.high)}){unit}"


def named(record: CellRecord) -> str:
    """A cell among those of its group."""
    return f"{record.cell.arch} in {record.cell.mode}"


def some(names: Sequence[str]) -> str:
    """The first of many names, and how many more there are."""
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return f"{', '.join(names[:4])}{more}"
