"""The items of a gate: one for each cell, which fails if head is slower than the base."""

import pytest

from bench.cells.cell import Cell
from bench.gate import report
from bench.gate.decision import Gate
from bench.gate.verdict import FAILED, Verdict


@pytest.mark.filterwarnings("default")  # as in test_cells.py
def test_verdict(cell: Cell, gate: Gate) -> None:
    """Fail if head regressed, or only head fails; skip if the verdict is inconclusive."""
    pair = next(pair for pair in gate.pairs if pair.cell == cell)
    verdict = gate.verdicts[cell.id]
    if verdict in {Verdict.REGRESSED, FAILED}:
        pytest.fail(report.sentence(gate, pair), pytrace=False)
    if verdict is Verdict.INCONCLUSIVE:
        pytest.skip(report.sentence(gate, pair))
