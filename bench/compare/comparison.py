"""The result of comparing two runs that were not measured together. Plain data."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from bench.cells.cell import Cell
from bench.exits import Exit
from bench.gate.verdict import Verdict
from bench.means import Interval
from bench.records.comparability import EnvironmentDifference
from bench.records.record import CellRecord

# Two cores of a virtual machine were 18 to 20 % slower for 20 to 40 s at a time. Figures taken in
# such a period do not show it.
DRIFT = 0.2
FAILS: Mapping[str, int] = MappingProxyType(
    {Verdict.REGRESSED.value: Exit.FAILED, Verdict.INCONCLUSIVE.value: Exit.UNDECIDED}
)
"""Exit codes of the advice that a caller may fail on; the first entry that applies decides."""


class Basis(StrEnum):
    """The figure that advice is based on."""

    RATIO = "ratio"
    LATENCY = "latency"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A cell with figures in both runs."""

    a: CellRecord
    b: CellRecord
    latency: Interval
    """B's latency over A's, at 95 % over sets; the bounds ignore drift between the runs."""
    ratio: Interval
    """B's ratio to the reference over A's, at 95 %; above 1 if B is slower, NaN if unknown."""
    reference: Cell | None
    """A's reference, if B's has the same arch and mode and both have figures; else None."""
    basis: Basis
    advice: Verdict | None
    """None for a reference whose change is attributed to the machine's drift."""

    @property
    def is_reference(self) -> bool:
        """Whether the cell is the reference of its group."""
        return self.a.cell == self.reference


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """A cell that is not compared because one of the runs has no figures for it."""

    cell: Cell
    run: str
    """The run without figures: ``A`` or ``B``."""
    is_known: bool
    """Whether that run includes the cell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """The comparison of two runs."""

    cells: tuple[Comparison, ...]
    missing: tuple[Missing, ...]
    allowed: tuple[EnvironmentDifference, ...]
    """Differences between the runs that the caller allowed."""
    unknown: tuple[str, ...]
    """Names of facts that only one of the runs has."""

    @property
    def beyond_drift(self) -> tuple[Comparison, ...]:
        """References whose estimated latency changed by more than ``DRIFT``.

        References that differ in dtype or device are excluded: their latencies are expected to
        differ.
        """
        return tuple(
            comparison
            for comparison in self.cells
            if comparison.is_reference
            and comparison.a.cell == comparison.b.cell
            and abs(math.log(comparison.latency.estimate)) > math.log1p(DRIFT)
        )

    def exit_code(self, fail_on: Collection[str]) -> int:
        """Return the exit code of the first advice in ``FAILS`` that occurs and is in ``fail_on``.

        Returns 0 if there is none. A cell that a run includes without figures is inconclusive.
        """
        advice = {comparison.advice for comparison in self.cells}
        if any(missing.is_known for missing in self.missing):
            advice.add(Verdict.INCONCLUSIVE)
        return next((code for word, code in FAILS.items() if word in fail_on and word in advice), 0)
