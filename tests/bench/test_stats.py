import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from bench import stats
from bench.records.record import BackToBack, CellRecord, Visit
from bench.records.reported import Setup
from tests.bench import runs

Rounds = Mapping[tuple[int, int], Sequence[float]]


def record(rounds: Rounds) -> CellRecord:
    """Return a cell with the given samples for each (set, round)."""
    return CellRecord(
        cell=runs.EAGER,
        visits=tuple(
            Visit(set_index=at[0], round_index=at[1], host_s=tuple(samples))
            for at, samples in rounds.items()
        ),
    )


@pytest.mark.parametrize(
    ("widest", "precision", "precise"),
    [
        (0.02, 0.02, True),
        (0.021, 0.02, False),
        (math.nan, 0.99, False),
        (math.nan, 1.0, True),
        (math.inf, 1.0, True),
    ],
)
def test_a_requested_precision_of_100_percent_is_always_met(
    widest: float, precision: float, precise: bool
) -> None:
    assert stats.is_precise(widest, precision) is precise


def test_throughput_is_batch_size_over_latency() -> None:
    batch_cell = replace(runs.EAGER, batch_size=8)
    result = stats.throughput(replace(record({(0, 0): [0.25]}), cell=batch_cell))
    assert result.estimate == pytest.approx(8 / 0.25)


def test_speedup_is_the_reference_over_the_cell() -> None:
    slow, fast = record({(0, 0): [0.030]}), record({(0, 0): [0.012]})
    assert stats.speedup(fast, slow).estimate == pytest.approx(0.030 / 0.012)
    assert stats.speedup(slow, fast).estimate == pytest.approx(0.012 / 0.030)


def test_speedup_over_itself_is_exactly_one() -> None:
    same = runs.measured(runs.EAGER)
    assert stats.speedup(same, same).estimate == 1.0


def test_drift_that_both_cells_share_in_a_round_cancels() -> None:
    drift = {(0, 0): 1.0, (0, 1): 3.0, (0, 2): 0.5, (1, 0): 7.0, (1, 1): 0.2}
    fast = record({at: [factor * 0.012] for at, factor in drift.items()})
    slow = record({at: [factor * 0.030] for at, factor in drift.items()})
    assert stats.speedup(fast, slow).estimate == pytest.approx(0.030 / 0.012, rel=1e-14)


def test_drift_by_powers_of_two_cancels_to_the_last_bits() -> None:
    steady = {(0, index): [0.25] for index in range(5)}
    drifting = {(0, index): [0.25 * 2.0**index] for index in range(5)}
    halved = {at: [sample / 2 for sample in samples] for at, samples in drifting.items()}
    assert stats.speedup(record(halved), record(drifting)).estimate == pytest.approx(2, rel=1e-15)
    # Drift of only one cell does not cancel: the result is the ratio of the middle round.
    assert stats.speedup(record(steady), record(drifting)).estimate == pytest.approx(2.0**2)


def test_the_value_of_a_visit_is_its_median() -> None:
    fast, slow = record({(0, 0): [1.0, 2.0, 99.0]}), record({(0, 0): [50.0, 6.0, 0.1]})
    assert stats.speedup(fast, slow).estimate == pytest.approx(6 / 2)


def test_the_median_over_rounds_ignores_an_outlying_round() -> None:
    slow = record({(0, index): [2.0] for index in range(3)})
    fast = record({(0, 0): [1.0], (0, 1): [1e-6], (0, 2): [1.0]})
    assert stats.speedup(fast, slow).estimate == pytest.approx(2)


def test_sets_are_averaged_geometrically() -> None:
    slow = record({(0, 0): [2.0], (1, 0): [8.0]})
    fast = record({(0, 0): [1.0], (1, 0): [1.0]})
    assert stats.speedup(fast, slow).estimate == pytest.approx(math.sqrt(2 * 8))


def test_the_interval_over_logarithms_is_a_ratio() -> None:
    result = stats.over({3: math.log(2), 7: math.log(8)})
    assert result.estimate == pytest.approx(math.sqrt(2 * 8))
    assert result.sets == 2
    assert math.isnan(stats.over({}).estimate)


def test_a_set_counts_once_for_any_number_of_rounds() -> None:
    many = {(0, index): [2.0] for index in range(9)}
    fewer = {(1, index): [8.0] for index in range(5)}
    slow = record({**many, **fewer})
    fast = record({at: [1.0] for at in (*many, *fewer)})
    assert stats.speedup(fast, slow).estimate == pytest.approx(math.sqrt(2 * 8))


def test_only_rounds_that_visited_both_cells_count() -> None:
    slow = record({(0, 0): [2.0], (0, 1): [1000.0], (1, 0): [1000.0]})
    fast = record({(0, 0): [1.0], (0, 2): [1e-9], (2, 0): [1e-9]})
    assert stats.speedup(fast, slow).estimate == pytest.approx(2)


@pytest.mark.parametrize("rounds", [{}, {(0, 1): [1.0]}, {(1, 0): [1.0]}])
def test_cells_without_a_common_round_have_no_speedup(rounds: Rounds) -> None:
    assert math.isnan(stats.speedup(record({(0, 0): [1.0]}), record(rounds)).estimate)


def test_a_set_with_too_few_rounds_does_not_count() -> None:
    complete = {(0, index): [2.0] for index in range(4)}
    slow = record({**complete, (1, 0): [1000.0]})
    fast = record({at: [1.0] for at in (*complete, (1, 0))})
    assert stats.speedup(fast, slow).estimate == pytest.approx(2)
    assert stats.speedup(fast, slow).sets == 1


@pytest.mark.parametrize(
    ("rounds", "of_rounds", "counts"),
    [(1, 4, False), (2, 4, True), (2, 5, False), (3, 5, True)],
)
def test_half_of_the_rounds_of_the_longest_wave_are_enough_for_a_set(
    rounds: int, of_rounds: int, counts: bool
) -> None:
    complete = {(0, index): [2.0] for index in range(of_rounds)}
    short = {(1, index): [8.0] for index in range(rounds)}
    result = stats.latency(record({**complete, **short}))
    assert result.sets == 1 + counts
    assert result.estimate == pytest.approx(4 if counts else 2)


def in_waves(*waves: tuple[int, int, float]) -> CellRecord:
    """Return a cell with three rounds for each (set, wave, latency in seconds)."""
    return CellRecord(
        cell=runs.EAGER,
        visits=tuple(
            Visit(set_index=index, wave_index=wave, round_index=number, host_s=(seconds,))
            for index, wave, seconds in waves
            for number in range(3)
        ),
    )


def test_cells_of_different_waves_are_compared_through_the_reference() -> None:
    own, other = in_waves((0, 0, 2.0), (1, 0, 2.0)), in_waves((0, 1, 16.0), (1, 0, 8.0))
    reference = in_waves((0, 0, 1.0), (0, 1, 2.0), (1, 0, 1.0))
    result = stats.speedup(own, other, reference=reference)
    # The ratio is 8 to 2 also in the first set, where the machine was half as fast in wave 1.
    assert result.estimate == pytest.approx(4)
    assert result.sets == 2
    assert stats.speedup(own, other).sets == 1


def test_sets_with_different_numbers_of_waves_count_equally() -> None:
    result = stats.latency(in_waves((0, 0, 2.0), (1, 0, 8.0), (1, 1, 8.0), (1, 2, 8.0)))
    assert result.estimate == pytest.approx(4)
    assert result.sets == 2


def test_a_wave_that_was_cut_off_does_not_lose_the_set() -> None:
    cell = in_waves((0, 0, 2.0), (1, 0, 8.0), (1, 1, 8.0))
    cut = tuple(visit for visit in cell.visits if (visit.wave_index, visit.round_index) < (1, 1))
    assert len(cut) == 3 + 3 + 1
    assert stats.latency(replace(cell, visits=cut)).sets == 2


def test_a_set_in_which_a_wave_has_both_cells_needs_no_reference() -> None:
    own, other = in_waves((0, 0, 2.0), (1, 0, 2.0)), in_waves((0, 0, 8.0), (0, 1, 8.0), (1, 1, 8.0))
    # The reference says 16 in set 0, and 4 in set 1, whose waves do not have both.
    reference = in_waves((0, 0, 4.0), (0, 1, 1.0), (1, 0, 1.0), (1, 1, 1.0))
    logs = stats.log_speedups(*map(stats.log_latencies, (own, other, reference)))
    assert logs == pytest.approx({0: math.log(4), 1: math.log(4)})


def test_rounds_of_different_waves_are_not_compared() -> None:
    first = Visit(set_index=0, wave_index=0, round_index=0, host_s=(1.0,))
    second = replace(first, wave_index=1)
    fast = CellRecord(cell=runs.EAGER, visits=(first,))
    slow = CellRecord(cell=runs.EAGER, visits=(second,))
    assert stats.speedup(fast, slow).sets == 0


def test_voided_visits_do_not_count() -> None:
    slow = record({(0, 0): [2.0], (0, 1): [1000.0], (0, 2): [2000.0]})
    voided = tuple(replace(visit, voided=visit.round_index > 0) for visit in slow.visits)
    fast = record({(0, index): [1.0] for index in range(3)})
    assert stats.speedup(fast, replace(slow, visits=voided)).estimate == pytest.approx(2)


def test_latency_is_the_geometric_mean_of_the_medians_of_sets() -> None:
    result = stats.latency(
        record({(0, 0): [1.0], (0, 1): [2.0], (0, 2): [9.0], (1, 0): [8.0], (1, 1): [8.0]})
    )
    assert result.estimate == pytest.approx(math.sqrt(2 * 8))
    assert result.sets == 2


def test_every_ratio_shown_must_be_precise() -> None:
    run = runs.small()
    group = [r for r in (*run.cells, *run.controls) if r.cell.group == runs.EAGER.group]
    pairs = {(own.cell.id, to.cell.id) for own, to in stats.ratios(group)}
    reference = runs.REFERENCE_EAGER.id
    assert pairs == {
        (f"{reference}/control", reference),
        (runs.EAGER.id, reference),
        (runs.COMPILED.id, reference),
        (runs.COMPILED.id, runs.UNVISITED.id),
        (runs.FAILED.id, reference),
        (runs.UNVISITED.id, reference),
    }
    assert math.isnan(stats.widest(group))  # one cell was never visited
    measured = [record for record in group if record.visits]
    assert stats.widest(measured) < 1e-9  # all cells share the same drift


def in_blocks(*blocks: BackToBack) -> CellRecord:
    """Return a cell with one set for each block, after a call of 99 s."""
    return CellRecord(
        cell=replace(runs.EAGER, batch_size=8),
        visits=tuple(
            Visit(set_index=index, round_index=0, host_s=(99.0,), back_to_back=block)
            for index, block in enumerate(blocks)
        ),
    )


# All times differ, so that exchanged ones would be noticed: the host's is the whole block's.
BLOCK = BackToBack(iterations=5, enqueue_s=1.0, host_s=10.0, device_s=8.0, busy_s=1.5)


def test_figures_of_blocks_are_by_the_host_s_time_of_the_whole_block() -> None:
    cell = in_blocks(BLOCK)
    assert stats.iteration(cell).estimate == pytest.approx(10.0 / 5)
    assert stats.throughput(cell).estimate == pytest.approx(8 * 5 / 10.0)
    assert stats.busy_share(cell).estimate == pytest.approx(1.5 * 5 / 10.0)
    faster = in_blocks(replace(BLOCK, host_s=4.0))
    assert stats.rate(faster, cell).estimate == pytest.approx(10.0 / 4.0)


def test_a_rate_is_that_of_latencies_unless_both_cells_have_blocks() -> None:
    cell, without = in_blocks(BLOCK), record({(0, 0): [33.0]})
    assert stats.rate(cell, without).estimate == pytest.approx(33.0 / 99.0)
    assert stats.rate(without, cell).estimate == pytest.approx(99.0 / 33.0)


@pytest.mark.parametrize(("confidence", "t"), [(0.95, 12.7062), (0.99, 63.6567)])
def test_intervals_have_the_confidence_that_is_asked_for(confidence: float, t: float) -> None:
    # Student's t with one degree of freedom. The standard error of two logarithms is half of their
    # difference.
    half_width = math.exp(t * 0.01) - 1
    cell, other = (
        in_blocks(BLOCK, replace(BLOCK, host_s=10.0 * math.exp(log))) for log in (0.0, 0.02)
    )
    assert stats.rate(cell, other, confidence).half_width == pytest.approx(half_width, rel=1e-4)
    of_latency = record({(0, 0): [1.0], (1, 0): [math.exp(0.02)]})
    for found in (
        stats.latency(of_latency, confidence),
        stats.iteration(of_latency, confidence),
        stats.iteration(other, confidence),
        stats.throughput(of_latency, confidence),
        stats.speedup(record({(0, 0): [1.0], (1, 0): [1.0]}), of_latency, confidence),
        stats.busy_share(other, confidence),
    ):
        assert found.half_width == pytest.approx(half_width, rel=1e-4)


def test_a_block_without_a_busy_time_has_no_share() -> None:
    cell = in_blocks(BLOCK, replace(BLOCK, busy_s=None), replace(BLOCK, busy_s=2.0))
    assert stats.busy_share(cell).sets == 2
    assert stats.busy_share(cell).estimate == pytest.approx(math.sqrt(1.5 * 2.0) / 2)


def test_the_widest_ratio_is_the_least_precise_and_without_failed_cells() -> None:
    reference = replace(record({(0, 0): [1.0], (1, 0): [1.0]}), cell=runs.REFERENCE_EAGER)
    control = replace(reference, cell=replace(runs.REFERENCE_EAGER, control=True))
    scattered = record({(0, 0): [1.0], (1, 0): [1.1]})
    expected = stats.speedup(scattered, reference).half_width
    assert expected > 0.1
    assert stats.widest([reference, control, scattered]) == expected
    failed = replace(scattered, failure=runs.FAILURE)
    assert stats.widest([reference, control, failed]) == 0
    without = replace(reference, failure=runs.FAILURE)
    assert math.isnan(stats.widest([without, control, scattered]))


def window(set_index: int, per_image_j: float) -> Setup:
    return Setup(energy_j=100 * per_image_j, energy_images=100, energy_set=set_index)


def test_each_set_counts_once_and_the_interval_is_over_sets() -> None:
    result = stats.energy_per_image_j(
        [window(0, 1.0), window(0, 4.0), Setup(energy_voided=("thermal",)), window(1, 8.0)]
    )
    # The medians of the logarithms per set, 2 J and 8 J; Student's t with one degree of freedom.
    assert result.sets == 2
    assert result.estimate == pytest.approx(4.0)
    assert result.high == pytest.approx(4.0 * math.exp(12.7062047 * math.log(2)))
    assert result.low * result.high == pytest.approx(16.0)


def test_each_window_counts_as_a_set_if_the_file_does_not_record_sets() -> None:
    old = [
        Setup(energy_j=600.0, energy_images=400),
        Setup(energy_j=300.0, energy_images=200),
    ]
    assert stats.energy_per_image_j(old).sets == 2


def test_a_counter_that_did_not_change_gives_no_figure() -> None:
    assert stats.energy_per_image_j([window(0, 0.0)]).sets == 0
