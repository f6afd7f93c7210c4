import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from bench.cells import waves
from bench.cells.cell import Cell
from bench.cells.plan import Plan
from bench.errors import RequestError
from bench.gate import files, group_sequential, report
from bench.gate.decision import Gate, Pair, UntilDecided
from bench.gate.group_sequential import Settings
from bench.gate.verdict import Verdict
from bench.records import events, store
from bench.records.outcome import Outcome
from bench.records.record import CellRecord, Failure, Visit
from bench.report.files import check_replaceable
from tests.bench import runs
from tests.bench.gate import gates

CONTROL = waves.control(runs.REFERENCE_EAGER)
BASE, REFERENCE_BASE = waves.base(runs.EAGER), waves.base(runs.REFERENCE_EAGER)
GROUP = runs.EAGER.group


def test_a_log_ratio_is_that_of_head_to_base() -> None:
    (pair,) = gates.gate({runs.EAGER: (0.1, -0.2)}).pairs
    assert pair.log_ratios == pytest.approx((0.1, -0.2))
    assert pair.cell == runs.EAGER


def pair_of(log_ratios: Sequence[Sequence[float | None]], rounds: int) -> Pair:
    """Return a pair with these log-ratios of its rounds by set; None: a voided round."""

    def side(cell: Cell, ratio_scale: float) -> CellRecord:
        visits = tuple(
            Visit(
                set_index=set_index,
                round_index=index,
                host_s=(math.exp(ratio_scale * (ratio or 0.0)) * (1 + index),),
                voided=ratio is None,
            )
            for set_index, of_set in enumerate(log_ratios)
            for index, ratio in enumerate(of_set)
        )
        return CellRecord(cell=cell, visits=visits)

    return Pair(head=side(runs.EAGER, 1.0), base=side(BASE, 0.0), rounds=rounds)


def test_a_set_s_log_ratio_is_the_median_of_its_rounds() -> None:
    pair = pair_of([(0.01, 0.02, 5.0), (0.04, 0.03, -5.0, 0.06)], rounds=4)
    assert pair.log_ratios == pytest.approx((0.02, (0.03 + 0.04) / 2))


def test_a_set_that_lost_most_of_its_rounds_has_no_log_ratio() -> None:
    lost, kept = (0.01, None, None, None, None), (0.01, 0.03, 0.02, None, None)
    pair = pair_of([lost, kept, (None,) * 5, (0.04, 0.06, None, None, None)], rounds=5)
    expected = (math.nan, 0.02, math.nan, math.nan)
    assert pair.log_ratios == pytest.approx(expected, nan_ok=True)
    assert [math.isnan(tail) for tail in pair.tail_log_ratios] == [True, False, True, True]
    # Exactly half of the rounds is enough.
    half = pair_of([(0.04, 0.06, None, None)], rounds=4)
    assert half.log_ratios == pytest.approx((0.05,))


def voided(gate: Gate, *sets: int) -> Gate:
    """Return a copy of a gate in which all rounds of these sets were voided."""

    def with_voided_visits(records: Sequence[CellRecord]) -> tuple[CellRecord, ...]:
        return tuple(
            replace(
                record,
                visits=tuple(
                    replace(visit, voided=visit.set_index in sets) for visit in record.visits
                ),
            )
            for record in records
        )

    return replace(
        gate,
        run=replace(
            gate.run,
            cells=with_voided_visits(gate.run.cells),
            bases=with_voided_visits(gate.run.bases),
        ),
    )


def test_a_set_whose_rounds_were_all_voided_has_no_log_ratio(tmp_path: Path) -> None:
    gate = voided(gates.gate({runs.EAGER: (0.1, 0.2, 0.3, 0.4)}), 0, 2)
    files.write_all(gate, tmp_path)
    for same_gate in (gate, Gate.from_run(store.read(tmp_path / "run.json"))):
        (pair,) = same_gate.pairs
        expected = (math.nan, 0.2, math.nan, 0.4)
        assert pair.log_ratios == pytest.approx(expected, nan_ok=True)


def test_files_of_an_earlier_gate_may_be_replaced_and_others_may_not(tmp_path: Path) -> None:
    written = files.write_all(gates.gate({runs.EAGER: gates.SAME}), tmp_path)
    assert {path.name for path in written} == files.names()
    check_replaceable(tmp_path, files.names(), files.marks())
    (tmp_path / "run.json").unlink()
    check_replaceable(tmp_path, files.names(), files.marks())
    (tmp_path / files.MARKDOWN).write_text("mine\n")
    with pytest.raises(RequestError, match=r"contains gate\.json, gate\.md, which a run"):
        check_replaceable(tmp_path, files.names(), files.marks())


@pytest.mark.parametrize(
    ("ratios", "verdict", "code"),
    [
        (gates.SAME, Verdict.UNCHANGED, 0),
        (gates.FASTER, Verdict.IMPROVED, 0),
        (gates.SLOWER, Verdict.REGRESSED, 1),
        (gates.UNCLEAR, Verdict.INCONCLUSIVE, 3),
    ],
)
def test_each_verdict_has_its_exit_code(
    ratios: Sequence[float], verdict: Verdict, code: int
) -> None:
    gate = gates.gate({runs.EAGER: ratios})
    assert gate.judgements[runs.EAGER.id].verdict is verdict
    assert gate.exit_code == code


def test_a_regression_takes_precedence_over_an_undecided_cell() -> None:
    ratios = {runs.EAGER: gates.UNCLEAR, runs.COMPILED: gates.SLOWER}
    assert gates.gate(ratios).exit_code == 1


@pytest.mark.parametrize(
    ("head", "base", "code"), [(True, False, 1), (False, True, 3), (True, True, 3)]
)
def test_a_failure_fails_the_gate_only_if_the_base_does_not_fail_too(
    head: bool, base: bool, code: int
) -> None:
    gate = gates.gate({runs.EAGER: gates.SAME, runs.COMPILED: gates.SAME})
    failed = gates.failed(gate, runs.EAGER, head=head, base=base)
    assert failed.exit_code == code
    assert failed.judgements[runs.EAGER.id].verdict is Verdict.INCONCLUSIVE
    assert failed.judgements[runs.COMPILED.id].verdict is Verdict.UNCHANGED


def test_a_run_file_is_enough_to_restore_the_gate(tmp_path: Path) -> None:
    deltas = {runs.EAGER.id: 0.2}
    gate = gates.gate({runs.EAGER: gates.SLOWER, runs.COMPILED: gates.SLOWER}, deltas=deltas)
    *_, written = files.write_all(gate, tmp_path)
    restored = Gate.from_run(store.read(tmp_path / "run.json"))
    assert restored.sides == gates.SIDES
    assert restored.settings == gate.settings
    assert restored.judgements == gate.judgements
    assert report.as_json(restored) == written.read_text()


def test_a_file_with_another_limit_of_sets_is_still_read() -> None:
    run = gates.gate({runs.EAGER: gates.SAME}).run_with_settings
    earlier = {"most_sets": 24, "looks": [3, 5, 8, 12], "confirmation": [3, 6], "miss": 0.1}
    assert run.gate is not None
    more = {**run.gate, "settings": {**run.gate["settings"], **earlier}}
    gate = Gate.from_run(replace(run, gate=more))
    assert gate.settings.most_sets == group_sequential.MOST_SETS
    assert gate.exit_code == 0
    fewer = {**run.gate, "settings": {**run.gate["settings"], "most_sets": 3}}
    assert (
        Gate.from_run(replace(run, gate=fewer)).settings.most_sets == group_sequential.FIRST_CHANGE
    )


@pytest.mark.parametrize("iterations", [10, 16, 40])
def test_one_slow_iteration_in_ten_moves_the_tail_and_not_the_median(iterations: int) -> None:
    factors = [1.5 if index % 10 == 9 else 1.0 for index in range(iterations)]
    pair = gates.gate({runs.EAGER: (0.0,)}).pairs[0]
    host_s = tuple(0.02 * factor for factor in factors)
    visits = tuple(replace(visit, host_s=host_s) for visit in pair.head.visits)
    slower = replace(pair, head=replace(pair.head, visits=visits))
    assert slower.log_ratios == pytest.approx(pair.log_ratios)
    assert slower.tail_log_ratios[0] > math.log(1.1)


def test_a_run_without_valid_gate_data_is_refused() -> None:
    with pytest.raises(RequestError, match="is not a gate"):
        Gate.from_run(runs.small())
    with pytest.raises(RequestError, match="damaged: Object missing required field `sides`"):
        Gate.from_run(replace(runs.small(), gate={}))
    invalid = gates.gate({runs.EAGER: gates.SAME}, alpha=2.0).run_with_settings
    with pytest.raises(RequestError, match="alpha"):
        Gate.from_run(invalid)


@pytest.fixture
def outcome() -> Outcome:
    plan = Plan(
        cells=(runs.EAGER, runs.REFERENCE_EAGER),
        sets=3,
        rounds=1,
        precision=0.02,
        extra_s=0.0,
        budget_s=None,
        seed=0,
        reference_arch=runs.REFERENCE,
        against_base=True,
    )
    return Outcome(plan)


def measure(outcome: Outcome, set_index: int, log_ratio: float, *, voided: bool = False) -> None:
    """Add a set in which googlenet has this log-ratio to its base, and the reference has 0."""
    for cell in (runs.EAGER, runs.REFERENCE_EAGER, CONTROL, BASE, REFERENCE_BASE):
        latency_s = math.exp(log_ratio) if cell == runs.EAGER else 1.0
        outcome.apply(
            events.Visited(
                cell=cell.id,
                set_index=set_index,
                wave_index=0,
                round_index=0,
                dropped_s=0.0,
                host_s=(latency_s,),
                device_s=(),
            )
        )
    outcome.apply(
        events.RoundEnded(
            group=GROUP,
            set_index=set_index,
            wave_index=0,
            round_index=0,
            wall_s=1.0,
            foreign_cpus=0.0,
            voided=voided,
        )
    )


ALL = {runs.EAGER, BASE, runs.REFERENCE_EAGER, REFERENCE_BASE, CONTROL}


def test_a_cell_is_measured_until_it_has_a_verdict(outcome: Outcome) -> None:
    rule = UntilDecided(Settings())
    for set_index in range(3):
        assert set(rule.cells_to_measure(outcome, GROUP, set_index)) == ALL
        measure(outcome, set_index, 0.1)
    # The reference is unchanged and needs no more sets; a change takes six.
    for set_index in range(3, 6):
        assert set(rule.cells_to_measure(outcome, GROUP, set_index)) == {runs.EAGER, BASE}
        measure(outcome, set_index, 0.1)
    assert rule.cells_to_measure(outcome, GROUP, 6) == ()


def test_cells_are_given_up_at_the_first_look_if_the_machine_is_too_busy(outcome: Outcome) -> None:
    rule = UntilDecided(Settings())
    for set_index in range(3):
        assert set(rule.cells_to_measure(outcome, GROUP, set_index)) == ALL
        measure(outcome, set_index, 0.0, voided=True)
    assert rule.cells_to_measure(outcome, GROUP, 3) == ()


def test_cells_are_not_given_up_if_the_machine_is_sometimes_busy(outcome: Outcome) -> None:
    rule = UntilDecided(Settings())
    for set_index in range(9):
        assert set(rule.cells_to_measure(outcome, GROUP, set_index)) == ALL
        measure(outcome, set_index, 0.0, voided=set_index % 4 != 0)
    assert (
        rule.cells_to_measure(outcome, GROUP, 9) == ()
    )  # three sets have a log-ratio, and show no change


def test_voided_sets_count_towards_the_largest_number_of_sets(outcome: Outcome) -> None:
    rule = UntilDecided(replace(Settings(), most_sets=6))
    for set_index in range(6):
        assert set(rule.cells_to_measure(outcome, GROUP, set_index)) == ALL
        measure(outcome, set_index, 0.0, voided=set_index % 3 != 0)
    assert rule.cells_to_measure(outcome, GROUP, 6) == ()


def test_a_cell_that_failed_on_either_side_is_not_measured_again(outcome: Outcome) -> None:
    failure = Failure(kind="error", message="no", phase="preparing", set_index=0)
    outcome.apply(events.Failed(cell=BASE.id, failure=failure))
    cells = set(UntilDecided(Settings()).cells_to_measure(outcome, GROUP, 0))
    assert cells == {runs.REFERENCE_EAGER, REFERENCE_BASE, CONTROL}
