"""Columns of tables: headings with units, and the formats of their values."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from bench.means import Interval
from bench.units import with_minus

MOST_DECIMALS = 6
IN_FULL = 9  # rank of columns that few users need; files have them all


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column as it is shown: a heading with its unit, and the format of its values."""

    name: str
    heading: str
    write: Callable[[Any], str] = str
    is_text: bool = False
    wraps: bool = False
    """Whether the text may take several lines; other columns take one."""
    at_least: str = ""
    """Name of a column that is True if the value is a lower bound, shown as ``≥ value``."""
    bounded: bool = False
    """Whether ``NAME_low`` and ``NAME_high`` are an interval to show with the value."""
    neutral: float | None = None
    """The value that means no difference, if there is one. If an interval does not contain it, its
    ends get as many decimals as they need to look different from it."""
    rank: int = 0
    """Where space is short, the columns with the highest rank are left out first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decimals:
    """A format of a number times ``factor``, with thousands separators."""

    factor: float
    decimals: int
    is_signed: bool = False
    """Whether positive numbers have a sign, too."""

    def __call__(self, value: Any) -> str:
        """Return a number as text."""
        sign = "+" if self.is_signed else ""
        return with_minus(f"{value * self.factor:{sign},.{self.decimals}f}")


def scaled(factor: float, decimals: int) -> Decimals:
    """Return a format for a number times ``factor``, with thousands separators."""
    return Decimals(factor=factor, decimals=decimals)


def signed(factor: float, decimals: int) -> Decimals:
    """Return a format for a difference times ``factor``, with its sign."""
    return Decimals(factor=factor, decimals=decimals, is_signed=True)


def telling_apart(
    write: Callable[[Any], str], low: float, high: float, neutral: float | None
) -> Callable[[Any], str]:
    """Return a format in which no end of an interval looks equal to ``neutral``.

    An interval that contains ``neutral`` is written as it is. Only ``Decimals`` can be refined.
    """
    if neutral is None or not (low > neutral or high < neutral):
        return write
    while (
        isinstance(write, Decimals)
        and write.decimals < MOST_DECIMALS
        and write(neutral) in {write(low), write(high)}
    ):
        write = replace(write, decimals=write.decimals + 1)
    return write


def milliseconds(seconds: float) -> str:
    """Format in milliseconds, with three significant digits or all digits before the point."""
    return significant(seconds * 1e3)


def significant(value: float) -> str:
    """Format with three significant digits or all digits before the point."""
    decimals = 3 if value < 1 else 2 if value < 10 else 1 if value < 100 else 0
    return f"{value:,.{decimals}f}"


def joules(value: float) -> str:
    """Format in joules, with three significant digits or all digits before the point."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def bounded(name: str, interval: Interval) -> dict[str, float]:
    """Return the columns of an estimate and of its bounds, which ``Column.bounded`` reads."""
    return {name: interval.estimate, f"{name}_low": interval.low, f"{name}_high": interval.high}


def filled(columns: tuple[Column, ...], frame: pd.DataFrame) -> tuple[Column, ...]:
    """Return the columns that have at least one value."""
    return tuple(
        column for column in columns if column.name in frame and frame[column.name].notna().any()
    )


def most_important(columns: tuple[Column, ...], count: int) -> tuple[Column, ...]:
    """Return the ``count`` columns of the lowest rank, in the order of the table."""
    chosen = sorted(columns, key=lambda column: column.rank)[:count]
    return tuple(column for column in columns if column in chosen)
