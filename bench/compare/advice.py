"""Compare two runs, A and B, that were not measured together. Pure: records in, advice out.

The ratio of a cell's **latency** in B to that in A includes any drift of the machine between the
runs. Its interval does not show this drift, because all sets of a run share it. A cell's **ratio to
the reference** is taken within rounds, where drift slows both cells, so the ratio of B's ratio to
A's is free of drift. Advice is based on this ratio of ratios if possible. It is based on the
latency

- if the runs' circumstances differ, as ``across`` allowed: another torch or device affects the
  reference too, and the ratio would cancel the effect in question;
- if the runs have no reference in common, and for the reference itself.

Advice based on the latency reports a change only if drift cannot explain it.

If a reference's own latency changed by more than ``DRIFT``, up or down, then the machine is not the
same or the reference changed. Two runs do not show which, and ratios differ between machines. So
every cell of such runs is ``inconclusive``, in every group and on either basis. A gate can decide,
because it measures both sides in the same sets (bench/gate/group_sequential.py).
"""

import math
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from operator import attrgetter

from bench import means, stats
from bench.cells.cell import Cell
from bench.compare.comparison import DRIFT, Basis, Compared, Comparison, Missing
from bench.errors import RequestError
from bench.gate.group_sequential import LEAST_EFFECT
from bench.gate.verdict import Verdict
from bench.means import Mean
from bench.names import choose
from bench.records.comparability import CIRCUMSTANCES, differences, refuse
from bench.records.record import CellRecord, RunRecord
from bench.stats import ByVisit
from bench.trust import assessment


def compare(a: RunRecord, b: RunRecord, across: Collection[str] = ()) -> Compared:
    """Compare two runs, cell by cell.

    ``across`` holds the names of ``CIRCUMSTANCES`` that may differ. Raises ``RequestError`` for an
    unknown name, for runs that differ in another circumstance, and for runs without a common cell.
    """
    for name in across:
        choose("circumstance", name, CIRCUMSTANCES)
    differing, unknown = differences(a, b)
    refuse([difference for difference in differing if difference.circumstance not in across])
    pairs = _pairs(a, b, across)
    if not pairs:
        raise RequestError(_nothing_in_common(a, b))
    measured = [pair for pair in pairs if all(record.has_figures for record in pair)]
    sides = _Side.from_run(a), _Side.from_run(b)
    compared = Compared(
        cells=_without_drifted_references(
            [
                _compare_cell(pair, sides, cells=len(measured), are_alike=not differing)
                for pair in measured
            ]
        ),
        missing=tuple(_missing(a, b, pairs)),
        allowed=tuple(differing),
        unknown=tuple(unknown),
    )
    return _all_inconclusive(compared) if compared.beyond_drift else compared


def _pairs(
    a: RunRecord, b: RunRecord, across: Collection[str]
) -> list[tuple[CellRecord, CellRecord]]:
    """Pair cells with the same id; pair other cells if they differ only in fields of ``across``."""
    key = attrgetter(*(field.name for field in fields(Cell) if field.name not in across))
    in_both = {record.cell for record in a.cells} & {record.cell for record in b.cells}
    alike = defaultdict(list)
    for record in b.cells:
        alike[key(record.cell)].append(record)
    return [
        (of_a, of_b)
        for of_a in a.cells
        for of_b in alike[key(of_a.cell)]
        if of_a.cell == of_b.cell or not {of_a.cell, of_b.cell} <= in_both
    ]


def _nothing_in_common(a: RunRecord, b: RunRecord) -> str:
    first = " and ".join(
        f"{name} has {run.cells[0].cell.id if run.cells else 'none'}"
        + (f" and {len(run.cells) - 1} more" if len(run.cells) > 1 else "")
        for name, run in (("A", a), ("B", b))
    )
    hint = "; some differ only in the dtype: --across dtype" if _pairs(a, b, {"dtype"}) else ""
    return f"A and B have no cell in common: {first}{hint}"


def _missing(
    a: RunRecord, b: RunRecord, pairs: Sequence[tuple[CellRecord, CellRecord]]
) -> Iterator[Missing]:
    for run, other, records, side in (("A", "B", a.cells, 0), ("B", "A", b.cells, 1)):
        paired = {pair[side].cell for pair in pairs}
        for record in records:
            if record.cell not in paired:
                yield Missing(cell=record.cell, run=other, is_known=False)
            elif not record.has_figures:
                yield Missing(cell=record.cell, run=run, is_known=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Side:
    """The figures of a run."""

    logs: Mapping[Cell, ByVisit]
    """Logarithms of latencies in seconds."""
    references: Mapping[str, Cell]
    distrusted: frozenset[str]
    """Groups whose figures must not be used, because of their control or the machine's load."""

    @classmethod
    def from_run(cls, run: RunRecord) -> "_Side":
        measured = [record for record in run.cells if record.has_figures]
        return cls(
            logs={record.cell: stats.log_latencies(record) for record in measured},
            references=run.references(),
            distrusted=frozenset(
                group.group for group in assessment.assess(run) if group.is_distrusted
            ),
        )

    def reference(self, cell: Cell) -> Cell | None:
        """Return the reference of a cell's group; None if it has no figures."""
        reference = self.references.get(cell.group)
        return reference if reference in self.logs else None

    def latency(self, cell: Cell) -> Mean:
        """Return the mean logarithm of a cell's latency."""
        return means.mean(stats.set_medians(self.logs[cell]))

    def ratio(self, cell: Cell, reference: Cell) -> Mean:
        """Return the mean log-ratio of a cell's latency to the reference's in the same rounds."""
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
    is_ratio_enough = are_alike and a.cell == b.cell and a.cell != reference
    basis = Basis.RATIO if ratio and is_ratio_enough else Basis.LATENCY
    is_trusted = a.cell.group not in of_a.distrusted and b.cell.group not in of_b.distrusted
    change = ratio if ratio and basis is Basis.RATIO else latency
    return Comparison(
        a=a,
        b=b,
        latency=means.exponential(latency.interval()),
        ratio=means.exponential(ratio.interval()) if ratio else means.NO_INTERVAL,
        reference=reference,
        basis=basis,
        advice=_advise(change, basis, cells) if is_trusted else Verdict.INCONCLUSIVE,
    )


def _ratio(a: Cell, b: Cell, of_a: _Side, of_b: _Side) -> tuple[Cell | None, Mean | None]:
    """Return A's reference if B's has its arch and mode, and the log of B's ratio over A's.

    The ratio is None if no round visited a cell and its reference.
    """
    to_a, to_b = of_a.reference(a), of_b.reference(b)
    if to_a is None or to_b is None or (to_a.arch, to_a.mode) != (to_b.arch, to_b.mode):
        return None, None
    if a == to_a:  # the reference's ratio to itself is 1 by definition
        return to_a, Mean(estimate=0.0, error=math.nan, freedom=math.nan, sets=0)
    ratio = means.difference(of_a.ratio(a, to_a), of_b.ratio(b, to_b))
    return to_a, ratio if ratio.sets else None


def _advise(change: Mean, basis: Basis, cells: int) -> Verdict:
    """Return the advice for the logarithm of a cell's change; ``cells`` are compared in all.

    A change must be significant after Bonferroni's correction for all cells, because readers look
    at the worst one.
    """
    drift = math.log1p(DRIFT) if basis is Basis.LATENCY else 0.0
    delta = math.log1p(LEAST_EFFECT)
    corrected = change.interval(1 - (1 - means.CONFIDENCE) / cells)
    if corrected.low > drift and change.estimate >= delta:
        return Verdict.REGRESSED
    if corrected.high < -drift and change.estimate <= -delta:
        return Verdict.IMPROVED
    plain = change.interval()
    # As in a gate: not slower by δ. If only the latency is known, a cell that seems faster may be a
    # slower cell on a faster machine.
    if plain.high < delta and (basis is Basis.RATIO or plain.low > -delta):
        return Verdict.UNCHANGED
    return Verdict.INCONCLUSIVE


def _without_drifted_references(cells: Sequence[Comparison]) -> tuple[Comparison, ...]:
    """Remove the advice for inconclusive references that other cells' advice is based on.

    Drift may explain their change, and the ratios cancel it.
    """
    references = {comparison.reference for comparison in cells if comparison.basis is Basis.RATIO}
    return tuple(
        replace(comparison, advice=None)
        if comparison.is_reference
        and comparison.advice is Verdict.INCONCLUSIVE
        and comparison.reference in references
        else comparison
        for comparison in cells
    )


def _all_inconclusive(compared: Compared) -> Compared:
    cells = (replace(cell, advice=Verdict.INCONCLUSIVE) for cell in compared.cells)
    return replace(compared, cells=tuple(cells))
