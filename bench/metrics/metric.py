"""What a metric declares, and what it is computed from."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Protocol, TypeAlias

import pandas as pd

from bench import means, stats
from bench.cells.cell import Cell
from bench.columns import Column, bounded
from bench.means import Interval
from bench.records.record import CellRecord, RunRecord
from bench.records.run_cache import cached_per_run
from bench.tables import BLANK

Value: TypeAlias = Interval | float | str | bool | None


class Better(StrEnum):
    """The direction in which a metric improves."""

    MORE = "more"
    LESS = "less"


class Place(StrEnum):
    """A table that shows metrics; files have all of them."""

    SUMMARY = "summary"
    """The tables of a run's cells."""
    COMPARISON = "comparison"
    """The comparison of two runs (bench/compare/report.py)."""
    SIDE_BY_SIDE = "side by side"
    GATE = "gate"
    """The figures of both sides of a gate, besides the verdicts."""


EVERYWHERE = frozenset(Place)
NOWHERE: frozenset[Place] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredCell:
    """A cell of a run, as metrics see it."""

    record: CellRecord
    """Without visits if the cell failed."""
    run: RunRecord
    reference: Cell | None
    """The reference of its group; for a gate's base, the base's copy."""

    @classmethod
    def of_run(cls, record: CellRecord, run: RunRecord) -> "MeasuredCell":
        """Return a cell of ``run``; ``record`` may also be a gate's copy of it from the base."""
        reference = _references(run).get(record.cell.group)
        return cls(
            record=replace(record, visits=()) if record.failure else record,
            run=run,
            reference=reference and replace(reference, base=record.cell.base),
        )

    def speedup_over(self, other: Cell | None) -> Interval:
        """Return the speedup over another cell; exactly 1 over itself, and blank if unknown."""
        records = _measured(self.run)
        if other is None or other not in records or not self.record.visits:
            return means.NO_INTERVAL
        if other == self.record.cell:  # 1 by definition, so there is no interval
            return Interval(estimate=1.0, low=float("nan"), high=float("nan"), sets=0)
        return stats.over(stats.set_log_ratios(self.record, records[other]))

    def setup_values(self, name: str) -> list[Any]:
        """Return a fact of the workers (bench/records/reported.py) from each set that knows it."""
        values = (getattr(setup, name) for setup in self.record.setups)
        return [value for value in values if value is not None]

    def largest(self, name: str) -> Any:
        """Return the largest value of a fact of the workers; None if no set knows it."""
        return max(self.setup_values(name), default=None)


@cached_per_run
def _references(run: RunRecord) -> Mapping[str, Cell]:
    return run.references()


@cached_per_run
def _measured(run: RunRecord) -> Mapping[Cell, CellRecord]:
    records = (*run.cells, *run.bases)
    return {record.cell: record for record in records if record.failure is None}


def always(_: RunRecord) -> bool:
    """Return True."""
    return True


def never(_: RunRecord) -> bool:
    """Return False."""
    return False


class Advantage(Protocol):
    """How many times better a cell is than another, over their common sets."""

    def __call__(
        self,
        cell: CellRecord,
        other: CellRecord,
        confidence: float,
        *,
        reference: CellRecord | None,
    ) -> Interval:
        """Return the ratio with its interval; above 1, ``cell`` is better."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """How a metric, which must be positive, is set against accuracy on a front."""

    name: str
    """Name in ``--front``."""
    title: str
    """Title of the chart's axis, with the unit shown there."""
    scale: float
    """Factor from the values in files to the unit that is shown."""
    preposition: str = "with"
    """What stands before a value in a sentence."""
    after: str
    """What follows a written value in a sentence: the unit, with a space before it."""
    comparative: str
    """What is said of a better cell, such as ``has fewer parameters``."""
    advantage: Advantage | None = None
    """Function that compares two cells; None if the figure is exact."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A figure of a cell: how it is computed, shown and read."""

    name: str
    """Name of its column in files. If it has a unit, the name ends with it."""
    unit: str = ""
    """Unit of the values in files: s, bytes, …; empty for shares, counts and texts."""
    heading: str
    """Heading in tables, with the unit shown there. ``{reference}`` stands for the reference's
    name, and ``{host}`` for "host " if the device has times of its own."""
    compute: Callable[[MeasuredCell], Value]
    """Function that computes it; None or NaN if it is unknown. An ``Interval`` has three columns in
    files: NAME, NAME_low and NAME_high."""
    write: Callable[[Any], str] = str
    """Format of a value in tables."""
    explanation: str = ""
    """Sentences that tell a reader what it is; empty if those of another metric include it."""
    better: Better | None = None
    axis: Axis | None = None
    """How it is set against accuracy; None if it is no axis of a front. Needs ``better``."""
    neutral: float | None = None
    """The value that means no difference: 1 for ratios. None for all others."""
    is_text: bool = False
    is_count: bool = False
    """Whether it is exact, so that comparisons show even the smallest difference."""
    bounded: Callable[[RunRecord], bool] = never
    """Function that says whether a run's tables show the interval."""
    at_least: str = ""
    """Name of a metric that is True if the value is a lower bound."""
    applies: Callable[[RunRecord], bool] = always
    """Function that says whether a run can have it; else its columns are left out."""
    places: Collection[Place] = EVERYWHERE
    rank: int = 5
    """Tables show the seven columns with the lowest rank first; the others are folded, and left out
    in the terminal."""
    order: int = 1000
    """Position among the columns."""

    def columns(self, cell: MeasuredCell) -> dict[str, Any]:
        """Return the values of its columns in files."""
        value = self.compute(cell)
        return bounded(self.name, value) if isinstance(value, Interval) else {self.name: value}

    def column(self, run: RunRecord, *, reference: str = "reference") -> Column:
        """Return its column in the tables of a run; ``reference`` is a part of some headings."""
        return Column(
            name=self.name,
            heading=self.heading.format(
                reference=reference, host="host " if run.has_blocks else ""
            ),
            write=self.write,
            is_text=self.is_text,
            at_least=self.at_least,
            bounded=self.bounded(run),
            neutral=self.neutral,
            rank=self.rank,
        )

    def change(
        self, before: Any, after: Any, *, are_bounds: tuple[bool, bool] = (False, False)
    ) -> str | None:
        """Return the values of two sides as text: once if they agree, else as "A → B".

        ``are_bounds``: whether each is a lower bound, shown as "≥ A". Returns None if the value is
        0 or missing on both sides.
        """
        values = [before, after]
        if all(value == 0 or pd.isna(value) for value in values):
            return None
        texts = [BLANK if pd.isna(value) else self.write(value) for value in values]
        if self.is_count and texts[0] == texts[1] and before != after:
            texts = [f"{value:,.0f}" for value in values]
        texts = [
            f"≥ {text}" if is_bound else text
            for text, is_bound in zip(texts, are_bounds, strict=True)
        ]
        return " → ".join(dict.fromkeys(texts))
