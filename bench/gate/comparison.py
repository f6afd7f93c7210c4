"""What can be said of two runs that were not measured together: plain data."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from bench.cells.cell import Cell
from bench.exits import Exit
from bench.gate.verdict import Verdict
from bench.means import Interval
from bench.records.circumstances import EnvironmentDifference
from bench.records.record import CellRecord

# Two cores of a virtual machine were 18 to 20 % slower for 20 to 40 s at a time, which nothing in
# the figures of such a spell shows.
DRIFT = 0.2
FAILS: Mapping[str, int] = MappingProxyType(
    {Verdict.REGRESSED.value: Exit.FAILED, Verdict.INCONCLUSIVE.value: Exit.UNDECIDED}
)
"""The advice that a caller may want to fail on, and the exit codes; the first that applies."""


class Basis(StrEnum):
    """What advice goes by."""

    RATIO = "ratio"
    LATENCY = "latency"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A cell with figures in both runs."""

    a: CellRecord
    b: CellRecord
    latency: Interval
    """B's latency over A's, at 95 % over the sets: bounds that know of no drift between the runs.
    """
    ratio: Interval
    """B's ratio to the reference over A's, at 95 %, above 1 where it is slower; NaN without one."""
    reference: Cell | None
    """A's reference, where B's is the same arch in the same mode and both have figures."""
    basis: Basis
    advice: Verdict | None
    """None for a reference whose change is taken for the machine's."""

    @property
    def is_reference(self) -> bool:
        """Whether it is what the other cells' ratios are to."""
        return self.a.cell == self.reference


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """A cell that is not compared, for want of figures in one of the runs."""

    cell: Cell
    run: str
    """The one that lacks it: ``A`` or ``B``."""
    is_known: bool
    """Whether that run has the cell, without figures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """What can be said of two runs."""

    cells: tuple[Comparison, ...]
    missing: tuple[Missing, ...]
    passed: tuple[EnvironmentDifference, ...]
    """What differs, and was allowed to."""
    unknown: tuple[str, ...]
    """Facts that only one of the runs tells."""

    @property
    def beyond_drift(self) -> tuple[Comparison, ...]:
        """The references whose own latency changed by more than ``DRIFT``, by its estimate.

        Not those that differ in the dtype or the device: they are two cells, and expected to.
        """
        return tuple(
            found
            for found in self.cells
            if found.is_reference
            and found.a.cell == found.b.cell
            and abs(math.log(found.latency.estimate)) > math.log1p(DRIFT)
        )

    def exit_code(self, fail_on: Collection[str]) -> int:
        """The exit code of the first advice in ``FAILS`` that was given and is to fail; else 0.

        A cell that one of the runs has without figures is inconclusive.
        """
        given = {comparison.advice for comparison in self.cells}
        if any(missing.is_known for missing in self.missing):
            given.add(Verdict.INCONCLUSIVE)
        return next((code for word, code in FAILS.items() if word in fail_on and word in given), 0)
