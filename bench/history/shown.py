"""How the values of a metric are shown; metrics of plugins that no longer exist are shown, too."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

from bench.columns import IN_FULL, Column, significant
from bench.metrics import METRICS
from bench.tables import written

_UNITS = (("s", 1.0), ("ms", 1e3), ("µs", 1e6), ("ns", 1e9))


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A metric as tables show it."""

    name: str
    heading: str
    """Heading with the unit, in one line."""
    write: Callable[[Any], str]
    neutral: float | None
    at_least: str = ""
    """Name of a metric that is 1 if the value is a lower bound."""
    rank: int = IN_FULL

    def text(self, value: float, low: float | None, high: float | None) -> str:
        """Return a value with its interval, if it has one."""
        row: dict[Hashable, Any] = {
            self.name: value,
            f"{self.name}_low": low,
            f"{self.name}_high": high,
        }
        return " ".join(filter(None, written(self.column(bounded=True), row)))

    def column(self, *, bounded: bool) -> Column:
        """Return its column in a table; ``bounded``: with intervals."""
        return Column(
            name=self.name,
            heading=self.heading,
            write=self.write,
            at_least=self.at_least,
            bounded=bounded,
            neutral=self.neutral,
            rank=self.rank,
        )


def metric(name: str, unit: str = "", neutral: float | None = None) -> Shown:
    """Return how a metric is shown; ``unit`` and ``neutral`` are as the history has them."""
    known = METRICS.get(name)
    if known is None:
        return Shown(
            name=name,
            heading=name.removesuffix("_s") if unit == "s" else name,
            write=seconds if unit == "s" else significant,
            neutral=neutral,
        )
    heading = known.heading.format(reference="reference", host="").replace("\n", " ")
    return Shown(
        name=name,
        heading=heading,
        write=known.write,
        neutral=neutral,
        at_least=known.at_least,
        rank=known.rank,
    )


def seconds(value: float) -> str:
    """Return a time in the largest unit in which it is at least 1."""
    name, factor = next(((name, by) for name, by in _UNITS if value * by >= 1), _UNITS[-1])
    return f"{significant(value * factor)} {name}"
