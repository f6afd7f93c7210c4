"""Phrases for sentences: ratios, intervals and names of cells as text. Pure."""

import math
from collections.abc import Callable, Sequence

from bench.columns import scaled, telling_apart
from bench.means import Interval
from bench.units import between, counted, with_minus


def percent_change(ratio: Interval, what: str = "latency") -> str:
    """Return a change in percent with its interval: ``2.1 % (0.5–3.8) more latency``."""
    is_less = ratio.estimate < 1
    ends = (ratio.low, ratio.high) if not is_less else (ratio.high, ratio.low)
    low, high = (end - 1 for end in ends)
    write = telling_apart(scaled(-100 if is_less else 100, 1), min(low, high), max(low, high), 0.0)
    return (
        f"{write(ratio.estimate - 1)} % ({between(write(low), write(high))}) "
        f"{'less' if is_less else 'more'} {what}"
    )


def ratio_text(ratio: Interval) -> str:
    """Return a ratio with its interval, with two decimals, or more if an end looks equal to 1."""
    return interval_text(ratio, telling_apart(scaled(1, 2), ratio.low, ratio.high, 1.0))


def interval_text(interval: Interval, write: Callable[[float], str], unit: str = "") -> str:
    """Return an estimate with its interval, or with the number of sets if there is no interval."""
    if math.isnan(interval.low) or math.isnan(interval.high):
        return f"{write(interval.estimate)}{unit} ({counted(interval.sets, 'set')})"
    ends = between(write(interval.low), write(interval.high))
    return f"{with_minus(write(interval.estimate))} ({ends}){unit}"


def shortened_list(names: Sequence[str], separator: str = ", ") -> str:
    """Return the first four names and the number of the others."""
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return f"{separator.join(names[:4])}{more}"
