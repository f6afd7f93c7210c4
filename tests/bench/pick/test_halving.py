from dataclasses import replace

import pytest

from bench.pick import halving
from bench.pick.candidate import Candidate, Cause, Dropped, Limits, remaining
from bench.pick.halving import Step
from bench.records.record import CellRecord, Failure, RunRecord
from bench.records.reported import Setup
from bench.units import MIB
from tests.bench.pick.figures import candidate, record, run

LIMITS = Limits(latency_s=0.020)
SHORT_STEP = Step(sets=1, margin=1.25)
STEP = 2


def measured(
    *latencies: tuple[Candidate, float], memory_bytes: int | None = None
) -> list[Candidate]:
    """Return candidates with these latencies, measured in one set."""
    of = run(*(record(each.cell, latency_s, 1, memory_bytes) for each, latency_s in latencies))
    return halving.measured([each for each, _ in latencies], of, STEP)


def dropped(*latencies: tuple[Candidate, float], limits: Limits = LIMITS) -> dict[str, str]:
    """Return why candidates are dropped, by name."""
    left = halving.drop(measured(*latencies), limits, SHORT_STEP, STEP)
    return {each.name: each.dropped.why for each in left if each.dropped}


def test_figures_are_those_of_the_run() -> None:
    first, second = measured(
        (candidate("a", 70.0), 0.010), (candidate("b", 80.0), 0.012), memory_bytes=3 * MIB
    )
    assert first.latency is not None
    assert first.latency.estimate == pytest.approx(0.010, rel=0.01)
    assert second.paired_s == pytest.approx(first.latency.estimate * 1.2)
    assert (first.memory_bytes, first.cost and first.cost.params) == (3 * MIB, 5_000_000)


def test_the_error_is_the_largest_over_the_sets() -> None:
    of = candidate("a", 80.0)
    setups = tuple(Setup(output_error=error) for error in (1e-6, None, 3e-6, 2e-6))
    in_sets = replace(record(of.cell, 0.010, len(setups)), setups=setups)
    (found,) = halving.measured([of], run(in_sets), STEP)
    assert found.output_error == 3e-6


def test_the_memory_is_the_lower_median_over_the_sets() -> None:
    of = candidate("a", 80.0)
    sizes = (7 * MIB, 3 * MIB, 4 * MIB, 9 * MIB)
    setups = tuple(Setup(peak_memory_bytes=size) for size in sizes)
    in_sets = replace(record(of.cell, 0.010, len(sizes)), setups=setups)
    (found,) = halving.measured([of], run(in_sets), STEP)
    assert found.memory_bytes == 4 * MIB


@pytest.mark.parametrize(
    ("size", "margin", "is_over"),
    [(100, 1.0, False), (101, 1.0, True), (125, 1.25, False), (126, 1.25, True)],
)
def test_exactly_the_limit_of_memory_is_within_it(size: int, margin: float, is_over: bool) -> None:
    of = replace(candidate("a"), memory_bytes=size * MIB)
    limits = replace(LIMITS, memory_bytes=100 * MIB)
    assert bool(halving.over_memory(of, limits, margin)) is is_over


def test_a_single_set_does_not_replace_an_interval() -> None:
    of = candidate("a", 80.0)
    (two_sets,) = halving.measured([of], run(record(of.cell, 0.010, 2)), STEP)
    (interrupted,) = halving.measured([two_sets], run(record(of.cell, 0.013, 1)), STEP + 1)
    assert interrupted.latency == two_sets.latency
    assert interrupted.paired_s == two_sets.paired_s
    (final,) = halving.measured([two_sets], run(record(of.cell, 0.013, 2)), STEP + 1)
    assert final.latency is not None
    assert final.latency.estimate == pytest.approx(0.013, rel=0.02)


def test_only_what_is_far_over_the_limit_is_dropped() -> None:
    assert dropped((candidate("a", 90.0), 0.0249), (candidate("b", 80.0), 0.0240)) == {}
    assert dropped((candidate("a", 90.0), 0.0260), (candidate("b", 80.0), 0.0240)) == {
        "a in eager": "26.1 ms, more than 1.25 times 20.0 ms"
    }


def test_a_much_faster_network_of_the_same_accuracy_dominates() -> None:
    fast, slow = candidate("fast", 80.0), candidate("slow", 80.0)
    assert dropped((fast, 0.010), (slow, 0.0124)) == {}
    assert dropped((fast, 0.010), (slow, 0.0126)) == {
        "slow in eager": "fast in eager is at least as accurate and 1.3 times as fast"
    }


def test_a_more_accurate_network_is_never_dominated() -> None:
    assert dropped((candidate("fast", 79.9), 0.001), (candidate("slow", 80.0), 0.019)) == {}


def test_an_unknown_accuracy_is_compared_only_with_other_modes_of_the_network() -> None:
    assert dropped((candidate("fast", 80.0), 0.001), (candidate("slow"), 0.019)) == {}
    assert dropped((candidate("fast"), 0.001), (candidate("slow", 80.0), 0.019)) == {}
    assert dropped((candidate("a", mode="channels_last"), 0.001), (candidate("a"), 0.019)) == {
        "a in eager": "a in channels_last is the same network and 19.0 times as fast"
    }


def test_other_batch_sizes_do_not_dominate() -> None:
    alone, batch = candidate("a", 80.0), candidate("a", 80.0, batch_size=8)
    assert dropped((alone, 0.001), (batch, 0.008)) == {}


def test_a_network_that_needs_too_much_memory_dominates_none() -> None:
    large, small = candidate("large", 80.0), candidate("small", 80.0)
    of = run(
        record(small.cell, 0.010, 1, 90 * MIB),
        record(large.cell, 0.002, 1, 120 * MIB),
    )
    limits = replace(LIMITS, memory_bytes=100 * MIB)
    left = halving.drop(halving.measured([large, small], of, STEP), limits, SHORT_STEP, STEP)
    assert [each.dropped for each in left] == [None, None]  # 120 MiB are within the margin
    tight = replace(LIMITS, memory_bytes=95 * MIB)
    left = halving.drop(halving.measured([large, small], of, STEP), tight, SHORT_STEP, STEP)
    why = "it needs 120 MiB of memory, more than 95 MiB"
    assert left[0].dropped == Dropped(step=STEP, cause=Cause.MEMORY, why=why)
    assert left[1].dropped is None


def test_what_failed_is_dropped_with_its_reason() -> None:
    of, other = candidate("a", 80.0), candidate("b", 70.0)
    failure = Failure(kind="died", message="it died", phase="measuring", set_index=0)
    broken = run(CellRecord(cell=of.cell, failure=failure), record(other.cell, 0.010, 1))
    found = halving.measured([of, other], broken, STEP)
    assert found[0].dropped == Dropped(step=STEP, cause=Cause.FAILED, why="it failed: it died")
    assert found[1].paired_s == pytest.approx(0.010, rel=0.01)  # without its reference


def test_what_was_not_measured_stays() -> None:
    of = candidate("a", 80.0)
    nothing: RunRecord = run(CellRecord(cell=of.cell))
    found = halving.measured([of], nothing, STEP)
    assert halving.drop(found, LIMITS, SHORT_STEP, STEP) == [of]


def test_a_step_is_measured_only_if_it_can_save_time() -> None:
    many = [candidate(f"a{index}", 80.0) for index in range(5)]  # more than four finalists
    assert [halving.is_worthwhile(index, many) for index in (0, 1)] == [True, True]
    few = [*many[:-1], many[-1].drop(STEP, Cause.LATENCY, "slow")]
    assert [halving.is_worthwhile(index, few) for index in (0, 1)] == [True, False]
    assert not halving.is_worthwhile(0, many[:1])
    assert len(remaining(few)) == halving.FINALISTS
    assert [step.margin > 1 for step in halving.STEPS] == [True] * len(halving.STEPS)


def test_more_sets_have_a_smaller_margin() -> None:
    first, second = halving.STEPS
    assert (first.sets, second.sets) == (1, 2)
    assert 1 < second.margin < first.margin
