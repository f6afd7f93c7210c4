"""Two runs that were not measured together, A and B, compared: advice. Pure: records in, words out.

A cell's **latency** in B over that in A holds whatever became of the machine in between, and its
interval does not show that, which all sets of a run share. Its **ratio to the reference** was taken
within rounds, where what slows the machine slows both; the one in B over the one in A is rid of it.
So advice goes by this ratio of ratios wherever it can answer. It cannot

- where the runs' circumstances differ, as ``across`` allowed: another torch or device acts on the
  reference too, and the ratio would cancel the very thing that is asked about;
- where the runs have no reference in common, and of the reference itself.

There advice goes by the latency, and takes nothing for a change that drift could have made.

A reference whose own latency changed by more than ``DRIFT``, up or down, means that the machine is
not the same, or that the reference changed. Two runs cannot tell which, and ratios differ from
machine to machine. So every cell of such runs is ``inconclusive``, in whatever group it is and
whatever it goes by. A gate can tell, because it measures both sides in the same sets
(bench/gate/judge.py).
"""

import math
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from operator import attrgetter

from bench import means, stats
from bench.cells.cell import Cell
from bench.gate.comparison import DRIFT, Basis, Compared, Comparison, Missing
from bench.gate.judge import LEAST_EFFECT
from bench.gate.verdict import Verdict
from bench.means import Mean
from bench.names import RequestError, choose
from bench.records.circumstances import CIRCUMSTANCES, differences, refuse
from bench.records.record import CellRecord, RunRecord
from bench.report import trust
from bench.stats import ByVisit


def compare(a: RunRecord, b: RunRecord, across: Collection[str] = ()) -> Compared:
    """Compare two runs, cell by cell.

    ``across`` holds names of ``CIRCUMSTANCES``. Raises ``RequestError`` for another, for runs whose
    circumstances differ in what it does not name, and for runs without a cell in common.
    """
    for name in across:
        choose("circumstance", name, CIRCUMSTANCES)
    differing, unknown = differences(a, b)
    refuse([found for found in differing if found.circumstance not in across])
    pairs = _pairs(a, b, across)
    if not pairs:
        raise RequestError(_nothing_in_common(a, b))
    measured = [pair for pair in pairs if all(record.has_figures for record in pair)]
    sides = _Side.from_run(a), _Side.from_run(b)
    compared = Compared(
        cells=_excused(
            [
                _compare_cell(pair, sides, cells=len(measured), are_alike=not differing)
                for pair in measured
            ]
        ),
        missing=tuple(_missing(a, b, pairs)),
        passed=tuple(differing),
        unknown=tuple(unknown),
    )
    return _all_inconclusive(compared) if compared.beyond_drift else compared


def _pairs(
    a: RunRecord, b: RunRecord, across: Collection[str]
) -> list[tuple[CellRecord, CellRecord]]:
    """The cells of the same id; and for those that have none, all that differ only as they may."""
    key = attrgetter(*(field.name for field in fields(Cell) if field.name not in across))
    in_both = {record.cell for record in a.cells} & {record.cell for record in b.cells}
    alike = defaultdict(list)
    for record in b.cells:
        alike[key(record.cell)].append(record)
    return [
        (mine, theirs)
        for mine in a.cells
        for theirs in alike[key(mine.cell)]
        if mine.cell == theirs.cell or not {mine.cell, theirs.cell} <= in_both
    ]


def _nothing_in_common(a: RunRecord, b: RunRecord) -> str:
    first = " and ".join(
        f"{name} has {run.cells[0].cell.id if run.cells else 'none'}"
        + (f" and {len(run.cells) - 1} more" if len(run.cells) > 1 else "")
        for name, run in (("A", a), ("B", b))
    )
    hint = "; some differ in the dtype alone: --across dtype" if _pairs(a, b, {"dtype"}) else ""
    return f"A and B have no cell in common: {first}{hint}"


def _missing(
    a: RunRecord, b: RunRecord, pairs: Sequence[tuple[CellRecord, CellRecord]]
) -> Iterator[Missing]:
    for here, there, own, side in (("A", "B", a.cells, 0), ("B", "A", b.cells, 1)):
        paired = {pair[side].cell for pair in pairs}
        for record in own:
            if record.cell not in paired:
                yield Missing(cell=record.cell, run=there, is_known=False)
            elif not record.has_figures:
                yield Missing(cell=record.cell, run=here, is_known=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Side:
    """The figures of a run."""

    logs: Mapping[Cell, ByVisit]
    references: Mapping[str, Cell]
    distrusted: frozenset[str]
    """The groups whose control, or the load beside them, forbids to decide by them."""

    @classmethod
    def from_run(cls, run: RunRecord) -> "_Side":
        measured = [record for record in run.cells if record.has_figures]
        return cls(
            logs={record.cell: stats.log_latencies(record) for record in measured},
            references=run.references(),
            distrusted=frozenset(
                found.group
                for found in trust.assess(run)
                if found.is_busy or found.control_contains_1 is False
            ),
        )

    def reference(self, cell: Cell) -> Cell | None:
        """What a cell's ratio is to; None where that has no figures."""
        found = self.references.get(cell.group)
        return found if found in self.logs else None

    def latency(self, cell: Cell) -> Mean:
        """The logarithm of a cell's latency."""
        return means.mean(stats.set_medians(self.logs[cell]))

    def ratio(self, cell: Cell, reference: Cell) -> Mean:
        """The logarithm of a cell's latency over the reference's in the same rounds."""
        ratios = stats.log_ratios(self.logs[reference], self.logs[cell])
        return means.mean(stats.set_medians(ratios))


def _compare_cell(
    pair: tuple[CellRecord, CellRecord],
    sides: tuple[_Side, _Side],
    *,
    cells: int,
    are_alike: bool,
) -> Comparison:
    (a, b), (of_a, of_b) = pair, sides
    latency = means.difference(of_a.latency(a.cell), of_b.latency(b.cell))
    reference, ratio = _ratio(a.cell, b.cell, of_a, of_b)
    says_it_all = are_alike and a.cell == b.cell and a.cell != reference
    basis = Basis.RATIO if ratio and says_it_all else Basis.LATENCY
    is_trusted = a.cell.group not in of_a.distrusted and b.cell.group not in of_b.distrusted
    found = ratio if ratio and basis is Basis.RATIO else latency
    return Comparison(
        a=a,
        b=b,
        latency=means.exponential(latency.interval()),
        ratio=means.exponential(ratio.interval()) if ratio else means.NOTHING,
        reference=reference,
        basis=basis,
        advice=_advise(found, basis, cells) if is_trusted else Verdict.INCONCLUSIVE,
    )


def _ratio(a: Cell, b: Cell, of_a: _Side, of_b: _Side) -> tuple[Cell | None, Mean | None]:
    """A's reference if B's is the like of it, and B's ratio over A's if they met in rounds."""
    to_a, to_b = of_a.reference(a), of_b.reference(b)
    if to_a is None or to_b is None or (to_a.arch, to_a.mode) != (to_b.arch, to_b.mode):
        return None, None
    if a == to_a:  # by definition, and with nothing to be unsure of
        return to_a, Mean(estimate=0.0, error=math.nan, freedom=math.nan, sets=0)
    found = means.difference(of_a.ratio(a, to_a), of_b.ratio(b, to_b))
    return to_a, found if found.sets else None


def _advise(found: Mean, basis: Basis, cells: int) -> Verdict:
    """What to say of the logarithm of a cell's change, one of so many cells.

    A change must be sure with all of them in mind (Bonferroni): people look at the worst.
    """
    drift = math.log1p(DRIFT) if basis is Basis.LATENCY else 0.0
    delta = math.log1p(LEAST_EFFECT)
    surer = found.interval(1 - (1 - means.CONFIDENCE) / cells)
    if surer.low > drift and found.estimate >= delta:
        return Verdict.REGRESSED
    if surer.high < -drift and found.estimate <= -delta:
        return Verdict.IMPROVED
    shown = found.interval()
    # As in a gate: not slower by δ. By latency alone, one that got faster may be a slower one on a
    # machine that got faster still.
    if shown.high < delta and (basis is Basis.RATIO or shown.low > -delta):
        return Verdict.UNCHANGED
    return Verdict.INCONCLUSIVE


def _excused(cells: Sequence[Comparison]) -> tuple[Comparison, ...]:
    """Without advice on a reference that may have drifted, where that is what ratios are for."""
    relied_on = {found.reference for found in cells if found.basis is Basis.RATIO}
    return tuple(
        replace(found, advice=None)
        if found.is_reference
        and found.advice is Verdict.INCONCLUSIVE
        and found.reference in relied_on
        else found
        for found in cells
    )


def _all_inconclusive(compared: Compared) -> Compared:
    cells = (replace(found, advice=Verdict.INCONCLUSIVE) for found in compared.cells)
    return replace(compared, cells=tuple(cells))
