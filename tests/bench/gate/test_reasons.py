from collections.abc import Sequence
from dataclasses import replace

import pytest

from bench.cells import waves
from bench.gate import reasons, report
from bench.gate.decision import Gate
from bench.records.record import CellRecord
from tests.bench import runs
from tests.bench.gate import gates

CELL = runs.EAGER


def gate(log_ratios: Sequence[float], *, status: str = "complete") -> Gate:
    made = gates.gate({CELL: log_ratios})
    return replace(made, run=replace(made.run, status=status))


def why(of: Gate) -> str:
    (pair,) = of.pairs
    return reasons.why_inconclusive(of, pair)


@pytest.mark.parametrize(
    ("log_ratios", "status", "part"),
    [
        (
            [0.05, 0.06, 0.04, 0.05, 0.06, 0.7] * 2 + [0.05] * 4,
            "complete",
            "its sets are too far apart, from +4% to +101%, to show a change",
        ),
        ([0.1, -0.1], "over_budget", "the gate ended after 2 sets, because its time (--budget)"),
        ([0.1], "interrupted", "the gate ended after 1 set, because it was interrupted"),
        ([0.1], "complete", "it has too few sets"),
        ([0.1], "stopped_early", "because every round of its last set was voided"),
        (
            [0.05, -0.05] * 8,
            "complete",
            "after 16 sets it may still be slower by 3% or not: the sets scatter too much",
        ),
        ([0.05, -0.05] * 8, "over_budget", "after 16 sets it may still be slower by 3% or not"),
    ],
)
def test_an_inconclusive_cell_says_why(log_ratios: list[float], status: str, part: str) -> None:
    of = gate(log_ratios, status=status)
    assert part in why(of)
    assert part in report.sentence(of, of.pairs[0])
    assert f"{CELL.id} is inconclusive: {why(of)}."[:60] in report.render(of)


def test_a_tail_that_may_be_slower_is_named() -> None:
    of = gates.gate({CELL: gates.SAME}, slow_tail=0.15)
    assert "after 3 sets the slowest fifth of its iterations may still be slower" in why(of)


def test_sets_that_were_not_used_are_no_reason() -> None:
    of = gates.gate({CELL: [0.05, -0.05] * 3 + [0.9]}, most_sets=6)
    assert of.judgements[CELL.id].sets == 6
    assert "after 6 sets it may still be slower by 3% or not" in why(of)


def test_lost_sets_are_a_reason() -> None:
    made = gate([0.1, 0.1, 0.1])
    (pair,) = made.pairs
    lost = replace(pair, rounds=10)  # each set has one of ten rounds
    assert all(ratio != ratio for ratio in lost.log_ratios)
    of = replace(made, run=replace(made.run, allotted={CELL.group: 10}))
    assert "3 of its 3 sets lost most of their rounds, which were voided" in why(of)


def test_too_few_sets_that_are_left_are_a_reason() -> None:
    made = gate([0.1, 0.1, 0.1])

    def without_first(record: CellRecord) -> CellRecord:
        visits = (replace(visit, voided=visit.set_index == 0) for visit in record.visits)
        return replace(record, visits=tuple(visits))

    cells, bases = (tuple(map(without_first, side)) for side in (made.run.cells, made.run.bases))
    of = replace(made, run=replace(made.run, cells=cells, bases=bases))
    assert "1 of its 3 sets lost most of their rounds, which were voided" in why(of)


@pytest.mark.parametrize("log_ratios", [gates.SAME, gates.SLOWER, gates.FASTER])
def test_a_cell_with_a_verdict_has_no_reason(log_ratios: Sequence[float]) -> None:
    assert why(gate(log_ratios)) == ""


def test_a_failed_cell_has_no_reason_but_its_failure() -> None:
    assert why(gates.failed(gate(gates.SAME), CELL, base=True)) == ""


def test_latencies_that_contradict_the_ratio_are_explained() -> None:
    of = gate(gates.SLOWER)
    assert list(reasons.contradictions(of)) == []
    (sentence,) = reasons.contradictions(with_slow_rounds(of, 2.0))
    assert sentence.startswith(f"{CELL.id}: head's latency is ")
    assert "but the ratio within rounds is 1.105" in sentence
    assert waves.base(CELL) == of.run.bases[0].cell


def with_slow_rounds(of: Gate, factor: float) -> Gate:
    """Return a gate whose base has rounds that head does not have.

    They determine the base's latency, which is then ``factor`` times that of ``of``.
    """
    (base,) = of.run.bases
    slow = tuple(
        replace(
            visit,
            round_index=visit.round_index + 1 + extra,
            host_s=tuple(factor * sample for sample in visit.host_s),
        )
        for visit in base.visits
        for extra in range(3)
    )
    changed = replace(of.run, bases=(replace(base, visits=(*base.visits, *slow)),))
    return replace(of, run=changed)


@pytest.mark.parametrize(
    ("factor", "count"),
    [
        (1.10, 0),  # the latencies agree with the ratio, 1.105
        (1.12, 0),  # they say the opposite, by less than the 3 % that matter
        (1.15, 1),
    ],
)
def test_only_a_contradiction_that_matters_is_explained(factor: float, count: int) -> None:
    of = with_slow_rounds(gate([0.1] * 6), factor)
    assert len(list(reasons.contradictions(of))) == count
