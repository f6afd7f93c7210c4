import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from bench.cells import waves
from bench.cells.plan import Plan
from bench.gate import files, judge, report
from bench.gate.decision import Gate, UntilDecided
from bench.gate.judge import Settings
from bench.gate.verdict import Verdict
from bench.names import RequestError
from bench.records import events, store
from bench.records.outcome import Outcome
from bench.records.record import CellRecord, Failure
from bench.report.files import check_ours
from tests.bench import runs
from tests.bench.gate import gates

CONTROL = waves.control(runs.REFERENCE_EAGER)
BASE, REFERENCE_BASE = waves.base(runs.EAGER), waves.base(runs.REFERENCE_EAGER)
GROUP = runs.EAGER.group


def test_the_log_ratio_of_a_set_is_heads_over_the_bases() -> None:
    (pair,) = gates.gate({runs.EAGER: (0.1, -0.2)}).pairs
    assert pair.log_ratios == pytest.approx((0.1, -0.2))
    assert pair.cell == runs.EAGER


def voided(gate: Gate, *sets: int) -> Gate:
    """The same gate, in which others kept the machine busy all through some of the sets."""

    def on(records: Sequence[CellRecord]) -> tuple[CellRecord, ...]:
        return tuple(
            replace(
                record,
                visits=tuple(
                    replace(visit, voided=visit.set_index in sets) for visit in record.visits
                ),
            )
            for record in records
        )

    return replace(gate, run=replace(gate.run, cells=on(gate.run.cells), bases=on(gate.run.bases)))


def test_a_set_whose_rounds_were_all_voided_is_a_set_without_a_number(tmp_path: Path) -> None:
    gate = voided(gates.gate({runs.EAGER: (0.1, 0.2, 0.3, 0.4)}), 0, 2)
    files.write_all(gate, tmp_path)
    for found in (gate, Gate.from_run(store.read(tmp_path / "run.json"))):
        (pair,) = found.pairs
        expected = (math.nan, 0.2, math.nan, 0.4)
        assert pair.log_ratios == pytest.approx(expected, nan_ok=True)


def test_an_earlier_gate_s_files_are_told_from_one_s_own(tmp_path: Path) -> None:
    written = files.write_all(gates.gate({runs.EAGER: gates.SAME}), tmp_path)
    assert {path.name for path in written} == files.NAMES
    check_ours(tmp_path, files.NAMES, files.MARKS)
    (tmp_path / "run.json").unlink()
    check_ours(tmp_path, files.NAMES, files.MARKS)
    (tmp_path / files.MARKDOWN).write_text("mine\n")
    with pytest.raises(RequestError, match=r"and gate\.json, gate\.md, which a run"):
        check_ours(tmp_path, files.NAMES, files.MARKS)


@pytest.mark.parametrize(
    ("ratios", "verdict", "code"),
    [
        (gates.SAME, Verdict.UNCHANGED, 0),
        (gates.FASTER, Verdict.IMPROVED, 0),
        (gates.SLOWER, Verdict.REGRESSED, 1),
        (gates.UNCLEAR, Verdict.INCONCLUSIVE, 3),
    ],
)
def test_a_verdict_and_its_exit_code(ratios: Sequence[float], verdict: Verdict, code: int) -> None:
    gate = gates.gate({runs.EAGER: ratios})
    assert gate.judgements[runs.EAGER.id].verdict is verdict
    assert gate.exit_code == code


def test_a_regression_goes_before_what_is_undecided() -> None:
    ratios = {runs.EAGER: gates.UNCLEAR, runs.COMPILED: gates.SLOWER}
    assert gates.gate(ratios).exit_code == 1


@pytest.mark.parametrize(
    ("head", "base", "code"), [(True, False, 1), (False, True, 3), (True, True, 3)]
)
def test_a_failure_counts_as_heads_only_where_the_base_does_not_fail_too(
    head: bool, base: bool, code: int
) -> None:
    gate = gates.gate({runs.EAGER: gates.SAME, runs.COMPILED: gates.SAME})
    failed = gates.failed(gate, runs.EAGER, head=head, base=base)
    assert failed.exit_code == code
    assert failed.judgements[runs.EAGER.id].verdict is Verdict.INCONCLUSIVE
    assert failed.judgements[runs.COMPILED.id].verdict is Verdict.UNCHANGED


def test_a_run_file_is_enough_to_hold_the_gate_again(tmp_path: Path) -> None:
    deltas = {runs.EAGER.id: 0.2}
    gate = gates.gate({runs.EAGER: gates.SLOWER, runs.COMPILED: gates.SLOWER}, deltas=deltas)
    *_, written = files.write_all(gate, tmp_path)
    again = Gate.from_run(store.read(tmp_path / "run.json"))
    assert again.sides == gates.SIDES
    assert again.settings == gate.settings
    assert again.judgements == gate.judgements
    assert report.as_json(again) == written.read_text()


def test_a_file_of_a_gate_that_could_have_more_sets_is_still_read() -> None:
    kept = gates.gate({runs.EAGER: gates.SAME}).kept
    earlier = {"most_sets": 24, "looks": [3, 5, 8, 12], "confirmation": [3, 6], "miss": 0.1}
    assert kept.gate is not None
    told = {**kept.gate, "settings": {**kept.gate["settings"], **earlier}}
    gate = Gate.from_run(replace(kept, gate=told))
    assert gate.settings.most_sets == judge.MOST_SETS
    assert gate.exit_code == 0
    fewer = {**kept.gate, "settings": {**kept.gate["settings"], "most_sets": 3}}
    assert Gate.from_run(replace(kept, gate=fewer)).settings.most_sets == judge.FIRST_CHANGE


@pytest.mark.parametrize("iterations", [10, 16, 40])
def test_one_slow_iteration_in_ten_moves_the_tail_and_not_the_median(iterations: int) -> None:
    slow = [1.5 if index % 10 == 9 else 1.0 for index in range(iterations)]
    pair = gates.gate({runs.EAGER: (0.0,)}).pairs[0]
    one_by_one = tuple(0.02 * by for by in slow)
    visits = tuple(replace(visit, host_s=one_by_one) for visit in pair.head.visits)
    limping = replace(pair, head=replace(pair.head, visits=visits))
    assert limping.log_ratios == pytest.approx(pair.log_ratios)
    assert limping.tail_log_ratios[0] > math.log(1.1)


def test_a_run_that_was_no_gate_or_says_nonsense_of_it_is_refused() -> None:
    with pytest.raises(RequestError, match="was no gate"):
        Gate.from_run(runs.small())
    with pytest.raises(RequestError, match="damaged: Object missing required field `sides`"):
        Gate.from_run(replace(runs.small(), gate={}))
    nonsense = gates.gate({runs.EAGER: gates.SAME}, alpha=2.0).kept
    with pytest.raises(RequestError, match="alpha"):
        Gate.from_run(nonsense)


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
    """A set in which googlenet is slower than its base by this, and the reference is not."""
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


def test_every_cell_wants_sets_until_it_is_judged(outcome: Outcome) -> None:
    rule = UntilDecided(Settings())
    for set_index in range(3):
        assert set(rule.wanted(outcome, GROUP, set_index)) == ALL
        measure(outcome, set_index, 0.1)
    # The reference is as it was, and needs no more; a change takes six sets.
    for set_index in range(3, 6):
        assert set(rule.wanted(outcome, GROUP, set_index)) == {runs.EAGER, BASE}
        measure(outcome, set_index, 0.1)
    assert rule.wanted(outcome, GROUP, 6) == ()


def test_a_machine_that_is_too_busy_is_given_up_at_the_first_look(outcome: Outcome) -> None:
    rule = UntilDecided(Settings())
    for set_index in range(3):
        assert set(rule.wanted(outcome, GROUP, set_index)) == ALL
        measure(outcome, set_index, 0.0, voided=True)
    assert rule.wanted(outcome, GROUP, 3) == ()


def test_a_machine_that_is_busy_now_and_then_is_not_given_up(outcome: Outcome) -> None:
    rule = UntilDecided(Settings())
    for set_index in range(9):
        assert set(rule.wanted(outcome, GROUP, set_index)) == ALL
        measure(outcome, set_index, 0.0, voided=set_index % 4 != 0)
    assert rule.wanted(outcome, GROUP, 9) == ()  # three have a number, and found nothing


def test_sets_that_were_voided_whole_are_of_the_most_that_there_may_be(outcome: Outcome) -> None:
    rule = UntilDecided(replace(Settings(), most_sets=6))
    for set_index in range(6):
        assert set(rule.wanted(outcome, GROUP, set_index)) == ALL
        measure(outcome, set_index, 0.0, voided=set_index % 3 != 0)
    assert rule.wanted(outcome, GROUP, 6) == ()


def test_what_failed_on_either_side_wants_no_more(outcome: Outcome) -> None:
    failure = Failure(kind="error", message="no", phase="preparing", set_index=0)
    outcome.apply(events.Failed(cell=BASE.id, failure=failure))
    wanted = set(UntilDecided(Settings()).wanted(outcome, GROUP, 0))
    assert wanted == {runs.REFERENCE_EAGER, REFERENCE_BASE, CONTROL}
